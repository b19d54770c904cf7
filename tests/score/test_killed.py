"""``evaluate`` with a worker that dies, and a run that is killed and goes on: the same scores."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import segdiff
from segdiff.score.evaluate import journal_of
from tests.killing import nothing_left, struck
from tests.score.streets import write_streets

EXAMPLE = Path(segdiff.__file__).parent / "example"
IMAGES = 6
TIMEOUT = 8.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two ONNX files, and a list of images."""
    folder = tmp_path_factory.mktemp("evaluated")
    for name in ("healthy.onnx", "model.onnx", "deploy/deploy.yaml"):
        shutil.copy(EXAMPLE / name, folder)
    return folder / "healthy.onnx", folder / "model.onnx", write_streets(folder, IMAGES)


def scores_of(report: dict[str, Any]) -> dict[str, Any]:
    """What a report says of the models, and not of the run."""
    return {key: report[key] for key in ("verdict", "images", "sides", "agreement", "output", "worst")}


@pytest.fixture(scope="module")
def whole(files: tuple[Path, Path, Path]) -> dict[str, Any]:
    return scores_of(segdiff.evaluate(*files, timeout=60).to_dict())


@pytest.mark.parametrize(
    ("side", "how", "skipped"), [("reference", "kill", 0), ("candidate", "kill", 0), ("candidate", "stop", 1)]
)
def test_a_dead_worker_costs_an_image_at_most(
    side: str, how: str, skipped: int, files: tuple[Path, Path, Path], whole: dict[str, Any], tmp_path: Path
) -> None:
    with nothing_left(tmp_path), struck("evaluate", side, how) as progress:
        report = segdiff.evaluate(*files, timeout=TIMEOUT, progress=progress)
    if not skipped:
        assert scores_of(report.to_dict()) == whole
    assert report.images + report.skipped == IMAGES and report.skipped <= skipped
    assert not any("without any optimisation" in remark for remark in report.remarks) or skipped


def test_a_run_that_is_killed_goes_on(
    files: tuple[Path, Path, Path], whole: dict[str, Any], tmp_path: Path
) -> None:
    killed_and_resumed(files, tmp_path / "r.json", random.Random(1), 2)
    assert scores_of(json.loads((tmp_path / "r.json").read_text())) == whole


def killed_and_resumed(files: tuple[Path, Path, Path], out: Path, chance: random.Random, times: int) -> None:
    """Kill the command ``times`` times, each at a random moment after another image, then let it end."""
    words = [sys.executable, "-m", "segdiff", "evaluate", *files, "--out", out, "--no-progress"]
    environment = {**os.environ, "PYTHONPATH": str(Path(segdiff.__file__).parents[1])}
    journal = journal_of(out)
    for _ in range(times):
        process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=out.parent
        )
        before = lines(journal)
        end = time.monotonic() + 120
        while process.poll() is None and lines(journal) <= before and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=out.parent, timeout=300)
    assert done.returncode in (0, 1), done.stderr


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0
