"""Operators lost, added, merged or exchanged, that no family knows; the reference's own nodes mend them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from segdiff.core.graph import Value
from tests.diagnose.in_process import against, cause, paddle_op
from tests.models import Net, image

SHAPE = (1, 4, 6, 6)
Step = Callable[[Net, str], str]


def node(op_type: str, *constants: object, **attributes: object) -> Step:
    def step(net: Net, x: str) -> str:
        operands = [net.constant(c, np.asarray(c).dtype) for c in constants]
        return net.node(op_type, x, *operands, **attributes)

    return step


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


SLICE = node("Slice", ints(1), ints(5), ints(2))
OTHER_SLICE = node("Slice", ints(0), ints(4), ints(3))
TURN = node("Transpose", perm=[0, 1, 3, 2])
CYCLE = node("Transpose", perm=[0, 2, 3, 1])
NORM = node("LpNormalization", axis=1)
SOFT = node("Softmax", axis=1)
EPSILON = node("Add", np.float32(1e-3))
ROOT = node("Sqrt")
SQUARE = node("Mul", np.float32(3.0))
PAD = node("Pad", ints(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect")
LOWER = node("Trilu", upper=0)


def network(*steps: Step):
    net = Net(SHAPE, seed=3)
    x = net.node("Abs", "x")
    for step in steps:
        x = step(net, x)
    return net.model(net.node("Cos", x))


@pytest.mark.parametrize(
    ("reference", "candidate", "kind"),
    [
        ((NORM, SOFT), (NORM,), "softmax.lost"),
        ((NORM,), (NORM, LOWER), "trilu.surplus"),
        ((NORM, LOWER, SOFT), (NORM, SOFT), "trilu.lost"),
        ((SLICE, OTHER_SLICE, NORM), (OTHER_SLICE, NORM), "slice.lost"),
        ((NORM, PAD, SOFT), (NORM, SOFT), "pad.lost"),
        ((NORM, LOWER), (NORM, node("Cosh")), "trilu.replaced"),
        ((LOWER, SOFT), (SOFT, LOWER), "operator.replaced"),
        ((NORM,), (NORM, SOFT, LOWER), "operator.surplus"),
        ((LOWER, EPSILON, ROOT), (LOWER, ROOT), "add.lost"),
    ],
)
def test_the_reference_s_own_nodes_mend_it(reference, candidate, kind, tmp_path: Path) -> None:
    found = against(network(*reference), network(*candidate), {"x": image(SHAPE)}, tmp_path)
    assert (found.kind, found.proven) == (kind, True), found.text


def test_a_surplus_node_is_gone_from_the_repaired_file(tmp_path: Path) -> None:
    found = against(network(NORM), network(NORM, LOWER), {"x": image(SHAPE)}, tmp_path)
    assert found.repaired is not None
    assert "Trilu" not in [made.op_type for made in found.repaired.graph.node]


def test_transposes_that_were_merged_wrongly(tmp_path: Path) -> None:
    found = against(network(CYCLE, TURN), network(CYCLE), {"x": image(SHAPE)}, tmp_path)
    assert found.proven and found.kind in ("transpose.lost", "transpose.perm"), found.text


def nested(net: Net, order: tuple[int, ...], split: bool):
    parts = [net.node(op_type, "x") for op_type in ("Sin", "Cos", "Tanh")]
    if split:
        inner = net.node("Concat", parts[order[1]], parts[order[2]], axis=1)
        return net.model(net.node("Concat", parts[order[0]], inner, axis=1))
    return net.model(net.node("Concat", *(parts[place] for place in order), axis=1))


@pytest.mark.parametrize("split", [(True, False), (False, True), (False, False)])
def test_three_parts_in_another_order(split: tuple[bool, bool], tmp_path: Path) -> None:
    models = nested(Net(SHAPE), (0, 1, 2), split[0]), nested(Net(SHAPE), (1, 2, 0), split[1])
    found = against(*models, {"x": image(SHAPE)}, tmp_path)
    assert found.proven, found.text
    assert found.kind.startswith("concat."), found.text


def test_a_setting_said_as_a_default_is_no_difference(tmp_path: Path) -> None:
    """Only the second of two nodes differs, though the first leaves out what the reference says."""
    ours = network(node("Hardmax", axis=-1), node("LpNormalization", axis=1, p=1))
    theirs = network(node("Hardmax"), node("LpNormalization", axis=1))
    found = against(ours, theirs, {"x": image(SHAPE)}, tmp_path)
    assert (found.kind, found.proven) == ("lp_normalization.p", True), found.text


def test_attributes_of_one_opset_are_operands_of_another(tmp_path: Path) -> None:
    def reduced(opset: int, axis: int):
        net = Net(SHAPE, opset=opset)
        x = net.node("Abs", "x")
        if opset < 18:
            return net.model(net.node("ReduceLogSumExp", x, axes=[axis], keepdims=1))
        return net.model(net.node("ReduceLogSumExp", x, net.constant([axis], np.int64), keepdims=1))

    for ours, theirs in ((13, 18), (18, 13)):
        models = reduced(ours, 2), reduced(theirs, 3)
        found = against(*models, {"x": image(SHAPE)}, tmp_path)
        assert found.proven and found.kind.endswith(".axes"), found.text


# --- Paddle


def rolled_too_far(net: Net) -> str:
    """Two windows whose bounds do not know that a shift may go beyond the length."""

    def window(x: str, start: int, end: int) -> str:
        return net.node("Slice", x, *(net.constant([n], np.int64) for n in (start, end, 2)))

    return window(net.node("Concat", window("x", 0, 6), window("x", 4, 6), axis=2), 2, 8)


def test_a_roll_beyond_the_length(tmp_path: Path) -> None:
    x, net = image(SHAPE), Net(SHAPE, opset=13)
    model = net.model(rolled_too_far(net))
    reference = paddle_op("roll", {"x": None}, {"shifts": [9], "axis": [2]}, format="pir")
    found = cause(reference, model, {"x": x}, {model.graph.output[0].name: np.roll(x, 9, axis=2)}, tmp_path)
    assert (found.kind, found.proven) == ("roll.replaced", True), found.text
    assert "shifts [9]" in found.text


@pytest.mark.parametrize("opset", [9, 13, 18])
@pytest.mark.parametrize(("order", "expected"), [(1.0, 1), (2.0, 2), (3.0, 3), (np.inf, np.inf)])
def test_a_norm_over_all_axes(order: float, expected: float, opset: int, tmp_path: Path) -> None:
    x, net = image(SHAPE), Net(SHAPE, opset=opset)
    model = net.model(net.node("Abs", net.node("Floor", "x")))
    attributes = {"porder": order, "axis": -1, "keepdim": False, "asvector": True}
    reference = paddle_op("p_norm", {"x": None}, attributes, format="pir")
    truth = np.array(np.linalg.norm(x.reshape(-1), expected), np.float32)
    found = cause(reference, model, {"x": x}, {model.graph.output[0].name: truth}, tmp_path)
    assert (found.kind, found.proven) == ("p_norm.replaced", True), found.text


@pytest.mark.parametrize("axis", [1, 3])
@pytest.mark.parametrize("opset", [11, 13])
def test_a_log_softmax_through_a_clipped_logarithm(axis: int, opset: int, tmp_path: Path) -> None:
    x, net = image(SHAPE) * 30, Net(SHAPE, opset=opset)
    soft = net.node("LpNormalization", net.node("Exp", "x"), axis=axis, p=1)
    model = net.model(net.node("Log", net.node("Max", soft, net.constant(1e-7))))
    reference = paddle_op("log_softmax", {"x": None}, {"axis": axis}, format="pir")
    shifted = x.astype(np.float64) - x.max(axis=axis, keepdims=True)
    truth = (shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))).astype(np.float32)
    found = cause(reference, model, {"x": x}, {model.graph.output[0].name: truth}, tmp_path)
    assert (found.kind, found.proven) == ("log_softmax.replaced", True), found.text


def test_a_sum_that_overflows_32_bits(tmp_path: Path) -> None:
    x = np.full((2, 4), 10**9, np.int32)
    reference = paddle_op("reduce_sum", {"X": None}, {"dim": [1], "keep_dim": False}, format="pdmodel")
    values = {**reference.values, "X": Value("X", (2, 4), "int32"), "out0": Value("out0", (2,), "int64")}
    reference = dataclasses.replace(reference, values=values)
    net = Net((2, 4), opset=13)
    net.inputs[0].type.tensor_type.elem_type = TensorProto.INT32
    summed = net.node("ReduceSum", "x", net.constant([1], np.int64), keepdims=0)
    end = net.node("Cast", summed, to=TensorProto.INT64)
    model = net.model(end, types={end: TensorProto.INT64})
    found = cause(reference, model, {"x": x}, {end: x.sum(axis=1, dtype=np.int64)}, tmp_path)
    assert (found.kind, found.proven) == ("reduce_sum.replaced", True), found.text
