"""Which values of an ONNX graph are lists of tensors? They cannot be shown or fed as a tensor can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from segdiff.core.graph import Graph

MAKING = frozenset(
    {
        "SequenceEmpty",
        "SequenceConstruct",
        "SequenceInsert",
        "SequenceErase",
        "SequenceMap",
        "SplitToSequence",
    }
)
"""Operators whose first output is a list."""

Row = tuple[str, Sequence[str], Sequence[str]]
"""Operator, inputs by position (empty where one is left out), outputs."""


def lists_among(rows: Iterable[Row]) -> frozenset[str]:
    """The names of lists that nodes in program order make, hand on, or carry through a Loop.

    >>> loop = "Loop", ["m", "c", "x", "s"], ["y", "t"]
    >>> rows = [("SequenceEmpty", [], ["s"]), loop, ("Relu", ["y"], ["z"])]
    >>> sorted(lists_among(rows))
    ['s', 't']
    """
    found: set[str] = set()
    for kind, inputs, outputs in rows:
        if kind in MAKING:
            found.update(outputs[:1])
        elif kind == "Identity" and inputs[0] in found:
            found.update(outputs)
        elif kind == "Loop":
            found.update(out for name, out in zip(inputs[2:], outputs, strict=False) if name in found)
    return frozenset(found)


def sequences(graph: Graph) -> frozenset[str]:
    """The lists of an ONNX graph; none in the other formats, which have ops of their own for them."""
    if graph.format != "onnx":
        return frozenset()
    rows = []
    for op in graph.ops:
        places = {int(slot): n for slot, n in zip(op.slots, op.inputs, strict=True) if slot.isdigit()}
        inputs = [places.get(place, "") for place in range(max(places, default=-1) + 1)]
        rows.append((op.type, inputs, op.outputs))
    return lists_among(rows)
