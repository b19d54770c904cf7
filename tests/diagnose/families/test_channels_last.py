"""A converter that does not read the layout: the operator works on the wrong axes.

A nearest resize can also be mended by its sizes alone, which is the smaller change.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.diagnose.in_process import cause, paddle_op
from tests.models import Array, Net, image, tensors_of

SHAPE = (1, 6, 8, 4)


def resized(net: Net, x: str, shape: tuple[int, ...]) -> str:
    sizes = net.constant(shape, np.int64)
    return net.node("Resize", x, "", "", sizes, mode="nearest", nearest_mode="floor")


def right(op_type: str, x: Array) -> Array:
    """The operator on the channels first, its result turned back."""
    net = Net((1, 4, 6, 8), opset=13)
    out = resized(net, "x", (1, 4, 12, 16)) if op_type == "Resize" else pooled(net, op_type)
    model = net.model(out)
    first = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return np.ascontiguousarray(tensors_of(model, {"x": first})[out].transpose(0, 2, 3, 1))


def pooled(net: Net, op_type: str) -> str:
    return net.node(op_type, "x", kernel_shape=[2, 2], strides=[2, 2])


@pytest.mark.parametrize(
    ("op_type", "paddle", "says", "kind"),
    [
        ("AveragePool", "pool2d", {"data_format": "NHWC", "pooling_type": "avg"}, "average_pool.layout"),
        ("MaxPool", "pool2d", {"data_format": "NHWC", "pooling_type": "max"}, "max_pool.layout"),
        ("Resize", "nearest_interp_v2", {"data_layout": "NHWC", "out_h": 12, "out_w": 16}, "resize.scale"),
    ],
)
def test_the_channels_are_the_last_axis(op_type, paddle, says, kind: str, tmp_path: Path) -> None:
    x, net = image(SHAPE), Net(SHAPE, opset=13)
    out = resized(net, "x", (1, 6, 12, 16)) if op_type == "Resize" else pooled(net, op_type)
    attributes = {"ksize": [2, 2], "strides": [2, 2], "paddings": [0, 0], **says}
    reference = paddle_op(paddle, {"X": None}, attributes, format="pdmodel")
    found = cause(reference, net.model(out), {"x": x}, {out: right(op_type, x)}, tmp_path)
    assert (found.kind, found.proven) == (kind, True), found.text
