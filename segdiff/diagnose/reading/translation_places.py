"""What do Paddle's ops that move, cut, join and pick mean in ONNX?"""

from __future__ import annotations

from typing import Any

import numpy as np

from segdiff.core.edit import Node, Operand
from segdiff.diagnose.reading.paddle_op import PaddleOp, ints

Nodes = tuple[Node, ...]


def transpose(op: PaddleOp) -> Nodes:
    """The order of the axes."""
    return (op.node("Transpose", op.x, perm=op.integers("axis", "perm")),)


def reshape(op: PaddleOp) -> Nodes:
    """To the shape that the op gives on this run, or declares."""
    shape = op.case.reference.value(op.out).shape
    open_sizes = [] if shape is None else [size for size in shape if size is None or size < 0]
    if shape is not None and len(open_sizes) <= 1:
        sizes = [-1 if size is None else size for size in shape]
    else:
        sizes = list(op.shape(op.out))
    return (op.node("Reshape", op.x, ints(sizes)),)


def concat(op: PaddleOp) -> Nodes:
    """The parts of a list, joined."""
    return (Node("Concat", tuple(op.listed()), (op.out,), {"axis": int(op.number("axis", "AxisTensor"))}),)


def stack(op: PaddleOp) -> Nodes:
    """The parts of a list, each on an axis of its own."""
    axis = int(op.number("axis"))
    laid = [op.inner(f"part{number}") for number, _ in enumerate(op.listed())]
    parted = [op.node("Unsqueeze", x, ints([axis]), to=to) for x, to in zip(op.listed(), laid, strict=True)]
    return *parted, Node("Concat", tuple(laid), (op.out,), {"axis": axis})


def window(op: PaddleOp) -> Nodes | None:
    """A window, and the axes that it drops."""
    starts, ends = (op.integers(n, f"{n.capitalize()}Tensor") for n in ("starts", "ends"))
    axes, steps = op.integers("axes"), op.integers("strides")
    if not len(starts) == len(ends) == len(axes):
        return None
    bounds = (ints(starts), ints(ends), ints(axes), *((ints(steps),) if steps else ()))
    gone = op.integers("decrease_axis")
    if not gone:
        return (op.node("Slice", op.x, *bounds),)
    cut = op.inner("cut")
    return op.node("Slice", op.x, *bounds, to=cut), op.node("Squeeze", cut, ints(gone))


def roll(op: PaddleOp) -> Nodes:
    """The end of each axis moved to its front, by the shift modulo its length."""
    shifts, axes, shape = op.integers("shifts", "ShiftsTensor"), op.integers("axis"), op.shape(op.x)
    made: list[Node] = []
    here, sizes = op.x, {axis: shape[axis] for axis in axes}
    if not axes:
        made.append(op.node("Reshape", op.x, ints([-1]), to=op.inner("flat")))
        here, axes, sizes = op.inner("flat"), [0], {0: int(np.prod(shape))}
    for number, (shift, axis) in enumerate(zip(shifts, axes, strict=True)):
        head, tail, both = (op.inner(f"{word}{number}") for word in ("head", "tail", "rolled"))
        cut, far = (-shift) % sizes[axis], np.iinfo(np.int64).max
        made += [
            op.node("Slice", here, ints([0]), ints([cut]), ints([axis]), to=head),
            op.node("Slice", here, ints([cut]), ints([far]), ints([axis]), to=tail),
            op.node("Concat", tail, head, to=both, axis=axis),
        ]
        here = both
    return *made, op.node("Reshape", here, ints(shape))


def gather(op: PaddleOp) -> Nodes:
    """Slices by index."""
    index, axis = op.operand("Index", "index"), int(op.number("axis", "Axis", "dim"))
    return (op.node("Gather", op.x, index, axis=axis),)


_REDUCTIONS = {"assign": "none", "add": "add", "multiply": "mul", "mul": "mul", "amax": "max", "amin": "min"}


