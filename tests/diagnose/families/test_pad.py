"""Pad: how much at which end of which axis, filled with what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from tests.diagnose.in_process import Array, against, cause, paddle_op, planted
from tests.models import Net, image

SHAPE = (1, 3, 8, 12)
PADS = (0, 0, 1, 2, 0, 0, 3, 0)


def padded(
    opset: int = 17, mode: str = "constant", pads: tuple[int, ...] = PADS, value: float = 0.0
) -> ModelProto:
    net = Net(SHAPE, opset=opset)
    if opset < 11:
        return net.model(net.node("Pad", "x", mode=mode, pads=list(pads), value=value))
    operands = [net.constant(pads, np.int64)] + ([net.constant(value)] if mode == "constant" else [])
    return net.model(net.node("Pad", "x", *operands, mode=mode))


@pytest.mark.parametrize("kind", ["pad.mode", "pad.value", "pad.amount"])
@pytest.mark.parametrize("opset", [9, 17])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_fault_is_named_and_proven(kind: str, opset: int, seed: int, tmp_path: Path) -> None:
    found = planted(padded(opset), kind, {"x": image(SHAPE)}, tmp_path, seed)
    assert (found.kind, found.proven) == (kind, True)


def paddles(mode: str) -> Array:
    """Rows: one above and three below; columns: two on the left."""
    how = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    more = {"constant_values": 0.5} if mode == "constant" else {}
    return np.pad(image(SHAPE), ((0, 0), (0, 0), (1, 3), (2, 0)), mode=how, **more)


@pytest.mark.parametrize("format", ["pdmodel", "pir"])
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("opset", [9, 17, 19])
def test_paddles_modes(mode: str, format: str, opset: int, tmp_path: Path) -> None:
    """``circular`` has an ONNX word from opset 19 on; before, it is made of slices."""
    amounts = [2, 0, 1, 3, 0, 0]
    if format == "pdmodel":
        attributes = {"mode": mode, "paddings": amounts, "value": 0.5, "data_format": "NCDHW"}
        reference = paddle_op("pad3d", {"X": None}, attributes)
    else:
        attributes = {"mode": mode, "pad_value": 0.5, "data_format": "NCDHW"}
        slots = {"x": None, "paddings": np.array(amounts)}
        reference = paddle_op("pad3d", slots, attributes, format="pir")
    faulty = padded(opset)
    out = faulty.graph.output[0].name
    found = cause(reference, faulty, {"x": image(SHAPE)}, {out: paddles(mode)}, tmp_path)
    assert (found.kind, found.proven) == ("pad.value" if mode == "constant" else "pad.mode", True)


@pytest.mark.parametrize(
    ("op_type", "amounts", "more"),
    [
        ("pad3d", [2, 0, 1, 3, 0, 0], {"data_format": "NCDHW", "mode": "constant"}),
        ("pad2d", [1, 3, 2, 0], {"data_format": "NCHW", "mode": "constant"}),
        ("pad", [0, 0, 0, 0, 1, 3, 2, 0], {}),
        ("pad", [2, 0, 1, 3, 0, 0, 0, 0], {"pad_from_left_axis": False}),
    ],
)
def test_each_op_lists_its_amounts_in_its_own_order(
    op_type: str, amounts: list[int], more: dict[str, object], tmp_path: Path
) -> None:
    reference = paddle_op(op_type, {"X": None}, {"paddings": amounts, **more})
    truth = np.pad(image(SHAPE), ((0, 0), (0, 0), (1, 3), (2, 0)))
    faulty = padded(pads=(0, 0, 0, 0, 0, 0, 1, 3))
    out = faulty.graph.output[0].name
    found = cause(reference, faulty, {"x": image(SHAPE)}, {out: truth}, tmp_path)
    assert (found.kind, found.proven) == ("pad.amount", True)
    assert found.hypothesis is not None and found.hypothesis.expected


def test_two_settings_at_once(tmp_path: Path) -> None:
    found = against(
        padded(mode="reflect"), padded(pads=(0, 0, 2, 1, 0, 0, 2, 1)), {"x": image(SHAPE)}, tmp_path
    )
    assert found.proven and found.kind in ("pad.mode", "pad.amount")


def test_a_filling_that_no_mode_gives_proves_nothing(tmp_path: Path) -> None:
    reference = paddle_op("fused_something", {"X": None}, {})
    truth = np.pad(image(SHAPE), ((0, 0), (0, 0), (1, 3), (2, 0)), constant_values=0.37)
    out = padded().graph.output[0].name
    assert not cause(reference, padded(), {"x": image(SHAPE)}, {out: truth}, tmp_path).proven
