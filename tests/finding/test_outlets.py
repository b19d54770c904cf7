"""Outputs in another order, lost, added, of another form: what a repair makes of them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import segdiff
from segdiff.core.answer import Report
from segdiff.core.errors import RepairError
from tests import models
from tests.sweeps.outputs import Case, cases
from tests.sweeps.repair_cases import run_plainly
from tests.sweeps.repairs import distance

CASES = {case.name: case for case in cases()}

MENDED = (
    "order: rotated",
    "order: exchanged, names kept",
    "missing: pruned",
    "missing: the shape",
    "extra: in front",
    "op: argmax lost, 2",
    "op: argmax kept dims, 1",
    "op: softmax for argmax, 1",
    "layout: added, 1",
    "dtype: mask of floats, 1",
    "shape: one axis more, 1",
    "value: the constant",
    "value: another output for its Relu",
    "order and a fault",
    "argmax and a fault",
)


def located(case: Case, folder: Path) -> Report:
    files = [
        models.save(model, folder / f"{side}.onnx")
        for side, model in (("ours", case.reference), ("theirs", case.candidate))
    ]
    return segdiff.locate(*files, models.image(), threads=1, deployed=False)


@pytest.mark.parametrize("name", MENDED)
def test_what_a_repair_has_written_gives_the_references_outputs(name: str, tmp_path: Path) -> None:
    report = located(CASES[name], tmp_path)
    repaired = report.repair(tmp_path / "mended.onnx", threads=1)
    assert repaired.agrees
    mended, image = onnx.load(tmp_path / "mended.onnx"), models.image()
    truth = run_plainly(CASES[name].reference, image)
    assert distance(truth, run_plainly(mended, image)) < 1e-5
    assert distance(truth, run_plainly(CASES[name].candidate, image)) > 0.5


def test_a_constant_that_was_put_back_is_compared_again(tmp_path: Path) -> None:
    """The reference gives it out from its file, the mended copy through nodes: no engine has to show it."""
    located(CASES["value: the constant"], tmp_path).repair(tmp_path / "mended.onnx", threads=1)
    again = segdiff.locate(tmp_path / "ours.onnx", tmp_path / "mended.onnx", models.image(), deployed=False)
    assert again.verdict == "agrees", again.sentence


def test_the_repair_of_an_order_gives_names_and_places(tmp_path: Path) -> None:
    report = located(CASES["order: exchanged, names kept"], tmp_path)
    report.repair(tmp_path / "mended.onnx", threads=1)
    again = segdiff.locate(tmp_path / "ours.onnx", tmp_path / "mended.onnx", models.image(), deployed=False)
    assert again.verdict == "agrees"
    assert [(o.reference, o.candidate, o.places) for o in again.outputs] == [
        ("head0", "head0", (0, 0)),
        ("head1", "head1", (1, 1)),
    ]


def test_rows_in_another_order_have_no_repair(tmp_path: Path) -> None:
    report = located(CASES["rows: sorted"], tmp_path)
    assert report.first is not None and report.first.cause is not None
    assert report.first.cause.kind == "rows.order" and not report.first.cause.mends
    with pytest.raises(RepairError, match="nothing that could be repaired"):
        report.repair(tmp_path / "mended.onnx", threads=1)
