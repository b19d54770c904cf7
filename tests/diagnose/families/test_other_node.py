"""Operators lost, added, merged or exchanged, that no family knows; the reference's own nodes mend them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.diagnose.in_process import against
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
        ((NORM, LOWER), (NORM, node("Cosh")), "operator.replaced"),
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
