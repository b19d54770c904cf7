"""Scores, ONNX against ONNX and reading a Paddle file need no Paddle: it may be missing, or broken."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from segdiff.example import example_files
from tests.models import image, save, segmenter, with_attribute

ROOT = Path(__file__).parents[2]
BROKEN = 'raise ImportError("paddle is blocked here, and somebody imported it")\n'


@pytest.fixture
def blocked(tmp_path: Path) -> dict[str, str]:
    """An environment, inherited by every child, in which importing Paddle fails."""
    for name in ("paddle", "paddle2onnx"):
        (tmp_path / "blocked" / name).mkdir(parents=True)
        (tmp_path / "blocked" / name / "__init__.py").write_text(BROKEN)
    # The schema of a .pdmodel comes from Paddle's own file, which is loaded without Paddle.
    real = importlib.util.find_spec("paddle")
    assert real is not None and real.origin is not None
    (tmp_path / "blocked" / "paddle" / "base").symlink_to(Path(real.origin).parent / "base")
    path = os.pathsep.join([str(tmp_path / "blocked"), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path}


def run(blocked: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], env=blocked, capture_output=True, text=True, timeout=120, check=False
    )


def test_paddle_is_blocked(blocked: dict[str, str]) -> None:
    assert "paddle is blocked" in run(blocked, "-c", "import paddle").stderr


def test_onnx_against_onnx(blocked: dict[str, str], tmp_path: Path) -> None:
    ours = save(segmenter(), tmp_path / "ours.onnx")
    theirs = save(with_attribute(segmenter(), "LeakyRelu", alpha=0.3), tmp_path / "theirs.onnx")
    np.save(tmp_path / "x.npy", image())
    words = ["-m", "segdiff", "locate", "--no-progress"]
    healthy = run(blocked, *words, str(ours), str(ours), str(tmp_path / "x.npy"))
    assert (healthy.returncode, healthy.stderr) == (0, "")
    faulty = run(blocked, *words, str(ours), str(theirs), str(tmp_path / "x.npy"))
    assert (faulty.returncode, faulty.stderr) == (1, "")
    assert "leaky_relu.slope" in faulty.stdout


def test_scores_of_saved_masks(blocked: dict[str, str], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("labels", "ours", "theirs"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), random.integers(0, 3, (16, 24)).astype(np.uint8))
    folders = [str(tmp_path / name) for name in ("labels", "ours", "theirs")]
    options = ("--labels", "--reference-masks", "--candidate-masks")
    pairs = [word for pair in zip(options, folders, strict=True) for word in pair]
    done = run(blocked, "-m", "segdiff", "score", "--no-progress", *pairs)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "blocked" not in done.stdout + done.stderr


def test_reading_a_pdmodel(blocked: dict[str, str]) -> None:
    with example_files() as files:
        program = (
            f"from segdiff.readers import find, read; print(len(read(find({str(files.reference)!r})).ops))"
        )
        done = run(blocked, "-c", program)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_an_engine_that_is_missing_is_one_line(blocked: dict[str, str]) -> None:
    with example_files() as files:
        words = ["locate", str(files.reference), str(files.candidate), str(files.image), "--no-progress"]
        done = run(blocked, "-m", "segdiff", *words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "paddle is blocked" in done.stderr