def put_along_axis(op: PaddleOp) -> Nodes | None:
    """Elements written by index, put, added, multiplied or compared."""
    how = _REDUCTIONS.get(str(op.says("Reduce", "reduce", default="assign")))
    if how is None or not op.says("Include_self", "include_self", default=True):
        return None
    index, values = op.operand("Index", "indices"), op.operand("Value", "values")
    settings: dict[str, Any] = {"axis": int(op.number("Axis", "axis"))}
    settings |= {} if how == "none" else {"reduction": how}
    return (op.node("ScatterElements", op.operand("Input", "arr"), index, values, **settings),)


ROI_MODES = 16
"""The opset from which RoiAlign says whether pixels have their centres at halves; before, they have not."""


def roi_align(op: PaddleOp) -> Nodes | None:
    """Regions of an image; pixels have their centres at halves where it is aligned."""
    boxes, counts = op.operand("ROIs", "boxes", "1"), op.operand("RoisNum", "boxes_num", "2")
    if not isinstance(counts, np.ndarray):
        return None
    images = np.repeat(np.arange(counts.size), counts.reshape(-1).astype(int)).astype(np.int64)
    scale, aligned = op.number("spatial_scale", default=1.0), bool(op.says("aligned", default=True))
    settings: dict[str, Any] = {
        "output_height": int(op.number("pooled_height", default=1)),
        "output_width": int(op.number("pooled_width", default=1)),
        "sampling_ratio": max(int(op.number("sampling_ratio", default=-1)), 0),
        "spatial_scale": scale,
    }
    if op.case.opset >= ROI_MODES:
        settings["coordinate_transformation_mode"] = "half_pixel" if aligned else "output_half_pixel"
    elif aligned:
        half = np.array(0.5 / scale, np.float32)
        if isinstance(boxes, np.ndarray):
            boxes = (boxes - half).astype(np.float32)
        else:
            moved = op.inner("moved")
            return op.node("Sub", boxes, half, to=moved), op.node("RoiAlign", op.x, moved, images, **settings)
    return (op.node("RoiAlign", op.x, boxes, images, **settings),)


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(op: PaddleOp) -> Nodes | None:
    """``pad`` lists both ends axis by axis from the first; ``pad3d`` from the last, without N and C."""
    amounts, rank = op.integers("paddings", "Paddings"), op.rank
    mode = _PAD_MODES[str(op.says("mode", default="constant"))]
    begins, ends = [0] * rank, [0] * rank
    if op.op.type == "pad":
        begins, ends = amounts[::2], amounts[1::2]
    else:
        channels_last = str(op.says("data_format", default="NCDHW")).endswith("C")
        last = rank - 2 if channels_last else rank - 1
        for number in range(len(amounts) // 2):
            begins[last - number], ends[last - number] = amounts[2 * number], amounts[2 * number + 1]
    value = np.array(op.number("pad_value", "value"), op.dtype(op.x))
    if mode == "wrap" and op.case.opset < 19:
        return None
    return (op.node("Pad", op.x, ints([*begins, *ends]), value if mode == "constant" else None, mode=mode),)


def matmul(op: PaddleOp) -> Nodes | None:
    """A product of matrices, either turned over."""
    made: list[Node] = []
    names: list[Operand] = []
    for slots, flags in ((("X", "x"), ("trans_x", "transpose_x")), (("Y", "y"), ("trans_y", "transpose_y"))):
        operand = op.operand(*slots)
        if op.says(*flags, default=False):
            if isinstance(operand, np.ndarray):
                operand = np.swapaxes(operand, -1, -2)
            elif isinstance(operand, str):
                rank, turned = len(op.shape(operand)), op.inner(slots[1])
                perm = [*range(rank - 2), rank - 1, rank - 2]
                made.append(op.node("Transpose", operand, to=turned, perm=perm))
                operand = turned
        names.append(operand)
    return *made, op.node("MatMul", *names)


def batch_norm(op: PaddleOp) -> Nodes:
    """A batch norm with its statistics."""
    slots = (("Scale", "scale"), ("Bias", "bias"), ("Mean", "mean"), ("Variance", "variance"))
    operands = [op.operand(*names) for names in slots]
    return (op.node("BatchNormalization", op.x, *operands, epsilon=op.number("epsilon", default=1e-5)),)
