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
