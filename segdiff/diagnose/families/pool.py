"""Pools: window, stride, padding, rounding of the size, divisor, maximum or mean, adaptive windows.

Paddle's ``pool2d`` (phi/kernels/funcs/pooling.cc): ``exclusive`` leaves the padding out of the divisor, SAME
puts the odd row of padding at the end, ``adaptive`` takes the rows ``floor(i·n/m)`` to ``ceil((i+1)·n/m)`` of
n for output row i of m. ONNX: operators AveragePool, MaxPool, GlobalAveragePool, GlobalMaxPool, LpPool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Array, Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import dtype_of, partner_of, plain

KINDS = ("avg_pool", "max_pool", "pool", "LpPool", "GlobalLpPool")
PADDLES = ("pool2d", "pool3d", "max_pool2d_with_index", "max_pool3d_with_index", "max_pool2d_v2")
OTHER = {
    "MaxPool": "AveragePool",
    "AveragePool": "MaxPool",
    "GlobalMaxPool": "GlobalAveragePool",
    "GlobalAveragePool": "GlobalMaxPool",
}
WORDS = {
    "kernel_shape": "pool.kernel",
    "strides": "pool.strides",
    "dilations": "pool.dilations",
    "pads": "pool.pads",
    "ceil_mode": "pool.ceil_mode",
    "count_include_pad": "pool.count_include_pad",
}
ONLY_ONE_HAS = dict.fromkeys(("count_include_pad", "storage_order", "dilations"))
CEIL_MODE_SINCE = 10

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Pooling:
    """What a pool does, in ONNX's words; ``adaptive`` the output size where it rules the windows."""

    maximum: bool
    attributes: Attributes
    adaptive: tuple[int, ...] = ()

    @property
    def op_type(self) -> str:
        """ONNX's operator with a window."""
        return "MaxPool" if self.maximum else "AveragePool"


@family("AveragePool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool")
def pool(case: Case, op: Op) -> Iterator[Hypothesis]:
    """What the reference asks for, one attribute each; then the usual suspects."""
    shape = case.shape(case.operand(op, 0))
    if shape is None or len(shape) < 3:
        return
    space = shape[2:]
    partner = partner_of(case, op, *KINDS)
    asked = expected(case, partner, space)
    if asked is None or partner is None:
        yield from _suspects(case, op, space)
    elif asked.adaptive:
        yield from _adaptive(case, op, asked, space, partner.type)
    else:
        yield from _differences(case, op, asked, space, partner.type)
        yield from _suspects(case, op, space)


def expected(case: Case, partner: Op | None, space: tuple[int, ...]) -> Pooling | None:
    """What the reference's op asks for on an image of this size; None where it is no pool known here."""
    if partner is None:
        return None
    if partner.type[0].isupper():
        maximum = "Max" in partner.type
        if partner.type.startswith("Global"):
            return None if "Lp" in partner.type else Pooling(maximum, {}, (1,) * len(space))
        return Pooling(maximum, now(partner, space)) if partner.type != "LpPool" else None
    if partner.type not in PADDLES:
        return None
    ask = case.asked
    maximum = partner.type.startswith("max_") or str(ask(partner, "pooling_type")) == "max"
    kernel = _ints(ask(partner, "ksize", "kernel_size", "1"))
    if ask(partner, "global_pooling", default=False):
        return Pooling(maximum, {}, (1,) * len(space))
    if kernel is None or ask(partner, "data_format", default="NCHW").endswith("C"):
        return None
    kernel = kernel * len(space) if len(kernel) == 1 else kernel
    if ask(partner, "adaptive", default=False):
        return Pooling(maximum, {}, tuple(kernel))
    strides = _ints(ask(partner, "strides", default=[1])) or [1]
    strides = strides * len(space) if len(strides) == 1 else strides
    attributes = {
        "kernel_shape": kernel,
        "strides": strides,
        "dilations": [1] * len(space),
        "pads": _paddle_pads(case, partner, kernel, strides, space),
        "ceil_mode": int(bool(ask(partner, "ceil_mode", default=False))),
        "count_include_pad": int(not ask(partner, "exclusive", default=True)),
    }
    return Pooling(maximum, attributes)


