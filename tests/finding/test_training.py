"""Files exported in training: what changes on every run, or takes its numbers from the batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

import segdiff
from tests.models import Net, image, save

SHAPE = (1, 3, 16, 24)


def located(reference: ModelProto, candidate: ModelProto, folder: Path) -> segdiff.Report:
    files = save(reference, folder / "reference.onnx"), save(candidate, folder / "candidate.onnx")
    return segdiff.locate(*files, image(SHAPE), timeout=60)


def dropping(training: bool) -> ModelProto:
    net = Net(SHAPE, seed=9)
    flag = net.constant(training, bool)
    return net.model(net.conv(net.node("Dropout", net.conv("x", (3, 8)), net.constant(0.3), flag), (8, 4)))


def normed(training: bool) -> ModelProto:
    """With the moved statistics as outputs that nothing reads, as an exporter leaves them."""
    net = Net(SHAPE, seed=8)
    outputs = ["y", "moved_mean", "moved_variance"] if training else ["y"]
    how = {"training_mode": 1} if training else {}
    y = net.batch_norm(net.conv("x", (3, 8)), 8, outputs=outputs, **how)
    return net.model(net.conv(net.node("Relu", y), (8, 4)))


def mended(report: segdiff.Report, folder: Path) -> bool:
    """Whether the repaired file agrees."""
    segdiff.repair(report, folder / "fixed.onnx")
    again = segdiff.locate(folder / "reference.onnx", folder / "fixed.onnx", image(SHAPE), timeout=60)
    return again.verdict == "agrees"


def test_a_dropout_left_in_training_is_no_rounding(tmp_path: Path) -> None:
    report = located(dropping(False), dropping(True), tmp_path)
    assert report.verdict == "diverges", report.sentence
    assert report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("dropout.training_mode", True)
    assert {op.type for op in report.first.candidate_nodes} >= {"Dropout"}
    assert mended(report, tmp_path)


def test_a_reference_that_drops_can_not_be_told_from_a_fault(tmp_path: Path) -> None:
    report = located(dropping(True), dropping(False), tmp_path)
    assert report.verdict == "inconclusive", report.sentence
    assert any("random at inference" in remark for remark in report.remarks)


def test_a_dropout_at_inference_is_passed_over(tmp_path: Path) -> None:
    net = Net(SHAPE, seed=9)
    without = net.model(net.conv(net.conv("x", (3, 8)), (8, 4)))
    assert located(without, dropping(False), tmp_path).verdict == "agrees"


def test_a_batch_norm_left_in_training_is_named(tmp_path: Path) -> None:
    report = located(normed(False), normed(True), tmp_path)
    assert report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("batch_norm.training_mode", True)
    assert mended(report, tmp_path)


def test_the_constant_of_a_condition_comes_before_another_comparison(tmp_path: Path) -> None:
    """Sixteen rows are more than eight, and not more than sixteen; "or equal" would do by chance."""

    def chosen(rows: int) -> ModelProto:
        net = Net(SHAPE, seed=7)
        a = net.conv("x", (3, 8))
        size = net.node("Shape", a, start=2, end=3)
        taken = net.node("Squeeze", net.node("Greater", size, net.constant([rows], np.int64)))
        ways = [
            onnx.helper.make_graph(
                [onnx.helper.make_node(kind, [a], [kind])],
                kind,
                [],
                [onnx.helper.make_tensor_value_info(kind, onnx.TensorProto.FLOAT, None)],
            )
            for kind in ("Relu", "Sigmoid")
        ]
        return net.model(net.conv(net.node("If", taken, then_branch=ways[0], else_branch=ways[1]), (8, 4)))

    report = located(chosen(8), chosen(16), tmp_path)
    assert report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("greater.b", True)
