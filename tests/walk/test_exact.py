"""Operators that round nothing: on equal inputs no last bit excuses another choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto

from segdiff import locate
from segdiff.core.answer import Report
from tests.models import Array, Net, save

HALVES = (np.random.default_rng(3).integers(-6, 7, (1, 3, 8, 8)) / 2).astype(np.float32)
"""Whole numbers and halves: the last bit of a whole number decides what a cast makes of it."""


def told(ours: ModelProto, theirs: ModelProto, x: Array, folder: Path) -> Report:
    files = save(ours, folder / "a.onnx"), save(theirs, folder / "b.onnx")
    return locate(*files, {"x": x}, threads=1, deployed=False)


def compared(casts: bool, op_type: str = "Equal", *, halves: bool = False) -> ModelProto:
    """Two channels compared, as they are or after a cast to integers."""
    net = Net(HALVES.shape)
    parts = [net.node("Slice", "x", *(net.constant([n], np.int64) for n in (k, k + 1, 1))) for k in range(2)]
    if halves:
        parts = [net.node("Mul", part, net.constant(0.5)) for part in parts]
    if casts:
        parts = [net.node("Cast", part, to=TensorProto.INT32) for part in parts]
    return net.model(net.node(op_type, *parts), types={"equal_8": TensorProto.BOOL})


def cut_off(op_type: str) -> ModelProto:
    """Halves made whole numbers, and whether these are above zero."""
    net = Net(HALVES.shape)
    whole = net.node("Cast", net.node(op_type, "x"), to=TensorProto.INT32)
    return net.model(net.node("Cast", whole, to=TensorProto.FLOAT))


def test_floats_compared_as_integers_are_no_tie(tmp_path: Path) -> None:
    ours, theirs = compared(False), compared(True)
    for model in (ours, theirs):
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.BOOL
    report = told(ours, theirs, HALVES, tmp_path)
    assert report.verdict == "diverges"
    assert report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("comparison.truncated", True)


@pytest.mark.parametrize("other", ["Identity", "Floor", "Ceil"])
def test_another_way_to_whole_numbers_is_no_tie(other: str, tmp_path: Path) -> None:
    report = told(cut_off("Round"), cut_off(other), HALVES, tmp_path)
    assert report.verdict == "diverges"
    assert report.first is not None and report.first.cause is not None and report.first.cause.proven


def test_what_is_rounded_on_the_way_may_still_be_a_tie(tmp_path: Path) -> None:
    """A sixth taken in another order is another last bit, and a sixth of six may be below one."""
    x = np.arange(192, dtype=np.float32).reshape(HALVES.shape)

    def whole(together: bool) -> ModelProto:
        net = Net(HALVES.shape)
        third, half = net.constant(np.float32(1 / 3)), net.constant(np.float32(1 / 7))
        if together:
            part = net.node("Mul", "x", net.constant(np.float32(1 / 21)))
        else:
            part = net.node("Mul", net.node("Mul", "x", third), half)
        number = net.node("Cast", part, to=TensorProto.INT32)
        return net.model(net.node("Cast", number, to=TensorProto.FLOAT))

    assert told(whole(True), whole(False), x, tmp_path).verdict == "agrees"
