"""One number agrees with many things: what the reference does not ask for must hold on a second input too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from segdiff.core.answer import Cause
from segdiff.core.errors import EngineError
from segdiff.diagnose.chance import Second, told_of
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
    with asked(summed("Add"), np.full(SHAPE, 0.3, np.float32), tmp_path) as reference:
        cause = reference.cause(summed("Sub"))
    assert (cause.kind, cause.proven) == ("elementwise.operator", True), cause.text


class Dead:
    """A reference that is gone."""

    def __init__(self, *_: object) -> None:
        pass

    def __call__(self, *_: object) -> None:
        raise EngineError("it died")


def test_a_second_input_that_cannot_be_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segdiff.diagnose.chance.ReferenceTensors", Dead)
    run = SimpleNamespace(reference=SimpleNamespace(engine=None, feeds={}, budget=0))
    second = Second(run, SimpleNamespace(pairs=(), segment=SimpleNamespace(inputs=(), outputs=())))  # type: ignore[arg-type]
    guess = Cause("elementwise.operator", "the candidate has Add and agrees with Max.", False)
    assert told_of(guess, second) == guess  # not asked yet
    assert second(()) is None
    told = told_of(guess, second).text
    assert told.startswith("the candidate has Add and agrees with Max; ") and told.endswith("run: it died")
    assert told_of(replace(guess, proven=True), second).text == guess.text


def summed(op_type: str):
    """One number: two functions of the mean of the input, put together."""
    net = Net(SHAPE)
    mean = net.node("ReduceMean", "x", axes=[0, 1], keepdims=0)
    return net.model(net.node(op_type, net.node("Asinh", mean), net.node("Atan", mean)))
