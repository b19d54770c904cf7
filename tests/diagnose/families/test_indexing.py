"""Concat, Split, Gather, Where, Flatten, Squeeze: which part goes where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from tests.diagnose.in_process import against, cause, outputs_of, paddle_op, planted
from tests.models import Net, find_node, image, with_attribute

SHAPE = (1, 8, 8, 8)


def concat() -> ModelProto:
    net = Net(SHAPE)
    parts = net.node("Relu", "x"), net.node("Sigmoid", "x"), net.node("Tanh", "x")
    return net.model(net.node("Relu", net.node("Concat", *parts, axis=1)))


def split(opset: int = 17) -> ModelProto:
    net = Net(SHAPE, opset=opset)
    if opset >= 13:
        net.node("Split", "x", net.constant([4, 4], np.int64), outputs=["a", "b"], axis=1)
    else:
        net.node("Split", "x", outputs=["a", "b"], axis=1, split=[4, 4])
    return net.model(net.node("Sub", net.node("Relu", "a"), net.node("Sigmoid", "b")))


def gather(relu: bool = True) -> ModelProto:
    net = Net(SHAPE)
    out = net.node("Gather", "x", net.constant([1, 4, 2, 0, 3, 7, 6, 5], np.int64), axis=2)
    return net.model(net.node("Relu", out) if relu else out)


def where() -> ModelProto:
    net = Net(SHAPE)
    condition = net.node("Greater", "x", net.constant(0.3))
    return net.model(net.node("Where", condition, "x", net.node("Sigmoid", "x")))


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (concat(), "concat.order"),
        (split(), "split.order"),
        (split(9), "split.order"),
        (gather(), "gather.index"),
        (gather(relu=False), "gather.index"),
        (gather(), "gather.axis"),
        (where(), "where.order"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_fault_is_named_and_proven(model: ModelProto, kind: str, seed: int, tmp_path: Path) -> None:
    found = planted(model, kind, {"x": image(SHAPE)}, tmp_path, seed)
    assert (found.kind, found.proven) == (kind, True)


def test_a_concat_along_the_wrong_axis(tmp_path: Path) -> None:
    faulty = with_attribute(concat(), "Concat", axis=2)
    found = against(concat(), faulty, {"x": image(SHAPE)}, tmp_path)
    assert (found.kind, found.proven) == ("concat.axis", True)


def test_paddles_sections_with_a_rest(tmp_path: Path) -> None:
    """-1 is what is left; the sizes of the parts differ, so the shapes downstream do."""
    x = image(SHAPE)
    reference = paddle_op("split", {"X": None}, {"axis": 1, "num": 0, "sections": [3, -1]}, outputs=2)
    net = Net(SHAPE)
    net.node("Split", "x", net.constant([5, 3], np.int64), outputs=["a", "b"], axis=1)
    found = cause(reference, net.model("a", "b"), {"x": x}, {"a": x[:, :3], "b": x[:, 3:]}, tmp_path)
    assert (found.kind, found.proven) == ("split.sizes", True)


def test_many_wrong_indices_are_read_off_the_reference(tmp_path: Path) -> None:
    """Where the index is computed in the reference: each slice of its tensor is found in the input."""
    x = image(SHAPE)
    reference = paddle_op("index_select", {"X": None}, {"dim": 2})
    model = gather(relu=False)
    out = model.graph.output[0].name
    found = cause(reference, model, {"x": x}, {out: x[:, :, [7, 4, 2, 1, 3, 0, 6, 5]]}, tmp_path)
    assert (found.kind, found.proven) == ("gather.index", True)


def test_numbers_that_are_no_slices_prove_nothing(tmp_path: Path) -> None:
    x = image(SHAPE)
    reference = paddle_op("index_select", {"X": None}, {"dim": 2})
    model = gather(relu=False)
    out = model.graph.output[0].name
    truth = outputs_of(model, {"x": x})[out] + 0.25 * image(SHAPE, seed=1)
    assert not cause(reference, model, {"x": x}, {out: truth}, tmp_path).proven


@pytest.mark.parametrize("opset", [11, 17])
def test_an_axis_put_in_at_the_wrong_place(opset: int, tmp_path: Path) -> None:
    def model(axis: int) -> ModelProto:
        net = Net((6, 6), opset=opset)
        if opset >= 13:
            out = net.node("Unsqueeze", "x", net.constant([axis], np.int64))
        else:
            out = net.node("Unsqueeze", "x", axes=[axis])
        return net.model(net.node("Add", net.node("Relu", out), "x"))

    found = against(model(0), model(1), {"x": image((6, 6))}, tmp_path)
    assert (found.kind, found.proven) == ("unsqueeze.axes", True)


def test_flatten(tmp_path: Path) -> None:
    def model(axis: int) -> ModelProto:
        net = Net(SHAPE)
        return net.model(net.node("Softmax", net.node("Flatten", "x", axis=axis), axis=1))

    found = against(model(2), model(1), {"x": image(SHAPE)}, tmp_path)
    assert (found.kind, found.proven) == ("flatten.axis", True)
    assert find_node(found.repaired, "Flatten").attribute[0].i == 2
