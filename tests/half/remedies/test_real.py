"""PP-OCRv4's text detector, whose first batch norm half precision does not hold: what helps it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import segdiff
from segdiff.core.graph import Array
from segdiff.half.answer import HalfReport
from tests.half.test_real import NORM, detector, page

__all__ = ["detector"]

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def report(detector: Path, tmp_path_factory: pytest.TempPathFactory) -> HalfReport:
    return segdiff.precision(detector, detector, page(), remedies=tmp_path_factory.mktemp("real") / "out")


def run(path: Path) -> Array:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: page()})[0]).astype(np.float64)


def error(path: Path, truth: Path) -> tuple[float, int]:
    """The relative error of a file's output, and the pixels of the text mask that change."""
    got, plain = run(path), run(truth)
    return float(np.linalg.norm(got - plain) / np.linalg.norm(plain)), int(
        ((got > 0.5) != (plain > 0.5)).sum()
    )


def test_the_rewritten_file_is_the_same_in_float32_and_lives_in_half(
    detector: Path, report: HalfReport
) -> None:
    rewrite = next(each for each in report.remedies if each.kind == "rewrite")
    assert NORM in rewrite.nodes
    difference, wrong = error(rewrite.files["onnx"], detector)
    assert difference < 1e-6 and wrong == 0
    assert rewrite.cost_after.rel_l2 < 0.005
    assert rewrite.cost_after.mask_changed is not None
    assert rewrite.cost_after.mask_changed * 320 * 320 < 10


def test_that_batch_norm_alone_is_kept_and_the_mixed_file_runs(detector: Path, report: HalfReport) -> None:
    keep = next(each for each in report.remedies if each.kind == "keep_float32")
    assert keep.nodes[0] == NORM
    assert len(keep.nodes) <= 2
    assert keep.cost_after.rel_l2 < 0.005
    difference, wrong = error(keep.files["onnx"], detector)
    assert difference < 0.005 and wrong < 10
