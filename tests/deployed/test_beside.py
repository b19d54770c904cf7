"""The reference runs as deployed beside the walk; that changes no word, and costs nothing where it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto

import segdiff
from segdiff.core.errors import EngineError
from segdiff.engines import Deployed, Engine
from segdiff.finding import locate as locating
from tests.models import image, save, segmenter, with_attribute

VARYING = ("timing_s", "peak_memory_mb", "asked", "command")

CANDIDATES: Mapping[str, Callable[[], ModelProto]] = {
    "healthy": lambda: segmenter(3),
    "wrong": lambda: with_attribute(segmenter(3), "LeakyRelu", alpha=0.3),
}


@pytest.fixture(params=sorted(CANDIDATES))
def located(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The report of a pair with both models run as deployed, without what varies."""
    files = save(segmenter(3), tmp_path / "a.onnx"), save(CANDIDATES[request.param](), tmp_path / "b.onnx")

    def run(**options: Any) -> dict[str, Any]:
        report = segdiff.locate(*files, image(), deployed="all", **options)
        assert report.verdict == ("agrees" if request.param == "healthy" else "diverges")
        return {name: value for name, value in report.to_dict().items() if name not in VARYING}

    return run


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The engines that a model is run on as deployed."""
    asked: list[str] = []
    run = Engine.run_deployed

    def watched(self: Engine, feeds: Any, outputs: Any, how: Deployed) -> Any:
        if how == Deployed():
            asked.append(self.owner)
        return run(self, feeds, outputs, how)

    monkeypatch.setattr(Engine, "run_deployed", watched)
    return asked


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[Engine]:
    """Every engine that was started."""
    started: list[Engine] = []
    start = Engine.__init__

    def watched(self: Engine, *args: Any, **options: Any) -> None:
        start(self, *args, **options)
        started.append(self)

    monkeypatch.setattr(Engine, "__init__", watched)
    return started


def test_the_report_is_that_of_one_run_after_the_other(
    located: Callable[..., dict[str, Any]], engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = located()
    assert len(engines) == 3
    engines.clear()
    monkeypatch.setattr(locating, "reference_beside", lambda *_: None)
    assert located() == beside
    assert len(engines) == 2


def test_who_says_how_much_memory_it_may_take_gets_no_third_engine(
    located: Callable[..., dict[str, Any]], engines: list[Engine]
) -> None:
    located(memory=64 << 20)
    assert len(engines) == 2


def test_where_that_engine_is_killed_the_first_one_answers(
    located: Callable[..., dict[str, Any]], owners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = located()
    owners.clear()
    beside = locating.reference_beside

    def killed(sides: Any, *args: Any) -> Any:
        another = sides.engines.another

        def dead() -> Any:
            found = another()
            found.engine.process.kill()
            return found

        sides.engines.another = dead
        return beside(sides, *args)

    monkeypatch.setattr(locating, "reference_beside", killed)
    assert located() == whole
    assert len(set(owners)) == 2


def failing(monkeypatch: pytest.MonkeyPatch, fail: Callable[[Engine], EngineError]) -> None:
    """Let the reference fail wherever it runs as deployed."""
    run = Engine.run_deployed

    def failed(self: Engine, *asked: Any) -> Any:
        found = run(self, *asked)
        if self.files.program.name == "a.onnx":
            raise fail(self)
        return found

    monkeypatch.setattr(Engine, "run_deployed", failed)


FAILURES: Mapping[str, Callable[[Engine], EngineError]] = {
    "refused": lambda engine: EngineError("it does not run so"),
    "hung": lambda engine: engine._over(EngineError("it does not run so")),
}


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_where_it_does_not_run_so_it_is_asked_and_told_once(
    fail: Callable[[Engine], EngineError],
    located: Callable[..., dict[str, Any]],
    owners: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, fail)
    said = [each for each in located()["remarks"] if "does not run as deployed" in each]
    assert len(said) == 1 and "reference" in said[0] and "it does not run so" in said[0]
    assert len(owners) == len(set(owners)) == 2


def test_where_no_engine_more_can_be_started_the_first_one_answers(
    located: Callable[..., dict[str, Any]], engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = located()
    engines.clear()
    start = Engine.__init__

    def full(self: Engine, *args: Any, **options: Any) -> None:
        if len(engines) == 2:
            raise EngineError("the system has no process more")
        start(self, *args, **options)

    monkeypatch.setattr(Engine, "__init__", full)
    assert located() == whole
    assert len(engines) == 2


def test_an_early_end_does_not_wait_for_it(
    tmp_path: Path, engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = save(segmenter(3), tmp_path / "a.onnx"), save(segmenter(3), tmp_path / "b.onnx")

    def unloaded(*_: Any) -> Any:
        raise EngineError("it cannot be loaded")

    monkeypatch.setattr(locating, "candidate_whole", unloaded)
    with pytest.raises(EngineError, match="cannot be loaded"):
        segdiff.locate(*files, image(), deployed="all")
    assert len(engines) == 3 and not any(engine.is_alive for engine in engines)


def test_one_file_on_both_sides_needs_no_third_engine(tmp_path: Path, engines: list[Engine]) -> None:
    file = save(segmenter(3), tmp_path / "a.onnx")
    assert segdiff.locate(file, file, image(), deployed="all").verdict == "agrees"
    assert len(engines) == 2
