"""Softmax and LogSoftmax: the axis, in both semantics, and the operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from tests.diagnose.in_process import Array, against, cause, paddle_op, planted
from tests.models import Net, image

SHAPE = (2, 4, 5, 6)


def soft(opset: int = 17, op_type: str = "Softmax", **settings: Any) -> ModelProto:
    net = Net(SHAPE, opset=opset)
    return net.model(net.node(op_type, "x", **settings))


def along(x: Array, *axes: int) -> Array:
    e = np.exp(x - x.max(axis=axes, keepdims=True))
    return np.asarray(e / e.sum(axis=axes, keepdims=True))


@pytest.mark.parametrize("kind", ["softmax.axis", "softmax.operator"])
@pytest.mark.parametrize("opset", [9, 13])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_planted_fault_is_named_and_proven(kind: str, opset: int, seed: int, tmp_path: Path) -> None:
    found = planted(soft(opset, axis=3), kind, {"x": image(SHAPE)}, tmp_path, seed)
    assert (found.kind, found.proven) == (kind, True)


@pytest.mark.parametrize("opset", [9, 12, 13, 17])
@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("format", ["pdmodel", "pir"])
def test_paddles_axis(axis: int, opset: int, format: str, tmp_path: Path) -> None:
    """An old Softmax takes all axes behind with it, so for an inner one the tensor is transposed."""
    x = image(SHAPE)
    reference = paddle_op("softmax", {"x" if format == "pir" else "X": None}, {"axis": axis}, format=format)
    faulty = soft(opset, axis=1 if axis != 1 or opset < 13 else 2)
    out = faulty.graph.output[0].name
    found = cause(reference, faulty, {"x": x}, {out: along(x, axis)}, tmp_path)
    assert (found.kind, found.proven) == ("softmax.axis", True)
    assert found.hypothesis is not None and found.hypothesis.expected


def test_an_old_softmax_as_reference(tmp_path: Path) -> None:
    """The other way round: a reference of opset 11 normalises over several axes at once."""
    found = against(soft(11, axis=1), soft(17, axis=1), {"x": image(SHAPE)}, tmp_path)
    assert (found.kind, found.proven) == ("softmax.axis", True)
    assert "and all behind" in found.text


def test_between_transposes(tmp_path: Path) -> None:
    """What converters write for old opsets: the axis that counts is the one behind the transpose."""
    x = image(SHAPE)
    net = Net(SHAPE, opset=11)
    moved = net.node("Transpose", "x", perm=[0, 2, 3, 1])
    out = net.node("Transpose", net.node("Softmax", moved, axis=2), perm=[0, 3, 1, 2])
    reference = paddle_op("softmax", {"X": None}, {"axis": 1})
    found = cause(reference, net.model(out), {"x": x}, {out: along(x, 1)}, tmp_path)
    assert (found.kind, found.proven) == ("softmax.axis", True)
    assert found.hypothesis is not None and found.hypothesis.size == 1


def test_a_temperature_is_no_axis(tmp_path: Path) -> None:
    x = image(SHAPE)
    reference = paddle_op("softmax", {"X": None}, {"axis": 3})
    out = soft().graph.output[0].name
    assert not cause(reference, soft(), {"x": x}, {out: along(x / 2, 3)}, tmp_path).proven
