"""NaNs handed on or left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from tests.diagnose.in_process import NOTHING, cause, paddle_op
from tests.models import Net, image

SHAPE = (1, 4, 5, 6)
X = image(SHAPE, seed=4)
X[0, 1, :2] = np.nan
X[0, 2, 3] = -np.inf


@pytest.mark.parametrize("opset", [9, 13, 17])
def test_a_relu_that_makes_zero_of_a_nan(opset: int, tmp_path: Path) -> None:
    """As Paddle's does on a processor."""
    net = Net(SHAPE, opset=opset)
    model = net.model(net.node("Relu", "x"))
    truth = {model.graph.output[0].name: np.where(np.isnan(X), 0, np.maximum(X, 0)).astype(np.float32)}
    found = cause(paddle_op("relu", {"X": None}, {}), model, {"x": X}, truth, tmp_path)
    assert (found.kind, found.proven) == ("nan.kept", True)


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize(("op_type", "word"), [("ReduceMax", "max"), ("ReduceMin", "min")])
def test_an_extreme_that_leaves_nans_out(op_type: str, word: str, opset: int, tmp_path: Path) -> None:
    net = Net(SHAPE, opset=opset)
    axes = [net.constant([1], np.int64)] if opset >= 18 else []
    model = net.model(net.node(op_type, "x", *axes, keepdims=0, **({} if axes else {"axes": [1]})))
    with np.errstate(invalid="ignore"):
        truth = {model.graph.output[0].name: getattr(np, word)(X, axis=1)}
    reference = paddle_op(f"reduce_{word}", {"X": None}, {"dim": [1], "keep_dim": False})
    found = cause(reference, model, {"x": X}, truth, tmp_path)
    assert (found.kind, found.proven) == ("nan.lost", True)


@pytest.mark.parametrize(("op_type", "word"), [("ArgMax", "max"), ("ArgMin", "min")])
def test_a_place_that_passes_nans_over(op_type: str, word: str, tmp_path: Path) -> None:
    """As Paddle's argmax; onnxruntime's takes a NaN that stands first."""
    x = image(SHAPE, seed=4)
    x[0, 0, :2], x[0, 1, 0, :3] = np.nan, np.nan
    net = Net(SHAPE)
    node = net.node(op_type, net.node("Identity", "x"), axis=1, keepdims=0)
    model = net.model(node, types={node: TensorProto.INT64})
    truth = {node: getattr(np, f"nanarg{word}")(x, axis=1)}
    reference = paddle_op(f"arg_{word}", {"X": None}, {"axis": 1, "keepdims": False, "dtype": 3})
    found = cause(reference, model, {"x": x}, truth, tmp_path)
    assert (found.kind, found.proven) == ("nan.kept", True)


def test_nothing_is_said_of_nans_where_there_are_none(tmp_path: Path) -> None:
    net = Net(SHAPE)
    model = net.model(net.node("Relu", "x"))
    x = image(SHAPE)
    truth = {model.graph.output[0].name: np.maximum(x, 0) + np.float32(0.1)}
    found = cause(paddle_op("relu", {"X": None}, {}), model, {"x": x}, truth, tmp_path)
    assert found == NOTHING or not found.kind.startswith("nan.")
