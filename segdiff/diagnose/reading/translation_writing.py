"""What do Paddle's ops that write into a window, or shuffle channels and pixels, mean in ONNX?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segdiff.core.edit import Node, Operand
from segdiff.diagnose.reading.paddle_op import PaddleOp, ints

Nodes = tuple[Node, ...]

SCATTERS = 11
"""The opset from which elements are written by ScatterElements."""


def set_value(op: PaddleOp) -> Nodes | None:
    """A window with a step on each axis, written over: by the places of its elements in the flat tensor."""
    if op.case.opset < SCATTERS or op.integers("none_axes"):
        return None
    shape, axes = op.shape(op.x), op.integers("axes")
    bounds = zip(axes, op.integers("starts"), op.integers("ends"), op.integers("steps"), strict=True)
    places = [np.arange(size) for size in shape]
    for axis, start, end, step in bounds:
        places[axis] = np.arange(*_within(shape[axis], start, end, step), step)
    window = np.arange(int(np.prod(shape))).reshape(shape)[np.ix_(*places)]
    gone = op.integers("decrease_axes")
    target = [size for axis, size in enumerate(window.shape) if axis not in gone]
    laid, values, flat, put = (op.inner(word) for word in ("laid", "values", "flat", "put"))
    return (
        op.node("Expand", _written(op), ints(target), to=laid),
        op.node("Reshape", laid, ints([-1]), to=values),
        op.node("Reshape", op.x, ints([-1]), to=flat),
        op.node("ScatterElements", flat, ints(window), values, to=put, axis=0),
        op.node("Reshape", put, ints(shape)),
    )


def _within(size: int, start: int, end: int, step: int) -> tuple[int, int]:
    """The ends of a range as Paddle reads them: from behind where negative, and cut off at the tensor's."""
    low, high = (0, size) if step > 0 else (-1, size - 1)
    first, last = (each + size if each < 0 else each for each in (start, end))
    return min(max(first, low), high), min(max(last, low), high)


def _written(op: PaddleOp) -> Operand:
    if op.named("ValueTensor", "values") is not None:
        return op.operand("ValueTensor", "values")
    dtype = op.dtype(op.x)
    names = ("values", "fp32_values", "fp64_values", "int32_values", "int64_values", "bool_values")
    told = next(found for name in names if (found := op.says(name, default=[])) not in ([], None))
    shape = op.integers("shape") or [1]
    return np.asarray(told, dtype).reshape(shape)


def pixel_shuffle(op: PaddleOp) -> Nodes:
    """Channels that become pixels, the channels first or last."""
    factor, shape = int(op.number("upscale_factor")), list(op.shape(op.x))
    if not _last(op):
        if op.case.opset >= SCATTERS:
            return (op.node("DepthToSpace", op.x, blocksize=factor, mode="CRD"),)
        parted = [shape[0], shape[1] // factor**2, factor, factor, shape[2], shape[3]]
    else:
        parted = [*shape[:3], shape[3] // factor**2, factor, factor]
    return _turned(op, parted, [0, 1, 4, 2, 5, 3])


def pixel_unshuffle(op: PaddleOp) -> Nodes:
    """Pixels that become channels."""
    factor, shape = int(op.number("downscale_factor")), list(op.shape(op.x))
    if _last(op):
        parted = [shape[0], shape[1] // factor, factor, shape[2] // factor, factor, shape[3]]
    else:
        parted = [shape[0], shape[1], shape[2] // factor, factor, shape[3] // factor, factor]
    return _turned(op, parted, [0, 1, 3, 5, 2, 4])


def channel_shuffle(op: PaddleOp) -> Nodes:
    """Channels dealt out of their groups."""
    groups, shape = int(op.number("groups")), list(op.shape(op.x))
    if _last(op):
        return _turned(op, [*shape[:3], groups, shape[3] // groups], [0, 1, 2, 4, 3])
    return _turned(op, [shape[0], groups, shape[1] // groups, *shape[2:]], [0, 2, 1, 3, 4])


def _last(op: PaddleOp) -> bool:
    return str(op.says("data_format", default="NCHW")) == "NHWC"


def _turned(op: PaddleOp, parted: Sequence[int], perm: list[int]) -> Nodes:
    """Axes parted, turned and joined again to the output's shape."""
    apart, turned = op.inner("parted"), op.inner("turned")
    return (
        op.node("Reshape", op.x, ints(parted), to=apart),
        op.node("Transpose", apart, to=turned, perm=perm),
        op.node("Reshape", turned, ints(op.shape(op.out))),
    )
