"""By what is an origin known again? By its cause, its operators, and where in the graph they stand.

Nothing of it depends on a run: no number that was measured, no path, and no name that a file gives a value.
So it outlasts a second conversion, other weights, another picture, and values that were renamed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any

from segdiff.core.answer import OPTIMISERS, Cause, Origin
from segdiff.core.fingerprint import UNKNOWN
from segdiff.core.graph import Graph, Op

AROUND = 3
"""How many operators up and down make a place. Places that look the same that far are told apart by their
order; the fewer operators count, the less a change elsewhere in the model disturbs."""

DIGITS = 12
"""Of the hash: two of a model's thousand places have the same once in half a thousand million models."""


def fingerprinted(origins: Iterable[Origin], graphs: tuple[Graph, Graph]) -> tuple[Origin, ...]:
    """The origins, each with its fingerprint: the kind of its cause, a hyphen, twelve hex digits.

    ``graphs`` are the reference's and the candidate's. The digits are a hash of the operators' types on both
    sides, of the block they lie in, and of the place of the value in the reference's graph (in the
    candidate's, where that one has it alone).
    """
    found = tuple(origins)
    if not found:
        return ()
    places = Places(graphs[0]), Places(graphs[1])
    return tuple(replace(origin, fingerprint=fingerprint(origin, places)) for origin in found)


def fingerprint(origin: Origin, places: tuple[Places, Places]) -> str:
    """The fingerprint of one origin."""
    pair = origin.pair
    place = places[0].of(pair.reference) or places[1].of(pair.reference) or places[1].of(pair.candidate)
    ops = [[op.type for op in side] for side in (origin.reference_ops, origin.candidate_nodes)]
    inside = [[each.op_type, each.block] for each in origin.inside]
    return f"{kind_in(origin.cause)}-{digest([ops, inside, place])[:DIGITS]}"


def kind_in(cause: Cause | None) -> str:
    """The kind of a cause that is more than a guess, in characters that are safe anywhere."""
    if cause is None:
        return UNKNOWN
    told = cause.proven or cause.kind in OPTIMISERS or cause.kind.startswith(("output.", "rows.", "runtime."))
    return re.sub(r"[^a-z0-9_.]", "_", cause.kind.lower())[:80] if told else UNKNOWN


class Places:
    """Where the values of a graph stand, told by the operators around and not by names."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        labels = surroundings(graph)
        seen: Counter[str] = Counter()
        self.ops: dict[int, tuple[str, int]] = {}
        for op in graph.ops:
            label = labels[op.index]
            self.ops[op.index] = label, seen[label]
            seen[label] += 1

    def of(self, name: str) -> list[Any] | None:
        """The place of a value; None where the graph has no such value."""
        op = self.graph.producer.get(name)
        if op is not None:
            return ["op", *self.ops[op.index], op.outputs.index(name)]
        if name in self.graph.outputs:
            return ["output", self.graph.outputs.index(name)]
        return ["input", self.graph.inputs.index(name)] if name in self.graph.inputs else None


def surroundings(graph: Graph) -> dict[int, str]:
    """A hash of what stands around each operator, by its index (after Weisfeiler and Leman)."""
    labels = {op.index: digest([op.type, len(op.outputs)]) for op in graph.ops}
    for _ in range(AROUND):
        labels = {op.index: digest(_seen_from(op, graph, labels)) for op in graph.ops}
    return labels


def _seen_from(op: Op, graph: Graph, labels: dict[int, str]) -> list[Any]:
    reads = [[slot, _source(name, graph, labels)] for slot, name in zip(op.slots, op.inputs, strict=False)]
    readers = sorted(labels[r.index] for name in op.outputs for r in graph.consumers.get(name, ()))
    return [labels[op.index], reads, readers]


def _source(name: str, graph: Graph, labels: dict[int, str]) -> list[Any]:
    """What an operand is: a weight of some shape, an input of the model, an output of another operator."""
    if name in graph.parameters:
        return ["parameter", list(graph.parameters[name].shape)]
    op = graph.producer.get(name)
    if op is not None:
        return ["op", labels[op.index], op.outputs.index(name)]
    return ["input", graph.inputs.index(name)] if name in graph.inputs else ["other"]


def digest(what: Any) -> str:
    """A hash of plain data."""
    return sha256(json.dumps(what, separators=(",", ":")).encode("utf-8", "replace")).hexdigest()
