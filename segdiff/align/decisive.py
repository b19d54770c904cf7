"""Which paired values can change what stands behind them?

An attention over one position has a softmax over one element, which is 1 whatever it reads. A simplifier puts
the 1 there, and leaves the branches of queries and keys out: they decide nothing. Nor does a tensor of which
only the shape is read: a converter writes that shape down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from segdiff.align.kinds import kind_of
from segdiff.align.view import View
from segdiff.core.graph import Op, Shape

FLATTENED_SOFTMAX = 13
"""The opset of ONNX before which a softmax is one over all axes from its own on."""

SIZES = {"expand_as": ("y", "Y", "target_tensor"), "expand_as_v2": ("y", "Y", "target_tensor")}
"""Operands that are read for their shape."""


def decisive(view: View, other: View, pairs: Mapping[str, str], ends: Iterable[str]) -> set[str]:
    """The values of ``pairs`` (this side -> the other) in front of ``ends`` that can change them.

    >>> from pathlib import Path
    >>> from segdiff.align.view import view_of
    >>> from segdiff.core.graph import Graph, Value
    >>> rows = [("softmax", ("q",), "s"), ("matmul", ("s", "v"), "y")]
    >>> ops = [Op(i, row[0], "", row[1], ("X", "Y")[-i - 1 :], (row[2],), {}) for i, row in enumerate(rows)]
    >>> def side(keys):
    ...     shapes = {"q": Value("q", (1, 4, None, None)), "v": Value("v", (1, 4, keys, 32))}
    ...     return view_of(Graph("pir", Path("m"), tuple(ops), shapes, {}, ("q", "v"), ("y",)))
    >>> [sorted(decisive(side(keys), side(None), {"q": "q", "v": "v"}, ["y"])) for keys in (1, 2)]
    [['v'], ['q', 'v']]
    """
    seen: set[int] = set()
    starts: set[str] = set()
    queue = list(ends)
    while queue:
        op = view.producer.get(queue.pop())
        if op is None or op.index in seen or _is_one(op, view, other, pairs):
            continue
        seen.add(op.index)
        for name in _contents(op, view):
            if name in pairs:
                starts.add(name)
            else:
                queue.append(name)
    return starts.difference(ends)


def _contents(op: Op, view: View) -> list[str]:
    """What an op reads for what it holds, and not for its shape alone."""
    sized = [n for s, n in zip(op.slots, op.inputs, strict=False) if s in SIZES.get(op.type, ())]
    return [name for name in view.reads[op.index] if not sized or name not in map(view.source, sized)]


def _is_one(op: Op, view: View, other: View, pairs: Mapping[str, str]) -> bool:
    """Whether an op is a softmax over a single element."""
    shape = view.graph.value(op.inputs[0]).shape if op.inputs else None
    if kind_of(op) != "softmax" or not shape:
        return False
    flattened = 0 < view.graph.opset < FLATTENED_SOFTMAX
    axis = int(op.attributes.get("axis", 1 if flattened else -1))
    if not -len(shape) <= axis < len(shape):
        return False
    axis %= len(shape)
    lengths = list(shape[axis:] if flattened else shape[axis : axis + 1])
    if axis == len(shape) - 1 and lengths == [None]:
        lengths = [_rows_multiplied(op.outputs[0], view, other, pairs)]
    return all(length == 1 for length in lengths)


def _rows_multiplied(name: str, view: View, other: View, pairs: Mapping[str, str]) -> int | None:
    """The last length of a value, told by the rows of what the only op that reads it multiplies it with."""
    readers = view.readers.get(name, ())
    if len(readers) != 1 or kind_of(readers[0]) != "matmul" or _turns(readers[0]):
        return None
    reads = view.reads[readers[0].index]
    if len(reads) != 2 or reads[0] != name:
        return None
    shapes: list[Shape | None] = [view.graph.value(reads[1]).shape]
    if reads[1] in pairs:
        shapes.append(other.graph.value(pairs[reads[1]]).shape)
    return next((s[-2] for s in shapes if s and len(s) > 1 and s[-2] is not None), None)


def _turns(matmul: Op) -> bool:
    """Whether a product takes one of its operands transposed."""
    return any(matmul.attributes.get(word) for word in TURNED)


TURNED = (
    "transpose_x",
    "transpose_y",
    "trans_x",
    "trans_y",
    "transpose_X",
    "transpose_Y",
    "transA",
    "transB",
)
"""How the frameworks write that an operand of a product is transposed."""
