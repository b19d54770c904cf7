"""What should the candidate's constants hold? What the reference's parameters ask for, in every form.

A converter copies a parameter, transposes or reshapes it, or folds it: a bias, a batch norm or a factor
behind a convolution becomes part of its weight and bias. Each of these forms is one :class:`Wanted`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.graph import Array, Graph, Op
from segdiff.diagnose.reading import constants
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.piecewise import times_in_pieces

WEIGHTED = frozenset({"conv", "conv_transpose", "deform_conv", "matmul"})

ROLES = {
    "Filter": "weight",
    "filter": "weight",
    "W": "weight",
    "Bias": "bias",
    "bias": "bias",
    "Scale": "scale",
    "scale": "scale",
    "Mean": "mean",
    "mean": "mean",
    "Variance": "variance",
    "variance": "variance",
    "Alpha": "slope",
    "alpha": "slope",
}
"""Paddle's slot -> what it is; a slot of another name has no role of its own."""

_NORM = {"1": "scale", "2": "bias", "3": "mean", "4": "variance"}
_CONV = {"1": "weight", "2": "bias"}
ONNX_ROLES: dict[str, dict[str, str]] = {
    **dict.fromkeys(("batch_norm", "layer_norm", "instance_norm", "group_norm"), _NORM),
    **dict.fromkeys(("conv", "conv_transpose"), _CONV),
    "matmul": {"0": "weight", "1": "weight", "2": "bias"},
    "deform_conv": {"1": "weight", "3": "bias"},
    "prelu": {"1": "slope"},
}
"""Kind of an ONNX node -> input position -> role."""

QUANTISED_ROLES: dict[str, dict[str, str]] = {
    "QLinearConv": {"3": "weight", "8": "bias"},
    "QLinearMatMul": {"0": "weight", "3": "weight"},
    "com.microsoft.QLinearConv": {"3": "weight", "8": "bias"},
    "com.microsoft.QGemm": {"3": "weight", "6": "bias"},
    "com.microsoft.MatMulIntegerToFloat": {"1": "weight", "6": "bias"},
    "com.microsoft.DynamicQuantizeMatMul": {"1": "weight", "4": "bias"},
    "com.microsoft.MatMulNBits": {"1": "weight", "5": "bias"},
}
"""The same of the operators on integers."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """A constant that the reference asks for.

    ``array`` as the reference has it (a matrix as it multiplies: with the transposition that the op does);
    ``role`` weight, bias, scale, mean, variance, slope, or "" where it is none of them; ``words`` name it for
    a person; ``folded`` where something behind the op was multiplied into it.
    """

    array: Array
    role: str
    op: Op
    words: str
    folded: bool = False


@dataclass(frozen=True, eq=False)
class Affine:
    """A weighted op and some of the ops behind it as one: ``weight`` and ``bias`` (None where there is none).

    ``outputs`` is how many channels come out; ``ops`` are those that were taken in, the weighted one first.
    """

    weight: Array
    bias: Array | None
    outputs: int
    ops: tuple[Op, ...]


def wanted(case: Case, forms: Iterable[list[Affine]]) -> list[Wanted]:
    """All constants that the reference's ops of a segment ask for; ``forms`` of :func:`affine_forms`."""
    found: list[Wanted] = []
    for op in case.reference_ops:
        found += _operands(case.reference, op)
        found += [_scalar(value, op) for value in scalars(op)]
        if kind_of(op) == "batch_norm":
            found += _as_factor(case.reference, op)
    for family in forms:
        for form in family[1:]:
            words = f"{form.ops[0].type} with its {' and '.join(op.type for op in form.ops[1:])} folded in"
            found.append(Wanted(form.weight, "weight", form.ops[0], f"weight of {words}", folded=True))
            if form.bias is not None:
                found.append(Wanted(form.bias, "bias", form.ops[0], f"bias of {words}", folded=True))
    return found


def role(op: Op, slot: str) -> str:
    """What an operand of either side's op is."""
    if slot.isdigit():
        known = QUANTISED_ROLES.get(op.type) or ONNX_ROLES.get(kind_of(op), {})
        return known.get(slot, "")
    if kind_of(op) == "matmul":
        return "bias" if slot in ("Bias", "bias") else "weight"
    return ROLES.get(slot, "")


def _operands(graph: Graph, op: Op) -> Iterator[Wanted]:
    for slot, name in zip(op.slots, op.inputs, strict=True):
        array = constant(graph, name)
        if array is None or array.dtype.kind != "f" or array.size == 0:
            continue
        what = role(op, slot)
        if kind_of(op) == "matmul" and what == "weight" and transposed(op, slot):
            array = np.swapaxes(array, -1, -2)
        yield Wanted(array, what, op, f"{what or 'constant'} of {op.type}")


