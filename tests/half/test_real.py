"""PP-OCRv4's text detector in half precision: a trained model that dies of one batch norm.

Its backbone's first batch norm has running variances of 1e7 to 9.8e7. ``SEGDIFF_REAL_MODELS`` can name a
folder with the wheel rapidocr-onnxruntime unpacked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import segdiff
from segdiff.half.simulate import simulated
from segdiff.half.targets import How
from tests.half.test_simulate import ran
from tests.sweeps.pairs import package

pytestmark = pytest.mark.real

NORM = "p2o.BatchNormalization.1"


def page(seed: int = 1, size: int = 320) -> NDArray[np.float32]:
    """A white page of small print, normalised as PaddleOCR does it, (1, 3, H, W)."""
    random = np.random.default_rng(seed)
    letters = list("abcdefghijklmnop rstuvwxyz0123456789 ")
    pixels = np.full((size, size, 3), 255, np.uint8)
    for y in range(24, size - 8, 26):
        words = "".join(random.choice(letters, 24))
        cv2.putText(pixels, words, (10, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normal = (pixels[:, :, ::-1] / 255 - mean) / deviation
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)


@pytest.fixture(scope="module")
def detector() -> Path:
    folder = package("rapidocr_onnxruntime")
    if folder is None:
        pytest.skip("rapidocr-onnxruntime is not here")
    return folder / "ch_PP-OCRv4_det_infer.onnx"


def figures(plain: Any, found: Any) -> tuple[float, int]:
    """The relative error and how many pixels of the text mask change."""
    found = np.nan_to_num(found)
    error = float(np.linalg.norm(found - plain) / np.linalg.norm(plain))
    return error, int(((plain > 0.5) != (found > 0.5)).sum())


def test_the_figures_of_the_simulation(detector: Path) -> None:
    model, x = onnx.load(detector), page()
    plain = ran(model, x)
    text = int((plain > 0.5).sum())
    assert 10_000 < text < 16_000
    error, wrong = figures(plain, ran(simulated(model, How()), x))
    assert (error, wrong) == (pytest.approx(1.0, abs=1e-3), text)
    error, wrong = figures(plain, ran(simulated(model, How(overflow="saturate")), x))
    assert 0.3 < error < 1.2 and 2297 < wrong < 9188
    error, wrong = figures(plain, ran(simulated(model, How(), keep=frozenset({NORM})), x))
    assert error < 0.005 and wrong < 10


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_on_other_pages_what_is_kept_is_of_that_order(detector: Path, seed: int) -> None:
    """How much is left when the norm is kept depends on the page; that it is the norm does not."""
    model, x = onnx.load(detector), page(seed)
    plain = ran(model, x)
    error, wrong = figures(plain, ran(simulated(model, How()), x))
    kept, left = figures(plain, ran(simulated(model, How(), keep=frozenset({NORM})), x))
    assert error > 0.99 and wrong > 10_000
    assert kept < 0.02 and left < 50


def test_the_batch_norm_is_named_first(detector: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "page.npy", page())
    report = segdiff.precision(detector, detector, tmp_path / "page.npy")
    first = report.ops[0]
    assert report.verdict == "loses" and NORM in first.nodes
    assert first.share is not None and first.share > 0.9
    assert first.reason == "precision.variance" and "9.79e+07" in first.text
    assert report.measured == len(report.ops)
