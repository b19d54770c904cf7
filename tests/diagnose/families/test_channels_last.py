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


@pytest.mark.parametrize("opset", [11, 12])
def test_a_resize_that_needs_empty_regions_and_scales(opset: int, tmp_path: Path) -> None:
    """Its sizes are joined from the image's own, as a converter writes them."""
    x, net = image(SHAPE), Net(SHAPE, opset=opset)
    none = net.constant(np.zeros(0), np.float32)
    kept = net.node("Slice", net.node("Shape", "x"), *(net.constant([n], np.int64) for n in (0, 2, 0)))
    sizes = net.node("Concat", kept, net.constant((12, 16), np.int64), axis=0)
    how = {"mode": "cubic", "coordinate_transformation_mode": "half_pixel"}
    out = net.node("Resize", "x", none, none, sizes, **how)
    twin = Net((1, 4, 6, 8), opset=13)
    end = twin.node("Resize", "x", "", "", twin.constant((1, 4, 12, 16), np.int64), **how)
    first = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    truth = np.ascontiguousarray(tensors_of(twin.model(end), {"x": first})[end].transpose(0, 2, 3, 1))
    says = {"data_layout": "NHWC", "out_h": 12, "out_w": 16, "align_corners": False}
    reference = paddle_op("bicubic_interp_v2", {"X": None}, says, format="pdmodel")
    found = cause(reference, net.model(out), {"x": x}, {out: truth}, tmp_path)
    assert (found.kind, found.proven) == ("resize.layout", True), found.text


@pytest.mark.parametrize(
    ("op_type", "kind", "mean"), [("AveragePool", "avg", True), ("MaxPool", "max", False)]
)
def test_windows_that_adapt_to_the_wrong_axes(op_type: str, kind: str, mean: bool, tmp_path: Path) -> None:
    shape, counts = (1, 7, 9, 4), (3, 4)
    x, net = image(shape), Net(shape, opset=13)
    out = net.node(op_type, "x", kernel_shape=[3, 1], strides=[2, 1])
    rows, columns = (
        [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        for n, m in zip(shape[1:3], counts, strict=True)
    )
    take = np.mean if mean else np.max
    truth = np.stack(
        [np.stack([take(x[:, a:b, c:d], axis=(1, 2)) for c, d in columns], axis=1) for a, b in rows], axis=1
    ).astype(np.float32)
    says = {"data_format": "NHWC", "adaptive": True, "ksize": list(counts)}
    says["pooling_type"] = "avg" if mean else "max"
    reference = paddle_op("pool2d", {"X": None}, says, format="pdmodel")
    found = cause(reference, net.model(out), {"x": x}, {out: truth}, tmp_path)
    words = "average_pool.layout" if mean else "max_pool.layout"
    assert (found.kind, found.proven) == (words, True), found.text
