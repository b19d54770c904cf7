"""What half precision costs: told, or why it is not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import segdiff
from segdiff.core.errors import EngineError
from segdiff.core.precision import Precision
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


@pytest.mark.parametrize(("error", "much"), [(2.8, True), (0.02, False)])
def test_right_operators_alone_do_not_make_a_file_fit_for_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float, much: bool
) -> None:
    def found(run: Any, found: Precision) -> Precision:
        return replace(found, final_error=error)

    monkeypatch.setattr("segdiff.finding.precision._with_final", found)
    files = save(segmenter(), tmp_path / "ours.onnx"), save(halved(segmenter()), tmp_path / "theirs.onnx")
    report = segdiff.locate(*files, image(), timeout=60, deployed=False)
    assert report.verdict == "agrees"
    assert ("operator by operator" in report.sentence) == much
    assert any("itself costs much" in remark for remark in report.remarks) == much
