"""Bytes between operators: they are another form of a value, and neither bind nor hide anything."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from onnx import ModelProto

from segdiff.align import align, coverage
from segdiff.core.graph import Graph
from tests.models import Net, graph_of, with_pairs


def skipped() -> ModelProto:
    """A PRelu that two branches read, one of them a second time further down."""
    net = Net()
    stem = net.node("PRelu", net.conv("x", (3, 6)), net.constant([[[0.1]]] * 6))
    one = net.node("PRelu", net.conv(stem, (6, 6)), net.constant([[[0.2]]] * 6))
    other = net.node("Add", net.conv(one, (6, 6)), stem)
    return net.model(net.node("Concat", net.conv(other, (6, 4)), one, axis=1))


@pytest.fixture
def read(tmp_path: Path) -> Callable[[ModelProto], Graph]:
    """Models as segdiff reads them."""
    number = count()
    return lambda model: graph_of(model, tmp_path, str(next(number)))


Read = Callable[[ModelProto], Graph]


def ends(ours: Graph, theirs: Graph) -> list[int]:
    """How many values each segment ends in."""
    return [len(segment.outputs) for segment in align(ours, theirs).segments]


def test_bytes_that_several_operators_read_keep_the_segments_apart(read: Read) -> None:
    ours, theirs = read(skipped()), read(with_pairs(skipped()))
    assert ends(ours, theirs) == ends(ours, ours)
    assert coverage(align(ours, theirs)) == (1.0, 1.0)


def test_a_value_of_several_readers_is_taken_where_its_bytes_are_turned_back(read: Read) -> None:
    model = with_pairs(skipped())
    found = align(read(skipped()), read(model))
    prelu = next(node.output[0] for node in skipped().graph.node if node.op_type == "PRelu")
    assert found.pairs[prelu] == f"{prelu}.back"


def test_a_bias_that_is_added_behind_bytes_is_not_lost(read: Read) -> None:
    """Paddle adds it in an operator of its own, and so does a file whose converter kept it apart."""

    def model() -> ModelProto:
        net = Net()
        biased = net.node("Add", net.conv("x", (3, 6), bias=False), net.weight(1, 6, 1, 1))
        return net.model(net.node("Relu", biased))

    ours, theirs = read(model()), read(with_pairs(model()))
    pairs = align(ours, theirs).pairs
    add = next(op for op in ours.ops if op.type == "Add")
    assert theirs.producer[pairs[add.outputs[0]]].type != "Conv"


def test_a_bias_inside_one_product_and_behind_the_other(read: Read) -> None:
    """Further down the bytes of an Add of a number stand like the Add of the bias, and are not it."""

    def model(*, inside: bool) -> ModelProto:
        net = Net()
        weight, bias = net.weight(6, 3, 3, 3), net.weight(6)
        operands = [weight, bias] if inside else [weight]
        out = net.node("Conv", "x", *operands, pads=[1] * 4)
        if not inside:
            out = net.node("Add", out, net.constant(net.constants[bias].reshape(1, 6, 1, 1)))
        one = net.node("Mul", out, net.constant([1.5]))
        return net.model(net.node("Mul", one, net.node("Add", one, net.constant([3.0]))))

    ours, theirs = read(model(inside=False)), read(with_pairs(model(inside=True)))
    for first, second in ((ours, theirs), (theirs, ours)):
        found = align(first, second)
        assert coverage(found) == (1.0, 1.0)
        add = next(op.outputs[0] for op in ours.ops if op.type == "Add")
        conv = next(op.outputs[0] for op in theirs.ops if op.type == "Conv")
        pairs = found.pairs if first is ours else {c: r for r, c in found.pairs.items()}
        assert pairs[add] == f"{conv}.back"


def test_a_cast_that_several_operators_read_keeps_the_segments_apart(read: Read) -> None:
    """onnxruntime's tool casts to float32 what operators read that it leaves in float32: once for all."""

    def model(*, cast: bool) -> ModelProto:
        net = Net()
        stem = net.node("Relu", net.conv("x", (3, 6)))
        wide = net.node("Cast", stem, to=11) if cast else stem
        one = net.node("Relu", net.conv(wide, (6, 6)))
        return net.model(net.node("Add", net.node("Relu", net.conv(one, (6, 6))), wide))

    ours, theirs = read(model(cast=False)), read(model(cast=True))
    assert ends(ours, theirs) == ends(ours, ours)


def test_a_bias_inside_a_product_whose_bytes_do_what_the_activation_does(read: Read) -> None:
    def ours() -> ModelProto:
        net = Net()
        out = net.node("Add", net.conv("x", (3, 6), bias=False), net.weight(1, 6, 1, 1))
        return net.model(net.node("Mul", net.node("Relu", out), net.constant([1.5])))

    net = Net()
    weight = net.weight(6, 3, 3, 3)
    out = net.node("Conv", "x", weight, net.weight(6), pads=[1] * 4)
    theirs = with_pairs(net.model(net.node("Mul", out, net.constant([1.5]))), zero=0)
    found = align(read(ours()), read(theirs))
    maker = {c: r for r, c in found.pairs.items()}
    assert maker[f"{out}.back"].startswith("relu")


def test_an_addition_for_each_channel_is_not_one_of_a_single_number(read: Read) -> None:
    """A hard swish that is written out begins with a sum, as a bias is one; its clip may be done by bytes."""

    def scaled(net: Net, x: str) -> str:
        return net.node("Add", net.node("Mul", x, net.constant([2.5])), net.constant([-0.8]))

    ours, theirs = Net(), Net(seed=1)
    biased = ours.node("Add", ours.conv("x", (3, 6), bias=False), ours.weight(1, 6, 1, 1))
    one = ours.model(ours.node("Mul", ours.node("HardSwish", scaled(ours, biased)), ours.constant([3.0])))
    x = scaled(theirs, theirs.conv("x", (3, 6)))
    gate = theirs.node("Add", x, theirs.constant([3.0]))
    swish = theirs.node("Mul", theirs.node("Mul", x, gate), theirs.constant([1 / 6]))
    other = theirs.model(theirs.node("Mul", swish, theirs.constant([3.0])))
    assert align(read(one), read(other)).pairs.get(biased) != gate
