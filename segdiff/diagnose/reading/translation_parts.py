"""What do Paddle's ops that take apart, pick, order, spread and choose mean in ONNX?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from segdiff.core.edit import Node, Operand
from segdiff.diagnose.reading.paddle_op import PaddleOp, ints

Nodes = tuple[Node, ...]
Meaning = Callable[[PaddleOp], Nodes | None]


def cast(op: PaddleOp, x: Operand, dtype: Any, to: str = "") -> Node:
    """To an element type (numpy's)."""
    from onnx import helper

    return Node("Cast", (x,), (to or op.out,), {"to": helper.np_dtype_to_tensor_dtype(np.dtype(dtype))})


# --- taken apart


def split(op: PaddleOp) -> Nodes | None:
    """Parts along an axis: of given sizes (one of them may be open), or so many equal ones."""
    axis, outs = int(op.number("axis", "AxisTensor", default=0)), op.parts()
    length = op.shape(op.x)[axis]
    sizes = op.integers("sections", "SectionsTensorList")
    if not sizes:
        sizes = [length // len(outs)] * len(outs)
    if -1 in sizes:
        sizes[sizes.index(-1)] = length - sum(size for size in sizes if size >= 0)
    if len(sizes) != len(outs):
        return None
    return (Node("Split", (op.x, ints(sizes)), tuple(outs), {"axis": axis}),)


def unbind(op: PaddleOp) -> Nodes:
    """Parts along an axis that goes away."""
    axis, outs = int(op.number("axis", default=0)), op.parts()
    cut = [op.inner(f"part{number}") for number in range(len(outs))]
    apart = Node("Split", (op.x, ints([1] * len(outs))), tuple(cut), {"axis": axis})
    return apart, *(op.node("Squeeze", x, ints([axis]), to=to) for x, to in zip(cut, outs, strict=True))


def strided_slice(op: PaddleOp) -> Nodes | None:
    """A window with steps."""
    starts, ends, steps = (op.integers(word, f"{word.capitalize()}Tensor") for word in WINDOW)
    axes = op.integers("axes")
    if not len(starts) == len(ends) == len(axes) == len(steps):
        return None
    return (op.node("Slice", op.x, ints(starts), ints(ends), ints(axes), ints(steps)),)


WINDOW = ("starts", "ends", "strides")


# --- picked


def take_along_axis(op: PaddleOp) -> Nodes:
    """Elements by index along an axis."""
    axis = int(op.number("Axis", "axis"))
    return (op.node("GatherElements", op.x, op.operand("Index", "indices"), axis=axis),)


def gather_nd(op: PaddleOp) -> Nodes:
    """Elements, or slices, by their places."""
    index = op.operand("Index", "index")
    return cast(op, index, np.int64, op.inner("index")), op.node("GatherND", op.x, op.inner("index"))


def index_sample(op: PaddleOp) -> Nodes:
    """Of each row the elements at its own places."""
    return (op.node("GatherElements", op.x, op.operand("Index", "index"), axis=1),)


def embedding(op: PaddleOp) -> Nodes | None:
    """Rows of a table; a padding index gives zeros, which the table must hold then."""
    table, index = op.operand("W", "weight"), op.operand("Ids", "x")
    padding = int(op.number("padding_idx", default=-1))
    if padding >= 0 and isinstance(table, np.ndarray):
        table = table.copy()
        table[padding] = 0
    return (op.node("Gather", table, index, axis=0),)


def scatter(op: PaddleOp) -> Nodes | None:
    """Rows written by index."""
    if not op.says("overwrite", default=True):
        return None
    index, rows = op.operand("Ids", "index"), op.operand("Updates", "updates")
    wide, places = op.inner("wide"), op.inner("places")
    return (
        cast(op, index, np.int64, wide),
        op.node("Reshape", wide, ints([-1, 1]), to=places),
        op.node("ScatterND", op.x, places, rows),
    )


def scatter_nd_add(op: PaddleOp) -> Nodes | None:
    """Numbers added by their places."""
    if op.case.opset < 16:
        return None
    wide = op.inner("wide")
    rows = op.operand("Updates", "updates", "2")
    node = op.node("ScatterND", op.x, wide, rows, reduction="add")
    return cast(op, op.operand("Index", "index", "1"), np.int64, wide), node


def where(op: PaddleOp) -> Nodes:
    """One of two by a condition."""
    names = (("Condition", "condition"), ("X", "x"), ("Y", "y"))
    return (op.node("Where", *(op.operand(*slots) for slots in names)),)


def nonzero(op: PaddleOp) -> Nodes:
    """The places of what is not zero, a row each."""
    found = op.inner("found")
    x = op.named("Condition", "condition") or op.x
    return op.node("NonZero", x, to=found), op.node("Transpose", found, perm=[1, 0])


# --- ordered


def topk(op: PaddleOp) -> Nodes:
    """The largest or smallest, and their places."""
    settings: dict[str, Any] = {
        "axis": int(op.number("axis", default=-1)),
        "largest": int(bool(op.says("largest", default=True))),
        "sorted": int(bool(op.says("sorted", default=True))),
    }
    count = ints([int(op.number("k", "K", default=1))])
    return (Node("TopK", (op.x, count), op.sorted_ends(), settings),)


def argsort(op: PaddleOp) -> Nodes:
    """All in order, and their places."""
    axis = int(op.number("axis", default=-1))
    largest = int(bool(op.says("descending", default=False)))
    count = ints([op.shape(op.x)[axis]])
    return (Node("TopK", (op.x, count), op.sorted_ends(), {"axis": axis, "largest": largest}),)


def cumsum(op: PaddleOp) -> Nodes:
    """Running sums."""
    here, nodes = op.x, []
    axis = int(op.number("axis", default=-1))
    if op.says("flatten", default=False):
        here = op.inner("flat")
        nodes.append(op.node("Reshape", op.x, ints([-1]), to=here))
        axis = 0
    settings: dict[str, Any] = {
        name: int(bool(op.says(name, default=False))) for name in ("exclusive", "reverse")
    }
    return *nodes, op.node("CumSum", here, np.array(axis, np.int64), **settings)


def flip(op: PaddleOp) -> Nodes:
    """Axes read backwards."""
    axes = op.integers("axis")
    low = np.iinfo(np.int64).min
    ends, back = [low] * len(axes), [-1] * len(axes)
    return (op.node("Slice", op.x, ints([-1] * len(axes)), ints(ends), ints(axes), ints(back)),)


# --- spread


def expand(op: PaddleOp) -> Nodes:
    """Broadcast to a shape; -1 keeps a length."""
    wanted = op.integers("shape", "Shape", "target_shape", "expand_shapes_tensor") or list(op.shape(op.out))
    return (op.node("Expand", op.x, ints([1 if size == -1 else size for size in wanted])),)


def tile(op: PaddleOp) -> Nodes:
    """Repeated along the axes, from the last one on; more repeats than axes give new ones in front."""
    repeats = op.integers("repeat_times", "RepeatTimes")
    rank, here, nodes = op.rank, op.x, []
    if len(repeats) > rank:
        here = op.inner("laid")
        nodes.append(op.node("Unsqueeze", op.x, ints(range(len(repeats) - rank)), to=here))
    repeats = [1] * (rank - len(repeats)) + repeats
    return *nodes, op.node("Tile", here, ints(repeats))


def one_hot(op: PaddleOp) -> Nodes:
    """A vector with a one for each index."""
    depth = np.array([int(op.number("depth", "num_classes", "depth_tensor"))], np.int64)
    dtype = op.dtype(op.out)
    return (op.node("OneHot", op.x, depth, np.array([0, 1], dtype), axis=-1),)


def triangle(op: PaddleOp) -> Nodes | None:
    """The upper or the lower part of a matrix."""
    lower = op.says("lower", default=True) if op.op.type == "tril_triu" else op.op.type == "tril"
    diagonal = np.array(int(op.number("diagonal", default=0)), np.int64)
    return (op.node("Trilu", op.x, diagonal, upper=int(not lower)),)


def meshgrid(op: PaddleOp) -> Nodes:
    """Every vector along an axis of its own, spread over all the others."""
    names, outs = op.listed() or list(op.op.inputs), op.parts()
    sizes = [op.shape(name)[0] if op.shape(name) else 1 for name in names]
    nodes: list[Node] = []
    for place, (x, to) in enumerate(zip(names, outs, strict=True)):
        laid = op.inner(f"laid{place}")
        line = [size if place == number else 1 for number, size in enumerate(sizes)]
        nodes += [op.node("Reshape", x, ints(line), to=laid), op.node("Expand", laid, ints(sizes), to=to)]
    return tuple(nodes)


# --- images


def grid_sample(op: PaddleOp) -> Nodes | None:
    """Sampled where a grid says."""
    if op.case.opset < 16:
        return None
    settings: dict[str, Any] = {
        "mode": str(op.says("mode", default="bilinear")),
        "padding_mode": str(op.says("padding_mode", default="zeros")),
        "align_corners": int(bool(op.says("align_corners", default=True))),
    }
    return (op.node("GridSample", op.x, op.operand("Grid", "grid"), **settings),)


def layer_norm(op: PaddleOp) -> Nodes | None:
    """A layer norm from an axis on, its scale and bias flat in Paddle."""
    if op.case.opset < 17:
        return None
    start, shape = int(op.number("begin_norm_axis", default=1)), op.shape(op.x)[:]
    inner = shape[start:]
    operands: list[Operand] = []
    for slots, number in ((("Scale", "scale"), 1.0), (("Bias", "bias"), 0.0)):
        held = op.operand(*slots) if op.named(*slots) else np.full(inner, number, op.dtype(op.x))
        if not isinstance(held, np.ndarray):
            return None
        operands.append(held.reshape(inner))
    epsilon = op.number("epsilon", default=1e-5)
    return (op.node("LayerNormalization", op.x, *operands, axis=start, epsilon=epsilon),)


def instance_norm(op: PaddleOp) -> Nodes | None:
    """Each channel of each image by its own statistics."""
    channels = op.shape(op.x)[1]
    operands: list[Operand] = []
    for slots, number in ((("Scale", "scale"), 1.0), (("Bias", "bias"), 0.0)):
        held = op.operand(*slots) if op.named(*slots) else np.full(channels, number, op.dtype(op.x))
        operands.append(held)
    return (op.node("InstanceNormalization", op.x, *operands, epsilon=op.number("epsilon", default=1e-5)),)


def shape(op: PaddleOp) -> Nodes:
    """The lengths of the axes; 32 bits wide, or 64."""
    found = op.inner("shape")
    return op.node("Shape", op.x, to=found), cast(op, found, op.dtype(op.out))


def temporal_shift(op: PaddleOp) -> Nodes:
    """Some channels from the frame before, as many from the one behind, zeros outside; the rest stays."""
    last = str(op.says("data_format", default="NCHW")) == "NHWC"
    frames, ratio = int(op.number("seg_num")), op.number("shift_ratio", default=0.25)
    lengths = op.shape(op.x)
    channels = lengths[3 if last else 1]
    ends = 0, int(channels * ratio), int(channels * 2 * ratio), channels
    axis, rank = 4 if last else 2, 5
    apart, wide, both = (op.inner(word) for word in ("apart", "wide", "both"))
    sides = [int(place == 1) for place in range(rank)] * 2
    parts = [op.inner(f"part{number}") for number in range(3)]
    cuts = [
        op.node("Slice", wide, ints([begin, low]), ints([begin + frames, high]), ints([1, axis]), to=part)
        for part, begin, low, high in zip(parts, (0, 2, 1), ends, ends[1:], strict=False)
    ]
    return (
        op.node("Reshape", op.x, ints([-1, frames, *lengths[1:]]), to=apart),
        op.node("Pad", apart, ints(sides), to=wide),
        *cuts,
        op.node("Concat", *parts, axis=axis, to=both),
        op.node("Reshape", both, ints([-1, *lengths[1:]])),
    )


PARTS: dict[str, Meaning] = {
    **dict.fromkeys(("split", "split_with_num"), split),
    **dict.fromkeys(("unbind", "unstack"), unbind),
    "strided_slice": strided_slice,
    "take_along_axis": take_along_axis,
    "gather_nd": gather_nd,
    "index_sample": index_sample,
    **dict.fromkeys(("embedding", "lookup_table_v2"), embedding),
    "scatter": scatter,
    "scatter_nd_add": scatter_nd_add,
    "where": where,
    **dict.fromkeys(("nonzero", "where_index"), nonzero),
    "top_k": topk,
    "argsort": argsort,
    "cumsum": cumsum,
    "flip": flip,
    **dict.fromkeys(("expand", "expand_v2", "expand_as", "expand_as_v2", "broadcast_to"), expand),
    "tile": tile,
    "one_hot": one_hot,
    **dict.fromkeys(("tril", "triu", "tril_triu"), triangle),
    "meshgrid": meshgrid,
    **dict.fromkeys(("grid_sample", "grid_sampler"), grid_sample),
    "layer_norm": layer_norm,
    "instance_norm": instance_norm,
    "temporal_shift": temporal_shift,
    **dict.fromkeys(("shape", "shape64"), shape),
}
"""By the op's own name, or by its kind."""