def transposed(op: Op, slot: str) -> bool:
    """Whether a matrix product turns this operand over."""
    first = slot in ("X", "x", "0")
    names = ("trans_x", "transpose_x", "transpose_X", "transA") if first else ()
    names = names or ("trans_y", "transpose_y", "transpose_Y", "transB")
    return any(bool(op.attributes.get(name)) for name in names)


_RESHAPING = frozenset(
    {
        "reshape",
        "reshape2",
        "Reshape",
        "squeeze",
        "squeeze2",
        "Squeeze",
        "flatten",
        "flatten_contiguous_range",
    }
    | {"unsqueeze", "unsqueeze2", "Unsqueeze", "Flatten"}
)
_TRANSPOSING = frozenset({"transpose", "transpose2", "Transpose"})
_DEPTH = 6


def constant(graph: Graph, name: str, depth: int = _DEPTH) -> Array | None:
    """The content of a tensor that hangs on parameters alone: copied, reshaped, transposed, picked from."""
    found = constants.value(graph, name) if name in graph.parameters else None
    op = graph.producer.get(name)
    if found is not None or op is None or depth == 0:
        return found
    if not op.inputs:
        return constants.value(graph, name)
    data = next((n for n, slot in zip(op.inputs, op.slots, strict=True) if slot in _DATA), op.inputs[0])
    if op.type in _RESHAPING | _TRANSPOSING | {"gather", "Gather", "index_select"}:
        array = constant(graph, data, depth - 1)
        return None if array is None else _derived(graph, op, name, array, depth)
    return constants.value(graph, name)


_DATA = frozenset({"X", "x", "0"})


def _derived(graph: Graph, op: Op, name: str, array: Array, depth: int) -> Array | None:
    if op.type in _RESHAPING:
        shape = graph.value(name).shape
        known = [size for size in shape or () if size is not None]
        fits = shape is not None and len(known) == len(shape) and math.prod(known) == array.size
        return array.reshape(known) if fits else array.reshape(-1)
    if op.type in _TRANSPOSING:
        perm = op.attributes.get("axis", op.attributes.get("perm"))
        return array.transpose(perm) if perm is None or len(perm) == array.ndim else None
    index = next((n for n, s in zip(op.inputs, op.slots, strict=True) if s in ("Index", "index", "1")), None)
    places = constant(graph, index, depth - 1) if index else None
    if places is None or places.dtype.kind not in "iu" or int(op.attributes.get("axis", 0) or 0):
        return None
    inside = places.size == 0 or (places.min() >= -len(array) and places.max() < len(array))
    return array[places] if array.ndim and inside else None


KNOWN_NUMBERS: dict[str, tuple[float, ...]] = {
    "gelu": (math.sqrt(2.0), 1.0, 0.5, math.sqrt(2.0 / math.pi), 0.044715, 3.0, 1 / math.sqrt(2.0)),
    "hard_swish": (3.0, 6.0, 1 / 6),
    "relu6": (6.0,),
    "mish": (1.0,),
    "swish": (1.0,),
    "rsqrt": (1.0,),
    "scale": (1.0, 0.0),
}
"""Numbers of an op's definition, which a converter that spells it out writes down."""

_PLACE_ATTRIBUTES = ("epsilon", "eps", "momentum", "mean", "std", "fill_value", "dropout_prob")


def scalars(op: Op) -> list[float]:
    """Numbers that an op multiplies by or adds, by its attributes or by its definition.

    Epsilons are left out: they have a kind of their own.
    """
    if op.type[:1].isupper():
        return list(KNOWN_NUMBERS.get(kind_of(op), ()))
    given = [v for k, v in op.attributes.items() if isinstance(v, float) and k not in _PLACE_ATTRIBUTES]
    finite = [value for value in given if math.isfinite(value)]
    if op.type == "dropout":
        finite.append(1.0 - float(op.attributes.get("dropout_prob", op.attributes.get("p", 0.0)) or 0.0))
    return list(dict.fromkeys([*finite, *KNOWN_NUMBERS.get(kind_of(op), ())]))


def _scalar(value: float, op: Op) -> Wanted:
    return Wanted(np.float64(value).reshape(()), "", op, f"number of {op.type}")


# --- what a converter folds


def affine_forms(case: Case, op: Op) -> list[Affine]:
    """A weighted op alone, then with ever more of what follows it in the segment folded in."""
    found = _alone(case.reference, op)
    if found is None:
        return []
    forms = [found]
    while (follower := _only_reader(case, forms[-1].ops[-1])) is not None:
        grown = _folded(case.reference, forms[-1], follower)
        if grown is None:
            break
        forms.append(grown)
    return forms


