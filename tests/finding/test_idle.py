"""Origins that cost nothing in the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

import segdiff
from tests.models import Net, copied, find_node, image, save

SHAPE = (1, 3, 16, 24)


def causal(number: float, *, added: bool = False, turned: bool = False, softmax: bool = True) -> ModelProto:
    """Self-attention in which pixels see only those before them: the rest is ``number``, or has it added."""
    net = Net(SHAPE, seed=3)
    flat = net.node("Reshape", net.conv("x", (3, 8)), net.constant([1, 8, 384], np.int64))
    scores = net.node("MatMul", net.node("Transpose", flat, perm=[0, 2, 1]), flat)
    hidden = np.triu(np.ones((384, 384), bool), 1)
    hidden = hidden.T.copy() if turned else hidden
    if added:
        scores = net.node("Add", scores, net.constant(np.where(hidden, number, 0)))
    else:
        scores = net.node("Where", net.constant(hidden, bool), net.constant(number), scores)
    looks = net.node("Softmax", scores, axis=-1) if softmax else net.node("Mul", scores, net.constant(1e-6))
    mixed = net.node("MatMul", flat, net.node("Transpose", looks, perm=[0, 2, 1]))
    return net.model(net.conv(net.node("Reshape", mixed, net.constant([1, 8, 16, 24], np.int64)), (8, 4)))


def rounded_otherwise(model: ModelProto) -> ModelProto:
    """A copy that multiplies its picture by three and divides it by three: the last bits are others."""
    copy = copied(model)
    first = find_node(copy, "Conv")
    for number, op_type in ((0, "Mul"), (1, "Div")):
        made = helper.make_node(
            op_type, ["x" if number == 0 else "thrice", "three"], ["once" if number else "thrice"]
        )
        copy.graph.node.insert(number, made)
    first.input[0] = "once"
    copy.graph.initializer.append(numpy_helper.from_array(np.float32(3), "three"))
    return copy


def located(reference: ModelProto, candidate: ModelProto, folder: Path) -> segdiff.Report:
    files = save(reference, folder / "reference.onnx"), save(candidate, folder / "candidate.onnx")
    return segdiff.locate(*files, image(SHAPE), timeout=60)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(-np.inf, -1e9), (-1e9, -np.inf), (-np.inf, -3.4e38), (-1e9, -1e4)]
)
@pytest.mark.parametrize("added", [False, True])
def test_a_mask_may_be_any_large_number(ours: float, theirs: float, added: bool, tmp_path: Path) -> None:
    report = located(causal(ours), causal(theirs, added=added), tmp_path)
    assert report.verdict == "agrees", report.sentence
    assert any("hides scores by another large number" in remark for remark in report.remarks)


def test_a_mask_beside_the_rounding_of_another_form(tmp_path: Path) -> None:
    report = located(causal(-np.inf), rounded_otherwise(causal(-1e9)), tmp_path)
    assert report.verdict == "agrees", report.sentence


def test_another_mask_is_a_fault(tmp_path: Path) -> None:
    report = located(causal(-np.inf), causal(-1e9, turned=True), tmp_path)
    assert report.verdict == "diverges", report.sentence
    assert report.first is not None and report.first.candidate_nodes[0].type == "Where"


def test_a_large_number_that_something_reads_is_a_fault(tmp_path: Path) -> None:
    report = located(causal(-1e9, softmax=False), causal(-1e4, softmax=False), tmp_path)
    assert report.verdict == "diverges", report.sentence
