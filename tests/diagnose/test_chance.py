"""One number agrees with many things: what the reference does not ask for must hold on a second input too."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.diagnose.bench import asked
from tests.models import Net

SHAPE = (1, 4)


def largest(op_type: str, value: float):
    """One number: the mean of the input, with a constant."""
    net = Net(SHAPE)
    mean = net.node("ReduceMean", "x", axes=[0, 1], keepdims=0)
    return net.model(net.node(op_type, net.node("Cos", mean), net.constant(value)))


def test_the_constant_comes_before_another_operator(tmp_path: Path) -> None:
    """Max of (1, 2) and 2 is 2: it would agree on this very input."""
    with asked(largest("Add", 1.0), np.zeros(SHAPE, np.float32), tmp_path) as reference:
        cause = reference.cause(largest("Add", 2.0))
    assert cause.kind.startswith("parameter."), cause.text
    assert cause.proven


def test_what_holds_on_the_second_input_too_is_proven(tmp_path: Path) -> None:
    net = Net(SHAPE)
    mean = net.node("ReduceMean", "x", axes=[0, 1], keepdims=0)
    ours = net.model(net.node("Add", net.node("Asinh", mean), net.node("Atan", mean)))
    net = Net(SHAPE)
    mean = net.node("ReduceMean", "x", axes=[0, 1], keepdims=0)
    theirs = net.model(net.node("Sub", net.node("Asinh", mean), net.node("Atan", mean)))
    with asked(ours, np.full(SHAPE, 0.3, np.float32), tmp_path) as reference:
        cause = reference.cause(theirs)
    assert (cause.kind, cause.proven) == ("elementwise.operator", True), cause.text
