"""What are the tensors of a list that Paddle shows to nobody?

The hook speaks of no list, and of none of its parts. Where the program says how an op makes its list, a part
is a piece of what the op reads: a window of it (split), a slice (unbind), the whole laid out (meshgrid).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from segdiff.core.graph import Array, Graph, Op


@dataclass(frozen=True)
class Split:
    """A tensor that a PIR program takes apart, so that its parts can be cut from it.

    ``sizes`` are the parts' lengths along ``axis``; at most one may be -1, the rest. With ``drops`` each part
    has length one and loses the axis.
    """

    whole: str
    parts: tuple[str, ...]
    axis: int
    sizes: tuple[int, ...]
    drops: bool = False

    def cut(self, array: Array) -> list[Array]:
        """The parts, C-contiguous, in order."""
        known = sum(size for size in self.sizes if size >= 0)
        sizes = [size if size >= 0 else array.shape[self.axis] - known for size in self.sizes]
        if not sizes or sizes == [0]:
            return []
        places = np.cumsum(sizes)[:-1]
        parts = np.split(array, places, axis=self.axis)
        if self.drops:
            parts = [part.squeeze(self.axis) for part in parts]
        return [np.asarray(part, order="C") for part in parts]


@dataclass(frozen=True)
class Laid:
    """A vector that is repeated along the other axes of a grid: one part of a meshgrid."""

    whole: str
    parts: tuple[str, ...]
    axis: int
    shape: tuple[int, ...]

    def cut(self, array: Array) -> list[Array]:
        """The one part, C-contiguous."""
        along = [1] * len(self.shape)
        along[self.axis] = -1
        return [np.ascontiguousarray(np.broadcast_to(array.reshape(along), self.shape))]


def splits(graph: Graph) -> tuple[Split | Laid, ...]:
    """The lists of a program that are made in a way which constants of the program tell."""
    found: list[Split | Laid] = []
    for taken_apart in graph.ops:
        op = graph.producer.get(taken_apart.inputs[0]) if taken_apart.type == "builtin.split" else None
        how = _MAKERS.get(op.type) if op else None
        if op is not None and how is not None:
            found += how(graph, op, taken_apart.outputs)
    return tuple(found)


def undelivered(graph: Graph) -> frozenset[str]:
    """Values that Paddle never shows to the hook: tensor lists, and their parts unless they can be cut or are
    outputs, which the predictor hands out; of an op with several results, those that nothing reads (measured
    on ``topk`` of Paddle 3.3.1).

    What a ``conditional_block`` of a ``.pdmodel`` writes is shown only where its branch is taken.
    """
    if graph.format != "pir":
        branches = [op for op in graph.ops if op.type == "conditional_block"]
        return frozenset(name for op in branches for name in op.outputs)
    lists = [op for op in graph.ops if op.type.startswith("builtin.")]
    names = {name for op in lists for name in (*op.outputs, *op.inputs[: op.type == "builtin.split"])}
    several = [op for op in graph.ops if len(op.outputs) > 1 and op not in lists]
    names |= {name for op in several for name in op.outputs if not graph.consumers.get(name)}
    return frozenset(names - set(graph.outputs) - {part for split in splits(graph) for part in split.parts})


def _windows(graph: Graph, op: Op, parts: tuple[str, ...]) -> Iterator[Split]:
    given = {slot: _constant(graph, name) for slot, name in zip(op.slots, op.inputs, strict=True)}
    axis = given.get("axis")
    sizes: Any = given.get("sections") if op.type == "split" else None
    if op.type == "split_with_num" and axis is not None:
        length = (graph.value(op.inputs[0]).shape or (None,))[int(axis) :][:1]
        sizes = [length[0] // len(parts)] * len(parts) if length and length[0] else None
    if axis is not None and sizes is not None and len(sizes) == len(parts):
        yield Split(op.inputs[0], parts, int(axis), tuple(int(size) for size in sizes))


def _slices(graph: Graph, op: Op, parts: tuple[str, ...]) -> Iterator[Split]:
    axis = op.attributes.get("axis", 0)
    yield Split(op.inputs[0], parts, int(axis), (1,) * len(parts), drops=True)


def _grid(graph: Graph, op: Op, parts: tuple[str, ...]) -> Iterator[Laid]:
    listed = graph.producer.get(op.inputs[0])
    if listed is None or len(listed.inputs) != len(parts):
        return
    shape = graph.value(parts[0]).shape
    if shape is None or len(shape) != len(parts) or any(size is None or size < 0 for size in shape):
        return
    sizes = tuple(size for size in shape if size is not None)
    for axis, (whole, part) in enumerate(zip(listed.inputs, parts, strict=True)):
        yield Laid(whole, (part,), axis, sizes)


_Maker = Callable[[Graph, Op, tuple[str, ...]], Iterator[Split | Laid]]

_MAKERS: dict[str, _Maker] = {
    "split": _windows,
    "split_with_num": _windows,
    "unbind": _slices,
    "unstack": _slices,
    "meshgrid": _grid,
}


def _constant(graph: Graph, name: str) -> Any:
    """The value of a ``full`` or ``full_int_array`` op, else None."""
    op = graph.producer.get(name)
    return op.attributes.get("value") if op and op.type in ("full", "full_int_array") else None
