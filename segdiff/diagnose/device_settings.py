"""Which settings does the compiler of a device get wrong by itself? What the suspects of a file leave out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from segdiff.core.edit import Edit
from segdiff.core.graph import Graph, Op
from segdiff.diagnose.device_weights import Tried, weights_of
from segdiff.walk.probe import Bench

SETTING = "device.operator"


def other_settings(bench: Bench) -> Tried:
    """Edits that pad otherwise, or exchange two parameters of an operator, with their kind and words."""
    graph = bench.probe.graph
    for op in map(graph.op, bench.segment.ops):
        yield from padded_otherwise(op)
        yield from exchanged(graph, op)


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
