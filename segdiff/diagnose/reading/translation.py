"""What does a Paddle op mean in ONNX? Its nodes, from what its attributes and constant inputs say.

Operands and outputs go by the reference's names; constants are spelt out. The names of slots and attributes
are those of a ``.pdmodel`` and of PIR, which differ. An op without a row here, or that says something that is
not known before the run, has no meaning (None): then only what the families know of it is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Node
from segdiff.core.graph import Op
from segdiff.diagnose.reading import activation_nodes
from segdiff.diagnose.reading import translation_places as places
from segdiff.diagnose.reading import translation_writing as writing
from segdiff.diagnose.reading.activation_meaning import parts
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.paddle_op import PaddleOp, ints
from segdiff.diagnose.reading.schema import respelt
from segdiff.diagnose.reading.translation_logic import LOGIC
from segdiff.diagnose.reading.translation_parts import PARTS
from segdiff.diagnose.reading.translation_windows import WINDOWS

UNLIKE = frozenset({"mul", "bmm", "mv", "addmm", "fc", "linear", "pad2d", "builtin.split"})
"""Ops that do something else than others of their kind."""

SPELT_IN = 18
"""The opset of the spelling below; :func:`respelt` turns it into the candidate's."""

Nodes = tuple[Node, ...]
Meaning = Callable[["PaddleOp"], Nodes | None]


def translated(case: Case, op: Op) -> Nodes | None:
    """The op in ONNX nodes of the candidate's opset; None where no spelling is known."""
    own = MEANINGS.get(op.type)
    meaning = own or (MEANINGS.get(kind_of(op)) if op.type not in UNLIKE else None)
    if meaning is None or len(op.outputs) < 1:
        return None
    try:
        found = meaning(PaddleOp(case, op))
    except (KeyError, TypeError, ValueError, IndexError):
        return None  # an attribute of another form than Paddle writes
    return None if found is None else tuple(respelt(node, SPELT_IN, case.opset) for node in found)


# --- element by element


def _function(op_type: str) -> Meaning:
    return lambda op: (op.node(op_type, op.x),)


def _activation(op: PaddleOp) -> Nodes | None:
    wanted = next(iter(parts(op.case, op.op)), None)
    if wanted is None or kind_of(op.op) in ("log_sigmoid", "tanh_shrink", "softshrink", "hard_shrink"):
        return None
    return activation_nodes.nodes(wanted, op.x, op.out, op.case.opset, op.dtype(op.x))


def _arithmetic(op_type: str) -> Meaning:
    def meaning(op: PaddleOp) -> Nodes | None:
        first, second = op.operand("X", "x"), op.operand("Y", "y")
        axis = int(op.op.attributes.get("axis", -1))
        if axis < 0:
            return (op.node(op_type, first, second),)
        rank = op.rank
        if isinstance(second, np.ndarray):
            behind = rank - axis - second.ndim
            return (op.node(op_type, first, second.reshape(second.shape + (1,) * max(behind, 0))),)
        size = op.shape(second) if isinstance(second, str) else ()
        if rank - axis - len(size) <= 0:
            return (op.node(op_type, first, second),)
        laid = op.inner("laid")
        return (
            op.node("Reshape", second, ints([*size, *[1] * (rank - axis - len(size))]), to=laid),
            op.node(op_type, first, laid),
        )

    return meaning


def _scale(op: PaddleOp) -> Nodes | None:
    dtype = op.dtype(op.x)
    if dtype.kind != "f":
        return None  # a family of its own knows the rules for integers
    factor, bias = op.number("scale", "ScaleTensor", default=1.0), op.number("bias", default=0.0)
    product, total = (np.array(value, dtype) for value in (factor, bias))
    if factor == 1.0 or bias == 0.0:
        return (op.node("Mul", op.x, product) if bias == 0.0 else op.node("Add", op.x, total),)
    first, then = (("Mul", product), ("Add", total))
    if not op.says("bias_after_scale", default=True):
        first, then = then, first
    return op.node(first[0], op.x, first[1], to=op.inner("half")), op.node(then[0], op.inner("half"), then[1])


def _square(op: PaddleOp) -> Nodes:
    return (op.node("Mul", op.x, op.x),)


def _rsqrt(op: PaddleOp) -> Nodes:
    return op.node("Sqrt", op.x, to=op.inner("root")), op.node("Reciprocal", op.inner("root"))


def _log_sigmoid(op: PaddleOp) -> Nodes:
    """As Paddle computes it: a Log(Sigmoid(x)) has no digits left below -15."""
    return (
        op.node("Neg", op.x, to=op.inner("turned")),
        op.node("Softplus", op.inner("turned"), to=op.inner("soft")),
        op.node("Neg", op.inner("soft")),
    )


def _tanh_shrink(op: PaddleOp) -> Nodes:
    return op.node("Tanh", op.x, to=op.inner("tanh")), op.node("Sub", op.x, op.inner("tanh"))


def _dropout(op: PaddleOp) -> Nodes:
    if op.says("dropout_implementation", "mode", default="downgrade_in_infer") == "upscale_in_train":
        return (op.node("Identity", op.x),)
    kept = 1.0 - op.number("dropout_prob", "p", default=0.5)
    return (op.node("Mul", op.x, np.array(kept, op.dtype(op.x))),)


# --- along axes


def _softmax(op_type: str) -> Meaning:
    def meaning(op: PaddleOp) -> Nodes | None:
        axis, rank = int(op.number("axis", default=-1)), op.rank
        if op.case.opset >= 13 or axis in (-1, rank - 1):
            return (op.node(op_type, op.x, axis=axis % rank),)
        perm = list(range(rank))
        perm[axis % rank], perm[-1] = perm[-1], perm[axis % rank]
        return (
            op.node("Transpose", op.x, to=op.inner("turned"), perm=perm),
            op.node(op_type, op.inner("turned"), to=op.inner("soft"), axis=rank - 1),
            op.node("Transpose", op.inner("soft"), perm=perm),
        )

    return meaning


