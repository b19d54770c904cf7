"""An ONNX model in memory is read like its file."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import segdiff
from segdiff.core.errors import ModelError
from segdiff.example import HERE
from segdiff.readers import find, read
from segdiff.readers.in_memory import on_disk


def test_a_model_in_memory_gets_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load(HERE / "model.onnx")
    files = find(model)
    assert files.format == "onnx" and len(read(files).ops) == len(read(find(HERE / "model.onnx")).ops)
    for weight in model.graph.initializer:
        weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight), weight.name))
    before = model.SerializeToString()
    monkeypatch.setattr("segdiff.readers.in_memory.LARGEST", 100)
    apart = find(model)
    assert (apart.program.parent / "weights").is_file() and model.SerializeToString() == before
    assert len(read(apart).ops) == len(read(files).ops)


def test_a_path_is_taken_as_it_is() -> None:
    assert on_disk("a/b.onnx") == Path("a/b.onnx")


@pytest.mark.parametrize("thing", [None, 3, b"bytes", onnx.NodeProto()])
def test_anything_else_is_refused(thing: object) -> None:
    with pytest.raises(ModelError, match="is no model: give a path"):
        find(thing)  # type: ignore[arg-type]


@pytest.mark.real
def test_locate_and_repair_take_it(tmp_path: Path) -> None:
    report = segdiff.locate(HERE / "deploy", onnx.load(HERE / "model.onnx"), HERE / "street.png")
    assert report.verdict == "diverges"
    assert report.repair(tmp_path / "fixed.onnx").agrees
