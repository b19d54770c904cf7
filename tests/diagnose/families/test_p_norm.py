"""Norms of order inf, -inf and 0, written as powers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from tests.diagnose.in_process import cause, paddle_op
from tests.models import Net, image

SHAPE = (2, 4, 5, 6)
X = image(SHAPE, seed=8)
X[0, 1] = 0.0
TRUTH = {
    np.inf: np.abs(X).max(1),
    -np.inf: np.abs(X).min(1),
    0.0: np.count_nonzero(X, axis=1).astype(np.float32),
}


def powers(order: float, opset: int) -> ModelProto:
    """As paddle2onnx writes every order: the sum of powers, and the root of it."""
    net = Net(SHAPE, opset=opset)
    raised = net.node("Pow", net.node("Abs", "x"), net.constant(order))
    axes = [net.constant([1], np.int64)] if opset >= 13 else []
    total = net.node("ReduceSum", raised, *axes, keepdims=0, **({} if axes else {"axes": [1]}))
    with np.errstate(divide="ignore"):
        return net.model(net.node("Pow", total, net.constant(np.float32(1) / np.float32(order))))


@pytest.mark.parametrize("order", TRUTH)
@pytest.mark.parametrize("opset", [9, 13, 18])
def test_the_limits_of_a_norm(order: float, opset: int, tmp_path: Path) -> None:
    model = powers(order, opset)
    reference = paddle_op("p_norm", {"X": None}, {"porder": order, "axis": 1, "keepdim": False})
    found = cause(reference, model, {"x": X}, {model.graph.output[0].name: TRUTH[order]}, tmp_path)
    assert (found.kind, found.proven) == ("norm.order", True)
    assert found.hypothesis is not None and found.hypothesis.expected


def test_another_order_is_an_exponent(tmp_path: Path) -> None:
    """Only the limits are written otherwise: a wrong finite order stays what it was."""
    model = powers(3.0, 13)
    reference = paddle_op("p_norm", {"X": None}, {"porder": 2.0, "axis": 1, "keepdim": False})
    truth = np.sqrt((X**2).sum(1))
    found = cause(reference, model, {"x": X}, {model.graph.output[0].name: truth}, tmp_path)
    assert found.kind != "norm.order"
