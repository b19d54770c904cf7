"""Does a data set score the same, whoever runs its images and in whatever order they come back?"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Iterable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.crew.here import Here
from segdiff.core.crew.told import Done, attempt
from segdiff.core.errors import EngineError
from segdiff.score.evaluate import journal_of
from tests.schema import check
from tests.score.streets import write_streets

EXAMPLE = Path(segdiff.__file__).parent / "example"
IMAGES = 7
BROKEN = 3


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two ONNX files, and a list of images of which one is none."""
    folder = tmp_path_factory.mktemp("spread")
    for name in ("healthy.onnx", "model.onnx", "deploy/deploy.yaml"):
        shutil.copy(EXAMPLE / name, folder)
    listed = write_streets(folder, IMAGES)
    (folder / f"street_{BROKEN}.png").write_bytes(b"no picture")
    return folder / "healthy.onnx", folder / "model.onnx", listed


def told(report: segdiff.ScoreReport) -> dict[str, Any]:
    """All that a report says but what the run cost, and how it was asked."""
    found = json.loads(report.to_json())
    check(found)
    return {name: each for name, each in found.items() if name not in COSTS}


COSTS = {"timing_s", "peak_memory_mb", "remarks", "command"}


@pytest.fixture(scope="module")
def alone(files: tuple[Path, Path, Path]) -> segdiff.ScoreReport:
    return segdiff.evaluate(*files, threads=1)


def test_two_workers_count_the_same(
    files: tuple[Path, Path, Path], alone: segdiff.ScoreReport, tmp_path: Path
) -> None:
    report = segdiff.evaluate(*files, threads=1, workers=2, out=tmp_path / "r.json")
    assert told(report) == told(alone) and report.remarks == alone.remarks
    assert (report.images, report.skipped) == (IMAGES - 1, 1)
    # an interrupted run goes on, whatever had come
    kept = journal_of(tmp_path / "r.json")
    lines = kept.read_text().splitlines(keepends=True)
    assert len(lines) == IMAGES
    kept.write_text("".join((lines[0], lines[5], lines[2])))
    again = segdiff.evaluate(*files, threads=1, workers=2, out=tmp_path / "r.json")
    assert told(again) == told(alone) and "2 images were already done" in again.remarks[0]
    assert len(kept.read_text().splitlines()) == IMAGES


class Backwards(Here):
    """Does its tasks in this process, the last first."""

    where: Literal["here", "local", "cluster"] = "cluster"  # type: ignore[assignment]

    def run(
        self,
        task: Callable[[Any], Any],
        items: Iterable[Any],
        leave: Callable[[], object] | None = None,
    ) -> Generator[Done[Any], None, None]:
        for number, item in reversed(list(enumerate(items))):
            yield attempt(task, number, item)
        if leave is not None:
            leave()


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("segdiff.score.evaluate")
    monkeypatch.setattr(module, "crew_of", lambda *_: nullcontext(Backwards()))


@pytest.mark.usefixtures("backwards")
def test_the_order_in_which_they_come_back_changes_nothing(
    files: tuple[Path, Path, Path], alone: segdiff.ScoreReport, tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    assert told(segdiff.evaluate(*files, threads=1, out=out)) == told(alone)
    entries = [json.loads(line)["entry"] for line in journal_of(out).read_text().splitlines()[1:]]
    assert entries == [0, 6, 5, 4, 2, 1]  # the first one shows the number of classes


@pytest.mark.usefixtures("backwards")
def test_a_worker_that_cannot_begin_ends_the_run(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Any) -> Any:
        raise EngineError("no memory for it")

    monkeypatch.setattr(import_module("segdiff.score.spread"), "stood_up", refused)
    with pytest.raises(EngineError, match="no memory for it"):
        segdiff.evaluate(*files, threads=1)


def test_the_command(files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *map(str, files), "--workers", "2", "--scheduler", "tcp://a:1"]) == 2
    assert "not both" in capsys.readouterr().err
