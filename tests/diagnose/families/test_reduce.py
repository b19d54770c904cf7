"""ArgMax, TopK, CumSum, reductions: the axis, the extreme, what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto

from tests.diagnose.in_process import against, cause, paddle_op, planted
from tests.models import Net, find_node, image

SHAPE = (1, 8, 8, 12)


def arg_max(op_type: str = "ArgMax", **more: int) -> ModelProto:
    net = Net(SHAPE)
    out = net.node(op_type, net.node("Round", "x"), **{"axis": 1, "keepdims": 0, **more})
    return net.model(out, types={out: TensorProto.INT64})


def reduction(opset: int, op_type: str = "ReduceMean", axis: int = 2) -> ModelProto:
    net = Net(SHAPE, opset=opset)
    operand = opset >= 18 or (op_type == "ReduceSum" and opset >= 13)
    axes = net.constant([axis], np.int64) if operand else ""
    more = {} if operand else {"axes": [axis]}
    return net.model(net.node("Relu", net.node(op_type, "x", *([axes] if axes else []), keepdims=0, **more)))


def cumsum() -> ModelProto:
    net = Net(SHAPE)
    return net.model(net.node("CumSum", "x", net.constant(2, np.int64)))


def top_k(opset: int = 17) -> ModelProto:
    net = Net(SHAPE, opset=opset)
    net.node("TopK", "x", net.constant([3], np.int64), outputs=["values", "places"], axis=1)
    return net.model(net.node("Relu", "values"))


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (arg_max(), "argmax.axis"),
        (arg_max(), "argmax.operator"),
        (arg_max(), "argmax.select"),
        (reduction(9), "reduce.axes"),
        (reduction(9), "reduce.operator"),
        (reduction(13, "ReduceSum"), "reduce.axes"),
        (reduction(17), "reduce.axes"),
        (reduction(20, "ReduceMax"), "reduce.operator"),
        (cumsum(), "cumsum.reverse"),
        (cumsum(), "cumsum.exclusive"),
        (top_k(), "topk.largest"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_fault_is_named_and_proven(model: ModelProto, kind: str, seed: int, tmp_path: Path) -> None:
    found = planted(model, kind, {"x": image(SHAPE)}, tmp_path, seed)
    assert (found.kind, found.proven) == (kind, True)


@pytest.mark.parametrize("opset", [9, 13, 17, 18, 21])
def test_a_reduction_becomes_another_in_every_opset(opset: int, tmp_path: Path) -> None:
    """Between 13 and 17 only ReduceSum takes its axes as an operand, so more than the name changes."""
    ours, theirs = reduction(opset, "ReduceSum"), reduction(opset, "ReduceMean")
    for healthy, faulty in ((ours, theirs), (theirs, ours)):
        found = against(healthy, faulty, {"x": image(SHAPE)}, tmp_path)
        assert (found.kind, found.proven) == ("reduce.operator", True)


def test_keepdims_is_named(tmp_path: Path) -> None:
    """Where the mean is broadcast again, an axis that is gone shifts the others."""

    def model(keepdims: int) -> ModelProto:
        net = Net((8, 8, 8))
        return net.model(net.node("Sub", "x", net.node("ReduceMean", "x", axes=[1], keepdims=keepdims)))

    found = against(model(1), model(0), {"x": image((8, 8, 8))}, tmp_path)
    assert (found.kind, found.proven) == ("reduce.keepdims", True)


def test_the_smallest_in_an_opset_that_knows_only_the_largest(tmp_path: Path) -> None:
    x = image(SHAPE)
    reference = paddle_op("top_k_v2", {"X": None}, {"k": 3, "axis": 1, "largest": False, "sorted": True})
    truth = np.maximum(np.sort(x, axis=1)[:, :3], -9)
    net = Net(SHAPE, opset=10)
    net.node("TopK", "x", net.constant([3], np.int64), outputs=["values", "places"], axis=1)
    found = cause(reference, net.model("values"), {"x": x}, {"values": truth}, tmp_path)
    assert (found.kind, found.proven) == ("topk.largest", True)


def test_an_order_that_is_left_open(tmp_path: Path) -> None:
    """paddle2onnx hands sorted on; onnxruntime then gives the elements in the order of its heap."""
    x = image(SHAPE)
    reference = paddle_op("top_k_v2", {"X": None}, {"k": 3, "axis": 3, "largest": True, "sorted": False})
    net = Net(SHAPE, opset=13)
    net.node("TopK", "x", net.constant([3], np.int64), outputs=["values", "places"], axis=3, sorted=0)
    truth = -np.sort(-x, axis=3)[..., :3]
    found = cause(reference, net.model("values"), {"x": x}, {"values": truth}, tmp_path)
    assert (found.kind, found.proven) == ("topk.sorted", True)


@pytest.mark.parametrize("format", ["pdmodel", "pir"])
def test_paddle_says_which_axes(format: str, tmp_path: Path) -> None:
    """A ``.pdmodel`` has them in an attribute, PIR in an input."""
    x = image(SHAPE)
    if format == "pdmodel":
        reference = paddle_op(
            "reduce_mean", {"X": None}, {"dim": [-3], "keep_dim": False, "reduce_all": False}
        )
    else:
        reference = paddle_op("mean", {"x": None, "axis": np.array([-3])}, {"keepdim": False}, format="pir")
    net = Net(SHAPE)
    faulty = net.model(net.node("ReduceMean", "x", axes=[2], keepdims=0))
    truth = {faulty.graph.output[0].name: x.mean(axis=1)}
    found = cause(reference, faulty, {"x": x}, truth, tmp_path)
    assert (found.kind, found.proven) == ("reduce.axes", True)
    assert found.hypothesis is not None and found.hypothesis.expected
    assert list(find_node(found.repaired, "ReduceMean").attribute[1].ints) == [1]


def test_paddle_takes_the_first_of_equal_elements(tmp_path: Path) -> None:
    x = np.round(image(SHAPE))
    reference = paddle_op("arg_max", {"X": None}, {"axis": 1, "keepdims": False, "flatten": False})
    net = Net(SHAPE)
    out = net.node("ArgMax", "x", axis=1, keepdims=0, select_last_index=1)
    model = net.model(out, types={out: TensorProto.INT64})
    found = cause(reference, model, {"x": x}, {out: x.argmax(axis=1)}, tmp_path)
    assert (found.kind, found.proven) == ("argmax.select", True)


def test_a_factor_is_no_cause(tmp_path: Path) -> None:
    """A mean that is ten percent too large has no cause among these families."""
    x = image(SHAPE)
    model = reduction(17)
    out = model.graph.output[0].name
    reference = paddle_op("reduce_mean", {"X": None}, {"dim": [2], "keep_dim": False})
    found = cause(reference, model, {"x": x}, {out: np.maximum(x.mean(axis=2), 0) * 1.1}, tmp_path)
    assert not found.proven
