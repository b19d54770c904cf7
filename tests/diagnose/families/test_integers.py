"""Integers: a quotient rounded towards zero, a factor that keeps its fraction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from tests.diagnose.in_process import cause, paddle_op
from tests.models import Array

SHAPE = (2, 3, 4)
rng = np.random.default_rng(5)
X = rng.integers(-20, 21, SHAPE)
Y = rng.integers(1, 8, SHAPE) * rng.choice([-1, 1], SHAPE)


def division(opset: int, dtype: int) -> ModelProto:
    info = [helper.make_tensor_value_info(name, dtype, SHAPE) for name in ("x", "y")]
    info += [helper.make_tensor_value_info("out", dtype, None)]
    graph = helper.make_graph([helper.make_node("Div", ["x", "y"], ["out"])], "net", info[:2], info[2:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("opset", [9, 10, 13, 17])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_a_quotient_is_rounded_down(opset: int, dtype: str, tmp_path: Path) -> None:
    x, y = X.astype(dtype), Y.astype(dtype)
    reference = paddle_op("elementwise_floordiv", {"x": None, "y": None}, {"axis": -1})
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    found = cause(reference, division(opset, kind), {"x": x, "y": y}, {"out": x // y}, tmp_path)
    assert (found.kind, found.proven) == ("floor_divide.rounding", True)
    assert found.hypothesis is not None and found.hypothesis.expected


def test_a_quotient_of_something_else_is_not_proven(tmp_path: Path) -> None:
    reference = paddle_op("elementwise_floordiv", {"x": None, "y": None}, {"axis": -1})
    model = division(13, TensorProto.INT64)
    found = cause(reference, model, {"x": X, "y": Y}, {"out": X // Y + 1}, tmp_path)
    assert not found.proven


def scaled(factor: float, offset: float) -> ModelProto:
    """Integers, scaled in float and cut off, as converters write Paddle's scale of integers."""
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["wide", "factor"], ["product"]),
        helper.make_node("Add", ["product", "offset"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["out"], to=TensorProto.INT64),
    ]
    info = [helper.make_tensor_value_info("x", TensorProto.INT64, SHAPE)]
    info += [helper.make_tensor_value_info("out", TensorProto.INT64, None)]
    constants = [
        helper.make_tensor(name, TensorProto.FLOAT, [1], [value])
        for name, value in (("factor", factor), ("offset", offset))
    ]
    graph = helper.make_graph(nodes, "net", info[:1], info[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize(("factor", "offset"), [(2.5, 1.0), (3.0, 1.5), (2.5, 1.5), (-1.5, 0.5)])
def test_scale_of_integers_has_no_fractions(factor: float, offset: float, tmp_path: Path) -> None:
    attributes = {"scale": factor, "bias": offset, "bias_after_scale": True}
    truth: Array = X * int(factor) + int(offset)
    reference = paddle_op("scale", {"X": None}, attributes)
    found = cause(reference, scaled(factor, offset), {"x": X}, {"out": truth}, tmp_path)
    assert (found.kind, found.proven) == ("scale.integer", True)
