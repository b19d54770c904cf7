"""What do Paddle's convolutions, pools and resizes mean in ONNX? NCHW with explicit padding; else nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from segdiff.core.edit import Node
from segdiff.diagnose.reading.paddle_op import PaddleOp
from segdiff.diagnose.reading.translation_parts import cast

Nodes = tuple[Node, ...]


def plainly_padded(op: PaddleOp) -> bool:
    """Whether the channels come first and the padding is given in numbers."""
    form = str(op.says("data_format", "data_layout", default="NCHW"))
    return not form.endswith("C") and op.says("padding_algorithm", default="EXPLICIT") == "EXPLICIT"


def pads(op: PaddleOp) -> list[int]:
    """The padding of height and width in ONNX's order: all begins, then all ends."""
    given = op.integers("paddings")
    if len(given) == 4:
        return [given[0], given[2], given[1], given[3]]
    return [*given, *given]


def windows(op: PaddleOp) -> dict[str, Any]:
    """How a convolution moves over its input, in ONNX's words."""
    return {
        "strides": op.integers("strides"),
        "dilations": op.integers("dilations"),
        "group": int(op.number("groups", default=1)),
        "pads": pads(op),
    }


def conv(op: PaddleOp) -> Nodes | None:
    """A convolution without a bias, which is an op of its own in Paddle."""
    if not plainly_padded(op):
        return None
    return (op.node("Conv", op.x, op.operand("Filter", "filter"), **windows(op)),)


def conv_transpose(op: PaddleOp) -> Nodes | None:
    """A transposed convolution; one whose output has a given size is left out."""
    if not plainly_padded(op) or op.integers("output_size"):
        return None
    settings = windows(op)
    if more := op.integers("output_padding"):
        settings["output_padding"] = more
    return (op.node("ConvTranspose", op.x, op.operand("Filter", "filter"), **settings),)


def pool(op: PaddleOp) -> Nodes | None:
    """A pool by windows, or over the whole image; no adaptive one."""
    mean = op.says("pooling_type", default="max") == "avg"
    kernel = op.integers("ksize", "kernel_size")
    whole = bool(op.says("global_pooling", default=False))
    if op.says("adaptive", default=False):
        if kernel != [1, 1]:
            return None
        whole = True
    if not plainly_padded(op):
        return None
    if whole:
        return (op.node("GlobalAveragePool" if mean else "GlobalMaxPool", op.x),)
    settings: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": op.integers("strides"),
        "pads": pads(op),
        "ceil_mode": int(bool(op.says("ceil_mode", default=False))),
    }
    if mean:
        settings["count_include_pad"] = int(not op.says("exclusive", default=True))
    return (op.node("AveragePool" if mean else "MaxPool", op.x, **settings),)


def pool_with_places(op: PaddleOp) -> Nodes | None:
    """A maximum pool that also says where each maximum stands in its plane; an adaptive one of even windows.

    ONNX counts places through the whole tensor.
    """
    values, places = op.sorted_ends()
    size, kernel = op.shape(op.x)[2:], op.integers("ksize", "kernel_size")
    settings: dict[str, Any] = {"strides": op.integers("strides"), "pads": pads(op)}
    if op.says("global_pooling", default=False):
        kernel = list(size)
        settings = {}
    elif op.says("adaptive", default=False):
        if any(whole % part for whole, part in zip(size, kernel, strict=True)):
            return None
        kernel = [whole // part for whole, part in zip(size, kernel, strict=True)]
        settings = {"strides": kernel}
    settings["kernel_shape"] = kernel
    if op.says("ceil_mode", default=False):
        settings["ceil_mode"] = 1
    through, number, start, inside = (op.inner(word) for word in ("through", "number", "start", "inside"))
    plane = np.array(np.prod(size), np.int64)
    return (
        Node("MaxPool", (op.x,), (values, through), settings),
        op.node("Div", through, plane, to=number),
        op.node("Mul", number, plane, to=start),
        op.node("Sub", through, start, to=inside),
        cast(op, inside, op.dtype(places), places),
    )


MODES = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}
"""Paddle's word for a way to resize images -> ONNX's."""


def resize(op: PaddleOp) -> Nodes | None:
    """A resize by factors or to a given size; one whose size a tensor says is left out."""
    mode = MODES.get(str(op.says("interp_method", default="")))
    if mode is None or not plainly_padded(op) or op.case.opset < 11:
        return None
    if any(op.named(slot) for slot in ("OutSize", "out_size", "SizeTensor", "size_tensor")):
        return None
    factors = np.asarray(op.says("scale", default=[])).reshape(-1)
    aligned = bool(op.says("align_corners", default=False))
    settings: dict[str, Any] = {"mode": mode}
    if aligned:
        settings["coordinate_transformation_mode"] = "align_corners"
    elif mode == "nearest" or (mode == "linear" and op.number("align_mode", default=1) == 1):
        settings["coordinate_transformation_mode"] = "asymmetric"
    else:
        settings["coordinate_transformation_mode"] = "half_pixel"
    if mode == "nearest":
        settings["nearest_mode"] = "round_prefer_ceil" if aligned else "floor"
    if factors.size and np.all(factors > 0):
        scales = np.array([1, 1, *np.broadcast_to(factors, 2)], np.float32)
        return (op.node("Resize", op.x, None, scales, **settings),)
    size = [int(op.number(word, default=0)) for word in ("out_h", "out_w")]
    if min(size) <= 0 or (
        1 in size and mode != "nearest"
    ):  # one row: Paddle takes the first, ONNX the middle
        return None
    whole = np.array([*op.shape(op.x)[:2], *size], np.int64)
    return (op.node("Resize", op.x, None, None, whole, **settings),)


def full_like(op: PaddleOp) -> Nodes | None:
    """One number in the shape of a tensor."""
    value = np.array([op.number("value")], op.dtype(op.out))
    sizes = op.inner("sizes")
    return op.node("Shape", op.x, to=sizes), op.node("ConstantOfShape", sizes, value=value)


WINDOWS = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d"), conv),
    **dict.fromkeys(("conv2d_transpose", "depthwise_conv2d_transpose"), conv_transpose),
    "pool2d": pool,
    "max_pool2d_with_index": pool_with_places,
    **{f"{word}_interp{end}": resize for word in MODES for end in ("", "_v2")},
    "full_like": full_like,
    "fill_any_like": full_like,
}
"""By the op's own name."""