def _axes(op: PaddleOp) -> list[int]:
    if op.op.attributes.get("reduce_all"):
        return list(range(op.rank))
    return op.integers("axis", "dim") or list(range(op.rank))


def _kept(op: PaddleOp) -> int:
    return int(bool(op.says("keepdim", "keep_dim", "keepdims", default=False)))


def _reduce(op_type: str) -> Meaning:
    def meaning(op: PaddleOp) -> Nodes:
        before, after = op.dtype(op.x), op.dtype(op.out)
        last = Node(op_type, (op.x, ints(_axes(op))), (op.out,), {"keepdims": _kept(op)})
        if before == after:
            return (last,)
        wide = op.inner("wide")  # Paddle sums integers in 64 bits
        return _to(op, op.x, after, wide), Node(
            op_type, (wide, last.inputs[1]), last.outputs, last.attributes
        )

    return meaning


def _to(op: PaddleOp, x: str, dtype: np.dtype[Any], name: str) -> Node:
    from onnx import helper

    return Node("Cast", (x,), (name,), {"to": helper.np_dtype_to_tensor_dtype(dtype)})


def _p_norm(op: PaddleOp) -> Nodes:
    order, rank = op.number("porder", default=2.0), op.rank
    axes = list(range(rank)) if op.says("asvector", default=False) else op.integers("axis") or [-1]
    kept = {"keepdims": _kept(op)}
    if order in (1.0, 2.0):
        return (Node(f"ReduceL{int(order)}", (op.x, ints(axes)), (op.out,), kept),)
    size = op.node("Abs", op.x, to=op.inner("size"))
    if np.isinf(order):
        extreme = "ReduceMax" if order > 0 else "ReduceMin"
        return size, Node(extreme, (op.inner("size"), ints(axes)), (op.out,), kept)
    if order == 0.0:
        raise ValueError(order)
    dtype = op.dtype(op.x)
    return (
        size,
        op.node("Pow", op.inner("size"), np.array(order, dtype), to=op.inner("power")),
        Node("ReduceSum", (op.inner("power"), ints(axes)), (op.inner("sum"),), kept),
        op.node("Pow", op.inner("sum"), np.array(1 / order, dtype)),
    )


def _arg(op_type: str) -> Meaning:
    def meaning(op: PaddleOp) -> Nodes | None:
        if op.says("flatten", default=False):
            return None
        axis = int(op.number("axis", default=-1))
        found = op.node(op_type, op.x, axis=axis, keepdims=_kept(op), to=op.inner("place"))
        return found, _to(op, op.inner("place"), op.dtype(op.out), op.out)

    return meaning


_FUNCTIONS = {
    **{kind: kind.capitalize() for kind in ("exp", "log", "sqrt", "abs", "floor", "ceil", "sign", "neg")},
    **{kind: kind.capitalize() for kind in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh")},
    **{kind: kind.capitalize() for kind in ("asinh", "acosh", "atanh", "reciprocal", "round")},
}
_ARITHMETIC = {word: word.capitalize() for word in ("add", "sub", "mul", "div", "max", "min", "pow")}
_REDUCES = {f"reduce_{word}": f"Reduce{word.capitalize()}" for word in ("mean", "sum", "max", "min", "prod")}

MEANINGS: dict[str, Meaning] = {
    **{kind: _function(op_type) for kind, op_type in _FUNCTIONS.items()},
    **{f"elementwise_{kind}": _arithmetic(op_type) for kind, op_type in _ARITHMETIC.items()},
    "add": _arithmetic("Add"),
    "subtract": _arithmetic("Sub"),
    "multiply": _arithmetic("Mul"),
    "divide": _arithmetic("Div"),
    "maximum": _arithmetic("Max"),
    "minimum": _arithmetic("Min"),
    **{kind: _reduce(op_type) for kind, op_type in _REDUCES.items()},
    **dict.fromkeys(
        ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "swish", "mish", "hard_swish"),
        _activation,
    ),
    **dict.fromkeys(
        ("hard_sigmoid", "sigmoid", "tanh", "softplus", "softsign", "erf", "clip", "thresholded_relu"),
        _activation,
    ),
    "log_sigmoid": _log_sigmoid,
    "tanh_shrink": _tanh_shrink,
    "softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "scale": _scale,
    "cast": lambda op: (_to(op, op.x, op.dtype(op.out), op.out),),
    "square": _square,
    "rsqrt": _rsqrt,
    "dropout": _dropout,
    "p_norm": _p_norm,
    "arg_max": _arg("ArgMax"),
    "arg_min": _arg("ArgMin"),
    "transpose": places.transpose,
    "reshape": places.reshape,
    "concat": places.concat,
    "stack": places.stack,
    "slice": places.window,
    "roll": places.roll,
    "index_select": places.gather,
    "gather": places.gather,
    "put_along_axis": places.put_along_axis,
    "roi_align": places.roi_align,
    "pad": places.pad,
    "matmul": places.matmul,
    "matmul_v2": places.matmul,
    "batch_norm": places.batch_norm,
    **LOGIC,
    **PARTS,
    **WINDOWS,
    "set_value": writing.set_value,
    "set_value_": writing.set_value,
    "set_value_with_tensor": writing.set_value,
    "set_value_with_tensor_": writing.set_value,
    "pixel_shuffle": writing.pixel_shuffle,
    "pixel_unshuffle": writing.pixel_unshuffle,
    "channel_shuffle": writing.channel_shuffle,
}
"""By the op's own name, or by its kind."""
