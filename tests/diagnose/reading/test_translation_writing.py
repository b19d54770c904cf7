"""Windows that are written to and channels that are shuffled: the Paddle op, written out in ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.diagnose.in_process import cause, paddle_op
from tests.models import Array, Net, image

SHAPE = (1, 4, 6, 8)


def proven(
    op: str, attributes: dict[str, Any], truth: Array, opset: int, folder: Path, format: str = "pir"
) -> str:
    """The kind of the proven cause where a net hands its input on, laid out as the truth is."""
    x, net = image(SHAPE), Net(SHAPE, opset=opset)
    shape = net.constant(truth.shape, np.int64)
    end = net.node("Reshape", net.node("Neg", "x"), shape)
    reference = paddle_op(op, {"x": None}, attributes, format=format)
    found = cause(reference, net.model(end), {"x": x}, {end: np.ascontiguousarray(truth)}, folder)
    assert found.proven, found.text
    return found.kind


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize(
    ("window", "axes", "starts", "ends", "steps"),
    [
        (np.s_[:, 1:3, 2:], [1, 2], [1, 2], [3, 2**31 - 1], [1, 1]),
        (np.s_[:, ::-1, 3:0:-2], [1, 2], [2**31 - 1, 3], [-(2**31), 0], [-1, -2]),
        (np.s_[:, :, ::2], [2], [0], [2**31 - 1], [2]),
        (np.s_[:, :, -2:-1], [2], [-2], [-1], [1]),
    ],
)
def test_a_window_is_written_to(window, axes, starts, ends, steps, opset: int, tmp_path: Path) -> None:
    truth = image(SHAPE).copy()
    truth[window] = -1.5
    attributes = {"axes": axes, "starts": starts, "ends": ends, "steps": steps}
    attributes |= {"decrease_axes": [], "none_axes": [], "shape": [1], "values": [-1.5]}
    assert proven("set_value", attributes, truth, opset, tmp_path) == "set_value.replaced"


def test_one_row_is_written_to(tmp_path: Path) -> None:
    truth = image(SHAPE).copy()
    truth[:, :, -2] = np.arange(8)
    attributes = {"axes": [2], "starts": [-2], "ends": [-1], "steps": [1], "decrease_axes": [2]}
    attributes |= {"none_axes": [], "shape": [8], "values": list(map(float, range(8)))}
    assert proven("set_value", attributes, truth, 13, tmp_path, "pdmodel") == "set_value.replaced"


def last(x: Array) -> Array:
    return x.transpose(0, 2, 3, 1)


def first(x: Array) -> Array:
    return x.transpose(0, 3, 1, 2)


def shuffled(x: Array, r: int) -> Array:
    n, c, h, w = x.shape
    return x.reshape(n, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // r**2, h * r, w * r)


def unshuffled(x: Array, r: int) -> Array:
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4)
    return parts.reshape(n, c * r**2, h // r, w // r)


def dealt(x: Array, groups: int) -> Array:
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).swapaxes(1, 2).reshape(x.shape)


@pytest.mark.parametrize("opset", [9, 13])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    ("op", "setting", "what"),
    [
        ("pixel_shuffle", "upscale_factor", shuffled),
        ("pixel_unshuffle", "downscale_factor", unshuffled),
        ("channel_shuffle", "groups", dealt),
    ],
)
def test_channels_and_pixels_are_shuffled(op, setting, what, layout: str, opset: int, tmp_path: Path) -> None:
    x = image(SHAPE)
    truth = what(x, 2) if layout == "NCHW" else last(what(first(x), 2))
    kind = proven(op, {setting: 2, "data_format": layout}, truth, opset, tmp_path)
    assert kind.endswith(".replaced") or kind.startswith("depth_to_space"), kind
