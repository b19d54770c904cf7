"""What half precision costs: told, or why it is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import segdiff
from segdiff.core.errors import EngineError
from tests.models import halved, image, save, segmenter


def test_why_the_cost_is_not_known_reaches_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any) -> None:
        raise EngineError("theirs.onnx: onnxruntime has gone")

    monkeypatch.setattr("segdiff.finding.precision._with_final", fails)
    files = save(segmenter(), tmp_path / "ours.onnx"), save(halved(segmenter()), tmp_path / "theirs.onnx")
    report = segdiff.locate(*files, image(), timeout=60, deployed=False)
    assert report.precision and report.precision.final_error is None
    told = "What this arithmetic costs in the end is not known: theirs.onnx: onnxruntime has gone"
    assert told in report.remarks
