"""Which values of an ONNX graph are lists of tensors, or optional ones? They cannot be fed as a tensor can.

As an output of a model a list is shown as one array (:func:`packed`), for there nobody reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from segdiff.core.captures import subgraphs
from segdiff.core.graph import Array, Graph

MAKING = frozenset(
    {
        "SequenceEmpty",
        "SequenceConstruct",
        "SequenceInsert",
        "SequenceErase",
        "SequenceMap",
        "SplitToSequence",
        "Optional",
    }
)
"""Operators whose outputs are lists, or of the type that may hold nothing."""


def lists_in(nodes: Iterable[Any], around: Iterable[str] = ()) -> frozenset[str]:
    """The names of lists that ``NodeProto`` in program order make, hand on, or have from their blocks;
    ``around`` are those known outside.

    >>> from onnx import parser
    >>> graph = parser.parse_graph('g (float[N] x) => (float[N] y) { s = SequenceConstruct(x) y = Relu(x) }')
    >>> sorted(lists_in(graph.node))
    ['s']
    """
    found = set(around)
    of_lists: set[str] = set()  # optional values that hold a list
    for node in nodes:
        if node.op_type in MAKING:
            found.update(node.output)
            if node.op_type == "Optional" and (not node.input or node.input[0] in found):
                of_lists.update(node.output)
        elif node.op_type == "OptionalGetElement":
            found.update(node.output if node.input[0] in of_lists else ())
        elif node.op_type == "Identity" and node.input[0] in found:
            found.update(node.output)
        elif node.op_type == "Loop":
            found.update(_of_a_loop(node, found))
        elif node.op_type == "If":
            for part in subgraphs(node):
                inner = lists_in(part.node, found)
                pairs = zip(part.output, node.output, strict=False)
                found.update(out for end, out in pairs if end.name in inner)
    return frozenset(found) - frozenset(around)


def _of_a_loop(node: Any, around: set[str]) -> list[str]:
    """What a Loop carries that is a list at first."""
    starts = zip(node.input[2:], node.output, strict=False)
    return [out for start, out in starts if start in around]


def sequences(graph: Graph) -> frozenset[str]:
    """The lists of a graph that cannot be shown where they stand: all but those that only go out of it."""
    return frozenset(name for name in graph.lists if not _goes_out(graph, name))


def _goes_out(graph: Graph, name: str) -> bool:
    """Whether a value is an output, and nothing but a copy of it reads it."""
    readers = graph.consumers.get(name, ())
    if any(op.type != "Identity" for op in readers):
        return False
    ends = [name in graph.outputs, *(_goes_out(graph, out) for op in readers for out in op.outputs)]
    return any(ends)


def packed(value: Any) -> Array:
    """A list of tensors as one array: stacked where all have one shape, else their elements in a row; one of
    no element where there is none.

    >>> packed([np.zeros((2, 3)), np.ones((2, 3))]).shape, packed([np.zeros(2), np.ones(3)]).shape
    ((2, 2, 3), (5,))
    """
    if value is None or (isinstance(value, list) and not value):
        return np.zeros(0, np.float32)
    if not isinstance(value, list):
        return np.asarray(value)
    parts = [np.asarray(part) for part in value]
    if len({part.shape for part in parts}) == 1:
        return np.stack(parts)
    return np.concatenate([part.reshape(-1) for part in parts])
