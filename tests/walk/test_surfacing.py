"""An error that the norm of a tensor hides is found where it is seen; what amplifies is not blamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

import segdiff
from segdiff.align import Segment
from segdiff.readers import find, read
from segdiff.walk.hidden import amplifies
from tests.models import Net, save

SHAPE = (1, 4, 5, 6)


def logarithm(guard: float, turned: bool, function: str = "Log") -> ModelProto:
    """The logarithm (or the reciprocal) of a softmax that is kept from zero."""
    net = Net(SHAPE, opset=13)
    x = net.node("Softmax", "x", axis=1)
    if guard:
        x = net.node("Add", x, net.constant(guard))
    if turned:
        x = net.node("Transpose", x, perm=[0, 2, 3, 1])
    return net.model(net.node("Relu", net.node("Neg", net.node(function, x))))


def wide() -> np.ndarray:
    return (np.random.default_rng(3).standard_normal(SHAPE) * 12).astype(np.float32)


@pytest.mark.parametrize("turned", [False, True])
def test_a_lost_guard_is_found_by_what_the_logarithm_makes_of_it(turned: bool, tmp_path: Path) -> None:
    ours = save(logarithm(1e-8, turned), tmp_path / "ours.onnx")
    theirs = save(logarithm(0, turned), tmp_path / "theirs.onnx")
    report = segdiff.locate(ours, theirs, wide(), threads=1, deployed=False)
    assert report.verdict == "diverges"
    (origin,) = report.origins
    assert {"Softmax", "Log"} <= {node.type for node in origin.candidate_nodes}
    assert origin.cause is not None
    assert (origin.cause.kind, origin.cause.proven) == ("add.lost", True)


@pytest.mark.parametrize("guard", [1e-8, 0])
def test_a_healthy_one_agrees(guard: float, tmp_path: Path) -> None:
    ours = save(logarithm(guard, False), tmp_path / "ours.onnx")
    theirs = save(logarithm(guard, True), tmp_path / "theirs.onnx")
    assert segdiff.locate(ours, ours, wide(), threads=1, deployed=False).verdict == "agrees"
    assert segdiff.locate(theirs, theirs, wide(), threads=1, deployed=False).verdict == "agrees"


def test_what_amplifies_the_rounding_before_it_is_right(tmp_path: Path) -> None:
    """A sum in another order differs in its last bits; a difference of two is nothing but last bits."""
    files = []
    for name, axes in (("ours", ([2, 3],)), ("theirs", ([2], [3]))):
        net = Net((1, 3, 40, 40), opset=11)
        x = net.node("Exp", "x")
        for each in axes:
            x = net.node("ReduceSum", x, axes=each, keepdims=1)
        whole = net.node("ReduceMean", net.node("Exp", "x"), axes=[2, 3], keepdims=1)
        difference = net.node("Sub", x, net.node("Mul", whole, net.constant(1600)))
        files.append(
            save(net.model(net.node("Mul", difference, net.constant(1e4))), tmp_path / f"{name}.onnx")
        )
    x = np.random.default_rng(0).standard_normal((1, 3, 40, 40)).astype(np.float32)
    report = segdiff.locate(*files, x, threads=1, deployed=False)
    assert report.verdict == "agrees", report.sentence


@pytest.mark.parametrize("of_lengths", [True, False])
def test_what_is_made_of_lengths_amplifies_nothing(of_lengths: bool, tmp_path: Path) -> None:
    """A size computed from a shape holds no error of its tensor's numbers; a number cut off to an integer may
    be another one by the last bit."""
    net = Net(SHAPE, opset=13)
    net.node("Shape" if of_lengths else "Neg", "x", outputs=["read"])
    net.node("Cast", "read", to=7, outputs=["whole"])
    read_by = net.node("Reshape", "x", "whole") if of_lengths else net.node("Cast", "whole", to=1)
    y = net.node("Add", "x", read_by)
    graph = read(find(save(net.model(y), tmp_path / "net.onnx")))
    ops = tuple(range(len(graph.ops)))
    segment = Segment(((y, y),), (("x", "x"),), ops, ops, ops, True)
    assert amplifies(graph, segment) is not of_lengths
