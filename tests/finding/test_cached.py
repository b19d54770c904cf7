"""Is the answer with a cache the answer without, and does an unchanged reference not run again?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.engines import client
from segdiff.engines.cache import TENSOR
from segdiff.example import example_files
from tests.models import Net, classified, copied, image, save, scrambled, segmenter, with_attribute
from tests.score.streets import write_streets

Started = Callable[[], list[str]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The programs whose engines were started, in their order."""
    found: list[str] = []
    spawn = client.spawn

    def spied(files: Any, *more: Any) -> Any:
        found.append(files.program.name)
        return spawn(files, *more)

    monkeypatch.setattr(client, "spawn", spied)
    yield found


def plain(report: segdiff.Report | segdiff.ScoreReport) -> dict[str, Any]:
    """A report without what differs from run to run."""
    found = report.to_dict()
    for name in ("timing_s", "peak_memory_mb", "remarks"):
        found.pop(name)
    return json.loads(json.dumps(found))


def pair(folder: Path, candidate: onnx.ModelProto, reference: onnx.ModelProto | None = None) -> list[Path]:
    """Both files and a tensor."""
    np.save(folder / "x.npy", image())
    before = save(reference or segmenter(), folder / "before.onnx")
    return [before, save(candidate, folder / "after.onnx"), folder / "x.npy"]


def drawing() -> onnx.ModelProto:
    """A network that draws random numbers, and so does not agree with itself."""
    net = Net()
    hidden = net.conv("x", (3, 8))
    drawn = net.node("Add", hidden, net.node("RandomUniformLike", hidden))
    return net.model(net.conv(net.node("Relu", drawn), (8, 4)))


CASES = {
    "healthy": lambda: scrambled(segmenter()),
    "another setting": lambda: with_attribute(
        segmenter(), "Resize", coordinate_transformation_mode="asymmetric"
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_the_same_and_the_reference_runs_once(
    case: str, tmp_path: Path, started: list[str]
) -> None:
    files = pair(tmp_path, CASES[case]())
    without = segdiff.locate(*files)
    started.clear()
    first = segdiff.locate(*files, cache=tmp_path / "cache")
    assert started.count("before.onnx") == 1 and not any("earlier run" in each for each in first.remarks)
    started.clear()
    second = segdiff.locate(*files, cache=tmp_path / "cache")
    assert "before.onnx" not in started and "after.onnx" in started
    assert any("tensors of the reference are those of an earlier run" in each for each in second.remarks)
    assert plain(without) == plain(first) == plain(second)


def test_another_candidate_of_the_same_reference_needs_no_run_of_it(
    tmp_path: Path, started: list[str]
) -> None:
    segdiff.locate(*pair(tmp_path, CASES["healthy"]()), cache=tmp_path / "cache")
    started.clear()
    files = pair(tmp_path, CASES["another setting"]())
    found = segdiff.locate(*files, cache=tmp_path / "cache")
    assert found.verdict == "diverges" and found.first.cause.kind == "resize.coordinate_mode"
    assert started.count("before.onnx") <= 1
    started.clear()
    assert plain(segdiff.locate(*files, cache=tmp_path / "cache")) == plain(found)
    assert "before.onnx" not in started


def test_another_weight_or_picture_or_setting_is_another_reference(
    tmp_path: Path, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    files = pair(tmp_path, segmenter())
    segdiff.locate(*files, cache=cache)
    changed = segmenter(seed=3)
    files = pair(tmp_path, copied(changed), changed)
    started.clear()
    assert segdiff.locate(*files, cache=cache).verdict == "agrees" and "before.onnx" in started
    started.clear()
    np.save(tmp_path / "x.npy", image(seed=5))
    assert segdiff.locate(*files, cache=cache).verdict == "agrees" and "before.onnx" in started
    for change in ("threads", "variable"):
        started.clear()
        if change == "variable":
            monkeypatch.setenv("OMP_NUM_THREADS", "2")
        segdiff.locate(*files, cache=cache, threads=7)
        assert "before.onnx" in started


@pytest.mark.parametrize("damage", ["bits", "end", "all", "list", "gone"])
def test_a_damaged_cache_is_not_trusted(damage: str, tmp_path: Path) -> None:
    files, cache = pair(tmp_path, CASES["another setting"]()), tmp_path / "cache"
    first = segdiff.locate(*files, cache=cache)
    tensors = sorted(cache.rglob(f"*{TENSOR}"))
    assert tensors
    for number, file in enumerate(tensors):
        data = bytearray(file.read_bytes())
        if damage == "bits" and number % 2:
            data[-1] ^= 64
            file.write_bytes(data)
        elif damage == "end" and number % 2:
            file.write_bytes(data[:-1])
        elif damage == "all":
            file.write_bytes(b"\x80\x04K\x01.")
        elif damage == "gone" and number % 2:
            file.unlink()
    if damage == "list":
        next(cache.rglob("values.json")).write_text('{"order": {"x": ["y"]}')
    assert plain(segdiff.locate(*files, cache=cache)) == plain(first)
    assert plain(segdiff.locate(*files, cache=cache)) == plain(first)


def test_a_reference_that_draws_numbers_still_does_not_agree_with_itself(tmp_path: Path) -> None:
    files = pair(tmp_path, drawing(), drawing())
    told = {segdiff.locate(*files, cache=tmp_path / "cache").sentence for _ in range(2)}
    assert told == {segdiff.locate(*files).sentence}


def test_shapes_and_a_small_cache(tmp_path: Path, started: list[str]) -> None:
    files = [classified(rewritten=False), classified(rewritten=True), image((1, 3, 24, 32))]
    first = segdiff.locate_shapes(*files, batch=(1, 2), cache=tmp_path / "cache")
    alive = len(started)
    second = segdiff.locate_shapes(*files, batch=(1, 2), cache=tmp_path / "cache")
    assert len(started) == alive + 1 and second.verdict == first.verdict == "diverges"
    assert any("earlier run" in each for each in second.remarks)
    small = segdiff.locate_shapes(*files, batch=(1, 2), cache=tmp_path / "small", cache_size=1000)
    assert small.verdict == "diverges" and not list((tmp_path / "small").rglob(f"*{TENSOR}"))


def test_a_data_set_is_scored_the_same_and_the_reference_rests(tmp_path: Path, started: list[str]) -> None:
    (tmp_path / "streets").mkdir()
    streets = write_streets(tmp_path / "streets", 3)
    with example_files() as (reference, candidate, _):
        without = segdiff.evaluate(reference, candidate, streets)
        found = [segdiff.evaluate(reference, candidate, streets, cache=tmp_path / "cache") for _ in range(2)]
        started.clear()
        segdiff.evaluate(reference, candidate, streets, cache=tmp_path / "cache")
    assert "model.onnx" in started and len(started) == 1
    for each in found:
        assert plain(each) == plain(without)
    assert any("earlier run" in each for each in found[1].remarks)


def test_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, cache = [str(each) for each in pair(tmp_path, segmenter())], str(tmp_path / "cache")
    assert main(["locate", *files, "--cache", cache, "--cache-size", "1G"]) == 0
    capsys.readouterr()
    assert main(["cache", cache]) == 0
    assert "of 1 input of 1 reference" in capsys.readouterr().out
    assert main(["cache", "clear", cache]) == 0
    assert "removed" in capsys.readouterr().out
    assert main(["cache", cache]) == 0
    assert "0 tensors" in capsys.readouterr().out
    assert main(["cache", str(tmp_path)]) == 2
    assert "is no cache of segdiff's" in capsys.readouterr().err
