"""Is a change of a file noticed, wherever the file lies?"""

from __future__ import annotations

from pathlib import Path

import pytest

from segdiff.readers import find
from segdiff.score.fleet.state import belonging, state_of


@pytest.mark.parametrize("changed", ["m.onnx", "m.onnx.data", "weights.bin", "deploy.yaml"])
def test_what_belongs_to_a_model_counts(changed: str, tmp_path: Path) -> None:
    for name in ("m.onnx", "m.onnx.data", "weights.bin", "deploy.yaml", "notes.txt"):
        (tmp_path / name).write_text("{}")

    def state() -> list[object]:
        return [state_of(file) for file in belonging(find(tmp_path / "m.onnx"))]

    before = state()
    (tmp_path / "notes.txt").write_text("nobody reads them")
    assert state() == before
    (tmp_path / changed).write_text("{ }")
    assert state() != before


def test_a_change_elsewhere_is_noticed(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    (tmp_path / "deploy").mkdir()
    for name in ("deploy/m.pdmodel", "deploy/m.pdiparams", "other.txt"):
        (tmp_path / name).write_text("1")
    urls = [f"file://{tmp_path}/deploy", f"file://{tmp_path}/deploy/m.pdmodel"]
    before = [state_of(url) for url in urls]
    assert [state_of(url) for url in urls] == before
    (tmp_path / "deploy/m.pdiparams").write_text("22")
    assert all(state_of(url) != known for url, known in zip(urls, before, strict=True))


def test_what_tells_nothing_is_another_each_time() -> None:
    assert state_of("nowhere-at-all://a/b") != state_of("nowhere-at-all://a/b")
    assert state_of(None) == [] and state_of("no/such/file") == ["no/such/file"]