def now(op: Op, space: tuple[int, ...]) -> dict[str, Any]:
    """The attributes of an ONNX pool with a window, defaults and automatic padding spelt out."""
    rank = len(space)
    kernel = [int(k) for k in op.attributes.get("kernel_shape") or [1] * rank]
    strides = [int(s) for s in op.attributes.get("strides") or [1] * rank]
    found: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": strides,
        "dilations": [int(d) for d in op.attributes.get("dilations") or [1] * rank],
        "pads": [int(p) for p in op.attributes.get("pads") or [0] * 2 * rank],
        "ceil_mode": int(op.attributes.get("ceil_mode", 0)),
        "count_include_pad": int(op.attributes.get("count_include_pad", 0)),
    }
    automatic = str(op.attributes.get("auto_pad", "NOTSET"))
    if automatic.startswith("SAME"):
        found["pads"] = same_pads(kernel, strides, space, upper=automatic == "SAME_UPPER")
    elif automatic == "VALID":
        found["pads"] = [0] * 2 * rank
    return found


def same_pads(kernel: list[int], strides: list[int], space: tuple[int, ...], *, upper: bool) -> list[int]:
    """Padding for a size of ``ceil(size / stride)``; the odd row goes to the end where ``upper``."""
    sums = [
        max((-(-size // s) - 1) * s + k - size, 0) for k, s, size in zip(kernel, strides, space, strict=True)
    ]
    less, more = [total // 2 for total in sums], [total - total // 2 for total in sums]
    return [*less, *more] if upper else [*more, *less]


def _paddle_pads(
    case: Case, partner: Op, kernel: list[int], strides: list[int], space: tuple[int, ...]
) -> list[int]:
    algorithm = str(case.asked(partner, "padding_algorithm", default="EXPLICIT"))
    if algorithm == "SAME":
        return same_pads(kernel, strides, space, upper=True)
    pads = _ints(case.asked(partner, "paddings", default=[0])) or [0]
    if algorithm == "VALID":
        pads = [0]
    if len(pads) == 2 * len(space):  # begin and end, axis by axis
        return [*pads[0::2], *pads[1::2]]
    pads = pads * len(space) if len(pads) == 1 else pads
    return [*pads, *pads]


def _ints(value: Any) -> list[int] | None:
    return None if value is None else [int(v) for v in np.asarray(value).reshape(-1)]


def _differences(
    case: Case, op: Op, asked: Pooling, space: tuple[int, ...], theirs: str
) -> Iterator[Hypothesis]:
    output = op.outputs[0]
    if op.type.startswith("Global"):
        attributes = _fitting(asked.op_type, asked.attributes, case.opset)
        text = f"{op.type} takes the whole image where the reference's {theirs} has a window of "
        text += plain(asked.attributes["kernel_shape"])
        yield Hypothesis("pool.global", text, (Edit(output, asked.op_type, attributes),), expected=True)
        return
    if op.type in OTHER and (op.type == "MaxPool") != asked.maximum:
        yield _operator(case, op, f"where the reference's {theirs} takes the", asked=asked.attributes)
    present = now(op, space)
    if case.opset < CEIL_MODE_SINCE and asked.attributes["ceil_mode"]:
        pads = _pads_of_ceil(asked.attributes, space)
        text = f"{op.type} rounds its size down where the reference's {theirs} rounds it up"
        yield Hypothesis("pool.ceil_mode", text, (Edit(output, attributes={"pads": pads}),), expected=True)
    for name in _fitting(op.type, asked.attributes, case.opset):
        if present[name] != asked.attributes[name] and _matters(name, asked.attributes):
            words = f"where the reference's {theirs} asks for"
            yield _attribute(case, op, name, present[name], asked.attributes[name], words, expected=True)


def _pads_of_ceil(asked: Attributes, space: tuple[int, ...]) -> list[int]:
    """Rows at the end that make the size what ceil_mode makes it, for opsets that do not have it."""
    begin, end = asked["pads"][: len(space)], asked["pads"][len(space) :]
    found = []
    for k, s, first, last, size in zip(
        asked["kernel_shape"], asked["strides"], begin, end, space, strict=True
    ):
        rest = (size + first + last - k) % s
        found.append(last + (s - rest if rest else 0))
    return [*begin, *found]


def _matters(name: str, asked: Attributes) -> bool:
    return name != "count_include_pad" or any(asked["pads"]) or bool(asked["ceil_mode"])


def _fitting(op_type: str, attributes: Attributes, opset: int) -> dict[str, Any]:
    """The attributes that the operator has in this opset."""
    absent = {"count_include_pad"} if op_type != "AveragePool" else set()
    if (op_type == "AveragePool" and opset < 19) or (op_type == "MaxPool" and opset < CEIL_MODE_SINCE):
        absent |= {"dilations"}
    if opset < CEIL_MODE_SINCE:
        absent |= {"ceil_mode"}
    return {name: value for name, value in attributes.items() if name not in absent}


def _attribute(
    case: Case, op: Op, name: str, before: Any, after: Any, words: str, *, expected: bool
) -> Hypothesis:
    """One attribute; explicit pads switch the automatic ones off."""
    attributes = {name: after}
    if name == "pads" and "auto_pad" in op.attributes:
        attributes["auto_pad"] = None
    text = f"{op.type} has {name} {plain(before)} {words} {plain(after)}"
    return Hypothesis(WORDS[name], text, (Edit(op.outputs[0], attributes=attributes),), expected)


def _operator(case: Case, op: Op, words: str, asked: Attributes | None = None) -> Hypothesis:
    """Maximum for mean or the reverse; attributes that only one of them has are dropped."""
    other = OTHER[op.type]
    gone: dict[str, Any] = {name: None for name in ONLY_ONE_HAS if name in op.attributes}
    if asked and other == "AveragePool" and asked["count_include_pad"] and any(asked["pads"]):
        gone["count_include_pad"] = 1
    text = f"{op.type} takes the {_takes(op.type)} {words} {_takes(other)}"
    return Hypothesis("pool.operator", text, (Edit(op.outputs[0], other, gone),), expected=asked is not None)


def _takes(op_type: str) -> str:
    return "maximum" if "Max" in op_type else "mean"


# --- the usual suspects


def _suspects(case: Case, op: Op, space: tuple[int, ...]) -> Iterator[Hypothesis]:
    words = "and agrees with"
    if op.type in OTHER:
        yield _operator(case, op, "and agrees with the")
        if op.type == "MaxPool" and any(now(op, space)["pads"]):
            attributes = {**dict.fromkeys(set(ONLY_ONE_HAS) & set(op.attributes)), "count_include_pad": 1}
            text = "MaxPool takes the maximum and agrees with the mean, padding counted"
            yield Hypothesis("pool.operator", text, (Edit(op.outputs[0], "AveragePool", attributes),))
    if op.type.startswith("Global"):
        return
    present = now(op, space)
    flips = {"ceil_mode": case.opset >= CEIL_MODE_SINCE, "count_include_pad": op.type == "AveragePool"}
    for name, possible in flips.items():
        if possible:
            yield _attribute(case, op, name, present[name], 1 - present[name], words, expected=False)
    for pads in _other_pads(present["pads"]):
        yield _attribute(case, op, "pads", present["pads"], pads, words, expected=False)


def _other_pads(pads: list[int]) -> Iterator[list[int]]:
    """Begin and end exchanged; then one row moved from one end of an axis to the other."""
    half = len(pads) // 2
    if pads[:half] != pads[half:]:
        yield [*pads[half:], *pads[:half]]
    for source in range(len(pads)):
        if pads[source] > 0:
            moved = list(pads)
            moved[source] -= 1
            moved[(source + half) % len(pads)] += 1
            yield moved


# --- windows that follow from the size of the output


def windows(size: int, count: int) -> list[tuple[int, int]]:
    """Begin and end of every adaptive window."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _adaptive(
    case: Case, op: Op, asked: Pooling, space: tuple[int, ...], theirs: str
) -> Iterator[Hypothesis]:
    """An adaptive pool: global, a fixed kernel where the windows are equal, else another expression."""
    output, counts = op.outputs[0], asked.adaptive
    if len(counts) != len(space):
        return
    gone = dict.fromkeys(op.attributes)
    whole = asked.op_type.replace("Max", "GlobalMax").replace("Average", "GlobalAverage")
    if op.type in OTHER and (op.type.endswith("MaxPool") != asked.maximum):
        yield _operator(case, op, f"where the reference's {theirs} takes the", asked=_NO_PADS)
        if op.type.startswith("Global"):
            return
    if all(count == 1 for count in counts):
        if op.type != whole:
            text = f"{op.type} has a window of {plain(now(op, space)['kernel_shape'])} where the reference's "
            text += f"{theirs} takes the whole image"
            yield Hypothesis("pool.global", text, (Edit(output, whole, gone),), expected=True)
        return
    where = f"where the reference's {theirs} adapts its windows to {'x'.join(map(str, counts))} outputs"
    if all(size % count == 0 for size, count in zip(space, counts, strict=True)):
        kernel = [size // count for size, count in zip(space, counts, strict=True)]
        fixed: dict[str, Any] = {**gone, "kernel_shape": kernel, "strides": kernel}
        if op.attributes.get("kernel_shape") != kernel or op.attributes.get("strides") != kernel:
            text = f"{op.type} has the wrong window {where} of {plain(kernel)}"
            yield Hypothesis("pool.adaptive", text, (Edit(output, asked.op_type, fixed),), expected=True)
        return
    text = f"{op.type} has a fixed window {where}, which are unequal for an image of "
    text += "x".join(map(str, space))
    nodes = adapted(op, space, counts, dtype_of(case, op))
    yield Hypothesis("pool.adaptive", text, (Edit(output, nodes=nodes),), expected=True)


_NO_PADS: Attributes = {"count_include_pad": 0, "pads": [0]}


def adapted(op: Op, space: tuple[int, ...], counts: Sequence[int], dtype: np.dtype[Any]) -> tuple[Node, ...]:
    """A pool to so many outputs an axis, whose windows may be unequal: the largest of each, or its mean."""
    outputs = tuple(int(count) for count in counts)
    return _greatest(op, space, outputs) if op.type.endswith("MaxPool") else _means(op, space, outputs, dtype)


def _means(op: Op, space: tuple[int, ...], counts: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Node, ...]:
    """Exact: one matrix of weights for the rows, one for the columns (and the planes, moved last in turn)."""
    output, x = op.outputs[0], op.inputs[0]
    rank = len(space) + 2
    nodes: list[Node] = []
    for place, (size, count) in enumerate(zip(space, counts, strict=True)):
        last = place == len(space) - 1
        name = output if last else f"{output}.axis{place}"
        matrix = averaging(size, count).astype(dtype)
        axis = place + 2
        if axis == rank - 1:
            nodes.append(Node("MatMul", (x, np.ascontiguousarray(matrix.T)), (name,)))
        elif axis == rank - 2:
            nodes.append(Node("MatMul", (matrix, x), (name,)))
        else:
            perm = [a for a in range(rank) if a != axis] + [axis]
            back = [perm.index(a) for a in range(rank)]
            nodes += [
                Node("Transpose", (x,), (f"{name}.moved",), {"perm": perm}),
                Node("MatMul", (f"{name}.moved", np.ascontiguousarray(matrix.T)), (f"{name}.mean",)),
                Node("Transpose", (f"{name}.mean",), (name,), {"perm": back}),
            ]
        x = name
    return tuple(nodes)


def averaging(size: int, count: int) -> Array:
    """The matrix (count, size) that takes the mean of every adaptive window; float64."""
    matrix = np.zeros((count, size))
    for row, (begin, end) in enumerate(windows(size, count)):
        matrix[row, begin:end] = 1 / (end - begin)
    return matrix


def _greatest(op: Op, space: tuple[int, ...], counts: tuple[int, ...]) -> tuple[Node, ...]:
    """Rows gathered window by window, short windows repeating their last row: then all are equal."""
    output, x = op.outputs[0], op.inputs[0]
    nodes: list[Node] = []
    kernel: list[int] = []
    for place, (size, count) in enumerate(zip(space, counts, strict=True)):
        found = windows(size, count)
        longest = max(end - begin for begin, end in found)
        rows = [min(begin + step, end - 1) for begin, end in found for step in range(longest)]
        name = f"{output}.axis{place}"
        nodes.append(Node("Gather", (x, np.array(rows, np.int64)), (name,), {"axis": place + 2}))
        kernel.append(longest)
        x = name
    nodes.append(Node("MaxPool", (x,), (output,), {"kernel_shape": kernel, "strides": kernel}))
    return tuple(nodes)
