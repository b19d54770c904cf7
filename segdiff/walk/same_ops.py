"""Which segments hold the same operators on both sides? There one runtime gives equal bits on equal inputs.

The same: operators that say the same (``segdiff.readers.onnx_nodes``), wired the same way, output for output,
from the same pairs of values, with constants of the same bytes, wherever a file keeps these. Names mean
nothing, and what hands a value on unchanged is looked through. Never the same is what draws random numbers,
has blocks, or is quantised: its segment has to run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segdiff.align import Alignment, Segment
from segdiff.align.kinds import drops, kind_of
from segdiff.align.view import View
from segdiff.core.errors import ModelError
from segdiff.core.graph import Op, Parameter
from segdiff.readers.onnx_nodes import Node, nodes_of
from segdiff.readers.onnx_tensors import stretch_of

AT_ONCE = 1 << 20
"""Bytes of a constant that are compared at once: a weight of any size needs no more memory."""


@dataclass(frozen=True)
class Side:
    """A model, and what its nodes say by their place in the file."""

    view: View
    nodes: Mapping[int, Node]

    def source(self, name: str) -> str:
        """The value or constant that ``name`` hands on unchanged, or itself."""
        graph = self.view.graph
        while True:
            name = self.view.source(name)
            op = None if name in graph.parameters else graph.producer.get(name)
            if op is None or op.type != "Identity":
                return name
            name = op.inputs[0]

    def told(self, op: Op) -> Node | None:
        """What an op says; None where it cannot be relied on."""
        if kind_of(op) == "random" or drops(self.view.graph, op):
            return None
        return self.nodes.get(op.index)


def same_segments(alignment: Alignment) -> frozenset[Segment]:
    """The segments of two ONNX files whose operators are the same, none of two files of another format.

    Raises ModelError where a file can no longer be read.

    >>> from segdiff.align import align
    >>> from segdiff.example import example_files
    >>> from segdiff.readers import find, read
    >>> with example_files() as files:
    ...     graph = read(find(files.candidate))
    ...     alignment = align(graph, graph)
    ...     same_segments(alignment) == frozenset(alignment.segments)
    True
    """
    views = alignment.reference, alignment.candidate
    if any(view.graph.format != "onnx" or view.graph.quantised for view in views):
        return frozenset()
    ours, theirs = (Side(view, nodes_of(view.graph.path)) for view in views)
    comparing = _Comparing(ours, theirs)
    return frozenset(segment for segment in alignment.segments if comparing.same(segment))


@dataclass
class _Comparing:
    """Two models, and which of their constants are known to be equal or not."""

    ours: Side
    theirs: Side
    constants: dict[tuple[str, str], bool] = field(default_factory=dict)

    def same(self, segment: Segment) -> bool:
        """Whether a segment's outputs are made by the same operators of the pairs that it starts from."""
        starts = {c: r for r, c in segment.inputs}
        seen: set[tuple[str, str]] = set()
        waiting = list(self._parts(segment.outputs))
        while waiting:
            pair = waiting.pop()
            if pair in seen:
                continue
            seen.add(pair)
            r, c = pair
            if c in starts:
                if starts[c] != r:
                    return False
                continue
            inputs = self._made_alike(r, c)
            if inputs is None:
                return False
            waiting += self._parts(inputs)
        return True

    def _parts(self, pairs: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
        return ((self.ours.source(r), self.theirs.source(c)) for r, c in pairs)

    def _made_alike(self, r: str, c: str) -> tuple[tuple[str, str], ...] | None:
        """The inputs of the same operator that makes both values, none for equal constants; else None."""
        held = self.ours.view.graph.parameters.get(r), self.theirs.view.graph.parameters.get(c)
        if held[0] is not None or held[1] is not None:
            return () if self._equal_constants(*held) else None
        ops = self.ours.view.graph.producer.get(r), self.theirs.view.graph.producer.get(c)
        if ops[0] is None or ops[1] is None:
            return None
        mine, other = self.ours.told(ops[0]), self.theirs.told(ops[1])
        if mine is None or other is None or mine.says != other.says:
            return None
        if mine.outputs.index(r) != other.outputs.index(c):
            return None
        return tuple(zip(ops[0].inputs, ops[1].inputs, strict=True))

    def _equal_constants(self, ours: Parameter | None, theirs: Parameter | None) -> bool:
        if ours is None or theirs is None:
            return False
        key = ours.name, theirs.name
        if key not in self.constants:
            self.constants[key] = equal_constants(ours, theirs)
        return self.constants[key]


def equal_constants(ours: Parameter, theirs: Parameter) -> bool:
    """Whether two constants have one type, one shape and the same bytes.

    Raises ModelError where one cannot be read.

    >>> a, b = np.zeros(2, np.float32), -np.zeros(2, np.float32)
    >>> held = [Parameter("p", each.shape, each.dtype.name, lambda each=each: each) for each in (a, a, b)]
    >>> equal_constants(held[0], held[1]), equal_constants(held[0], held[2])
    (True, False)
    """
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return False
    places = stretch_of(ours), stretch_of(theirs)
    if places[0] is not None and places[1] is not None:
        return places[0] == places[1] or _equal_bytes(*places[0], *places[1][:2])
    arrays = ours.load(), theirs.load()
    if ours.dtype == "object":
        return bool(np.array_equal(*arrays))
    return arrays[0].tobytes() == arrays[1].tobytes()


def _equal_bytes(ours: Path, start: int, length: int, theirs: Path, other_start: int) -> bool:
    """Whether two stretches of so many bytes are equal; of one file or of two."""
    try:
        with ours.open("rb") as mine, theirs.open("rb") as other:
            mine.seek(start)
            other.seek(other_start)
            for left in range(length, 0, -AT_ONCE):
                part = mine.read(min(left, AT_ONCE))
                if part != other.read(min(left, AT_ONCE)):
                    return False
    except OSError as error:
        raise ModelError(f"{ours}: cannot be read: {error.strerror}") from error
    return True
