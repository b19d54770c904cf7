"""Which settings does the compiler of a device get wrong by itself? What the suspects of a file leave out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from segdiff.core.edit import Edit
from segdiff.core.graph import Graph, Op
from segdiff.diagnose.device_weights import Tried, weights_of
from segdiff.diagnose.families.activation import CUSTOMARY, WORDS
from segdiff.walk.probe import Bench

SETTING = "device.operator"

EPSILONS = (1e-5, 1e-3, 1e-6, 1e-12, 0.0)

USUAL: dict[tuple[str, str], tuple[Any, ...]] = {
    **CUSTOMARY,
    ("AveragePool", "count_include_pad"): (0, 1),
    ("BatchNormalization", "epsilon"): EPSILONS,
    ("InstanceNormalization", "epsilon"): EPSILONS,
    ("LayerNormalization", "epsilon"): EPSILONS,
    ("DepthToSpace", "mode"): ("DCR", "CRD"),
    ("Gelu", "approximate"): ("none", "tanh"),
    ("GridSample", "align_corners"): (0, 1),
    ("GridSample", "padding_mode"): ("zeros", "border", "reflection"),
    ("ArgMax", "select_last_index"): (0, 1),
}
"""What an attribute is elsewhere, where it is not what the file says: defaults of frameworks and vendors."""

ALONG = frozenset({"Softmax", "LogSoftmax", "Hardmax", "ArgMax", "ArgMin"})
"""Operators along one axis, which devices have been seen to take for the last, or for the channels."""


def other_settings(bench: Bench) -> Tried:
    """Edits that give an operator another setting, or exchange two of its parameters; with kind and words."""
    graph = bench.probe.graph
    for op in map(graph.op, bench.segment.ops):
        yield from usual_values(op)
        yield from other_axes(bench, op)
        yield from padded_otherwise(op)
        yield from exchanged(graph, op)


def usual_values(op: Op) -> Tried:
    """The attributes of an op as they are elsewhere."""
    for (op_type, name), values in USUAL.items():
        now = op.attributes.get(name)
        for value in values if op_type == op.type else ():
            if value != now:
                other = f"{op.type} has {name} {told(value)}"
                words = f"{other}, where the file says {told(now)} ({word_of(op, name)})"
                yield SETTING, words, (Edit(op.outputs[0], attributes={name: value}),)


def told(value: Any) -> str:
    """A setting for a person."""
    return "nothing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def word_of(op: Op, name: str) -> str:
    """The kind that the same setting has in a file."""
    return WORDS.get((op.type, name), f"{op.type.lower()}.{name}")


def other_axes(bench: Bench, op: Op) -> Tried:
    """The other axes of what an op reads, where that is known."""
    if op.type not in ALONG or op.inputs[0] not in bench.feeds:
        return
    rank, now = bench.feeds[op.inputs[0]].array.ndim, op.attributes.get("axis")
    for axis in (1, rank - 1, *range(rank)):
        if axis != now:
            words = f"{op.type} goes along axis {axis}, where the file says {told(now)}"
            yield SETTING, words, (Edit(op.outputs[0], attributes={"axis": axis}),)


def padded_otherwise(op: Op) -> Tried:
    """The same amount of padding at the other sides: as other frameworks place an uneven one, or turned."""
    pads = tuple(op.attributes.get("pads") or ())
    if len(pads) != 4 or not any(pads):
        return
    for other in dict.fromkeys(_placements(pads)):
        if other != pads and min(other) >= 0:
            words = f"{op.type} pads by {list(other)}, where the file says {list(pads)}"
            yield SETTING, words, (Edit(op.outputs[0], attributes={"pads": list(other)}),)


def _placements(pads: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    top, left, bottom, right = pads
    yield bottom, right, top, left
    yield left, top, right, bottom
    yield top, bottom, left, right
    for step in (1, -1, 2, -2):
        yield top + step, left + step, bottom - step, right - step
        yield top + step, left, bottom - step, right
        yield top, left + step, bottom, right - step


def exchanged(graph: Graph, op: Op) -> Tried:
    """Two parameters of one shape in each other's place: of a batch norm the mean and the offset."""
    known = dict(weights_of(graph, op))
    for (one, name), (two, other) in combinations(known.items(), 2):
        if graph.parameters[name].shape != graph.parameters[other].shape:
            continue
        words = f"{op.type} reads {name!r} and {other!r} in each other's place"
        yield SETTING, words, (Edit(op.outputs[0], inputs={one: other, two: name}),)