def _alone(graph: Graph, op: Op) -> Affine | None:
    if kind_of(op) not in WEIGHTED:
        return None
    own = list(_operands(graph, op))
    weight = next((w.array for w in own if w.role == "weight" and w.array.ndim >= 2), None)
    if weight is None:
        return None
    bias = next((w.array.reshape(-1) for w in own if w.role == "bias"), None)
    groups = int(op.attributes.get("groups", op.attributes.get("group", 1)) or 1)
    outputs: int = weight.shape[-1] if kind_of(op) == "matmul" else weight.shape[0]
    if kind_of(op) == "conv_transpose":
        outputs = weight.shape[1] * groups
    return Affine(weight, bias, outputs, (op,))


def _only_reader(case: Case, op: Op) -> Op | None:
    inside = {other.index for other in case.reference_ops}
    readers = case.reference.consumers.get(op.outputs[0], ()) if op.outputs else ()
    return readers[0] if len(readers) == 1 and readers[0].index in inside else None


def _folded(graph: Graph, form: Affine, follower: Op) -> Affine | None:
    """One op more: something added to every channel, or multiplied with it; None for any other op."""
    kind, bias = kind_of(follower), 0.0 if form.bias is None else form.bias.astype(np.float64)
    ops = (*form.ops, follower)
    if kind == "batch_norm":
        pair = norm_factor(graph, follower)
        if pair is None or pair[0].size != form.outputs:
            return None
        weight = times(form, pair[0])
        return Affine(weight, _plain(bias * pair[0] + pair[1]), form.outputs, ops)
    if kind == "scale" and len(follower.inputs) == 1:
        factor, shift = (float(follower.attributes.get(k, d)) for k, d in (("scale", 1.0), ("bias", 0.0)))
        after = bool(follower.attributes.get("bias_after_scale", True))
        total = bias * factor + (shift if after else shift * factor)
        whole = np.broadcast_to(total, (form.outputs,))
        return Affine(times_in_pieces(form.weight, np.float64(factor)), _plain(whole), form.outputs, ops)
    operand = _channel_operand(graph, follower, form)
    if operand is None or kind not in ("add", "mul"):
        return None
    if kind == "add":
        return replace(form, bias=_plain(np.broadcast_to(bias + operand, (form.outputs,))), ops=ops)
    known = None if form.bias is None else _plain(bias * operand)
    return Affine(times(form, operand), known, form.outputs, ops)


def _channel_operand(graph: Graph, op: Op, form: Affine) -> Array | None:
    """The constant of an addition or product, where it has one number per channel (or one at all)."""
    made = set(form.ops[-1].outputs)
    others = [constant(graph, name) for name in op.inputs if name not in made]
    if len(others) != 1 or others[0] is None or others[0].size not in (1, form.outputs):
        return None
    return np.broadcast_to(others[0].reshape(-1).astype(np.float64), (form.outputs,))


def norm_factor(graph: Graph, op: Op) -> tuple[Array, Array] | None:
    """A batch norm as ``x * factor + shift``: gamma / sqrt(variance + epsilon), beta - mean * factor."""
    own = {w.role: w.array.reshape(-1).astype(np.float64) for w in _operands(graph, op)}
    if not {"scale", "bias", "mean", "variance"} <= own.keys():
        return None
    if len({array.size for array in own.values()}) != 1:
        return None
    epsilon = float(op.attributes.get("epsilon", 1e-5))
    factor = own["scale"] / np.sqrt(np.maximum(own["variance"], 0.0) + epsilon)
    return factor, own["bias"] - own["mean"] * factor


def _as_factor(graph: Graph, op: Op) -> Iterable[Wanted]:
    pair = norm_factor(graph, op)
    if pair is not None:
        yield Wanted(_plain(pair[0]), "", op, f"factor of {op.type}", folded=True)
        yield Wanted(_plain(pair[1]), "", op, f"shift of {op.type}", folded=True)


def times(form: Affine, factor: Array) -> Array:
    """The weight with every output channel multiplied by its factor."""
    op, weight = form.ops[0], form.weight
    kind = kind_of(op)
    if kind == "matmul":
        return times_in_pieces(weight, factor)
    if kind == "conv_transpose":  # (in, out / groups, ...): the groups lie one after the other along "in"
        each = weight.shape[1]
        split = weight.reshape(form.outputs // each, -1, each, math.prod(weight.shape[2:]))
        return times_in_pieces(split, factor.reshape(-1, 1, each, 1)).reshape(weight.shape)
    return times_in_pieces(weight, factor.reshape(-1, *[1] * (weight.ndim - 1)))


def _plain(array: Array) -> Array:
    return np.asarray(array, np.float32)
