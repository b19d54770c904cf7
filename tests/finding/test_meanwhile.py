"""The candidate runs as deployed while both models are aligned; that changes no word, whatever happens."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

import segdiff
from segdiff.core.graph import Array
from segdiff.engines import Deployed, Engine
from segdiff.engines.onnxruntime import OnnxRuntime
from segdiff.engines.workers import Home
from segdiff.finding import locate as locating
from segdiff.finding import meanwhile
from tests.align.test_inputs import turned, two_inputs
from tests.conftest import put_in_place
from tests.models import image, save, segmenter, with_attribute

CLICKS = (1, 3, 16, 24)
"""The shape of the picture, too: by their forms the two inputs could be exchanged."""

VARYING = ("timing_s", "peak_memory_mb", "asked", "command")


def feeds() -> Mapping[str, Array]:
    random = np.random.default_rng(1)
    return {name: random.normal(size=CLICKS).astype(np.float32) for name in ("x", "clicks")}


def told(report: segdiff.Report) -> dict[str, Any]:
    """A report without what varies."""
    return {name: value for name, value in report.to_dict().items() if name not in VARYING}


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether a run was begun before both models were aligned."""
    early: list[bool] = []
    begin = locating.candidate_begun

    def watched(*asked: Any) -> Any:
        found = begin(*asked)
        early.append(found is not None)
        return found

    monkeypatch.setattr(locating, "candidate_begun", watched)
    return early


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Deployed]]:
    """The whole runs, each with the file that runs."""
    asked: list[tuple[str, Deployed]] = []
    run = Engine.run_deployed

    def watched(self: Engine, fed: Any, outputs: Any, how: Deployed) -> Any:
        asked.append((self.files.program.name, how))
        return run(self, fed, outputs, how)

    monkeypatch.setattr(Engine, "run_deployed", watched)
    return asked


def files(folder: Path, ours: ModelProto, theirs: ModelProto) -> tuple[Path, Path]:
    return save(ours, folder / "ours.onnx"), save(theirs, folder / "theirs.onnx")


@pytest.mark.parametrize(
    ("names", "early"), [({}, True), ({"x": "a"}, True), ({"x": "a", "clicks": "b"}, False)]
)
def test_it_begins_where_names_leave_no_choice(
    names: dict[str, str],
    early: bool,
    begun: list[bool],
    runs: list[tuple[str, Deployed]],
    tmp_path: Path,
) -> None:
    ours = two_inputs(CLICKS)
    report = segdiff.locate(*files(tmp_path, ours, turned(ours, names)), feeds(), threads=1)
    assert report.verdict == "agrees" and begun == [early]
    assert runs.count(("theirs.onnx", Deployed())) == 1


def test_where_the_alignment_says_otherwise_it_runs_again(
    runs: list[tuple[str, Deployed]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = two_inputs(CLICKS)
    asked = files(tmp_path, ours, turned(ours, {"x": "a", "clicks": "b"}))
    usual = told(segdiff.locate(*asked, feeds(), threads=1))
    runs.clear()
    monkeypatch.setattr(meanwhile, "obvious_inputs", lambda *_: {"x": "b", "clicks": "a"})
    assert told(segdiff.locate(*asked, feeds(), threads=1)) == usual
    assert runs.count(("theirs.onnx", Deployed())) == 2


@pytest.mark.parametrize("alpha", [0.1, 0.3], ids=["healthy", "wrong"])
def test_the_report_is_that_of_a_run_that_begins_later(
    alpha: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = files(tmp_path, segmenter(3), with_attribute(segmenter(3), "LeakyRelu", alpha=alpha))
    early = told(segdiff.locate(*asked, image(), threads=1))
    monkeypatch.setattr(locating, "candidate_begun", lambda *_: None)
    assert told(segdiff.locate(*asked, image(), threads=1)) == early


def test_with_little_memory_the_reference_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    run = Engine.run_deployed

    def watched(self: Engine, fed: Any, outputs: Any, how: Deployed) -> Any:
        events.append(f"{self.files.program.stem} {how.level} begins")
        found = run(self, fed, outputs, how)
        events.append(f"{self.files.program.stem} {how.level} ends")
        return found

    monkeypatch.setattr(Engine, "run_deployed", watched)
    report = segdiff.locate(*files(tmp_path, segmenter(3), segmenter(3)), image(), memory=64 << 20)
    assert report.verdict == "agrees"
    assert events.index("theirs all ends") < events.index("ours none begins")


class Fragile(OnnxRuntime):
    """A session that brings its process down as it is made ready."""

    def prepare(self, how: Deployed | None) -> None:
        """As a fault in a framework does."""
        os._exit(1)


class Clumsy(OnnxRuntime):
    """A session that cannot be made ready."""

    def prepare(self, how: Deployed | None) -> None:
        """As a framework does that refuses."""
        raise ValueError("not so")


@pytest.mark.parametrize(("framework", "restarts"), [(Fragile, 1), (Clumsy, 0)])
def test_what_fails_as_it_is_made_ready_is_asked_again(
    framework: type, restarts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place(monkeypatch, home=Home("onnxruntime", f"{__name__}:{framework.__name__}"))
    report = segdiff.locate(*files(tmp_path, segmenter(3), segmenter(3)), image(), threads=1)
    assert report.verdict == "agrees"
    assert sum("another one has gone on" in remark for remark in report.remarks) == restarts
