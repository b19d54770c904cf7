"""What do some of the candidate's nodes make of these arrays? What is not fed is the candidate's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from segdiff.core.answer import Origin, PairInfo
from segdiff.core.errors import InputError
from segdiff.core.graph import Array, Graph
from segdiff.core.meant import did_you_mean
from segdiff.core.printable import clean
from segdiff.finding.case_changes import node_named
from segdiff.finding.case_pairs import Named, Pairs
from segdiff.finding.weigh import own_values
from segdiff.walk import Run

Nodes = Named | Iterable[str | int]
"""A node, or several, by name, by a value written or by index; or a pair, for its whole segment."""

SHOWN = 6
"""Names that an error lists."""


@dataclass(frozen=True)
class Asked:
    """Which nodes run (their indices), on which arrays, for which values; ``rest`` is not fed."""

    ops: tuple[int, ...]
    feeds: Mapping[str, Array]
    rest: tuple[str, ...]
    wanted: tuple[str, ...]


def asked_for(
    run: Run, pairs: Pairs, nodes: Nodes, feeds: Mapping[str, Array], wanted: Iterable[str] | None
) -> Asked:
    """What is to run. Raises InputError for a name that does not exist, or that these nodes do not know."""
    graph = run.probe.graph
    ops = operators(graph, pairs, nodes)
    made = {name for index in ops for name in graph.op(index).outputs if name}
    read = dict.fromkeys(name for index in ops for name in graph.op(index).inputs if name)
    starts = [name for name in read if name not in made and name not in graph.parameters]
    names = tuple(wanted) if wanted is not None else ends(graph, ops, made)
    unknown = next((name for name in names if name not in made), None)
    if unknown is not None:
        raise InputError(f"these nodes make no {clean(unknown)!r}{did_you_mean(unknown, made)}")
    given = fed(run, feeds, starts)
    return Asked(ops, given, tuple(name for name in starts if name not in given), names)


def ran(run: Run, asked: Asked) -> dict[str, Array]:
    """The values that the nodes make; what is not fed is the candidate's own from the image.

    Raises EngineError.
    """
    probe = run.probe
    tensors = {name: probe.blocks.tensor(array) for name, array in asked.feeds.items()}
    tensors |= own_values(run, asked.rest) if asked.rest else {}
    got = probe.candidate.run(tensors, asked.wanted, asked.ops)
    return {name: np.array(tensor.array) for name, tensor in got.items()}


def operators(graph: Graph, pairs: Pairs, nodes: Nodes) -> tuple[int, ...]:
    """The indices of the nodes meant, in the order in which they run."""
    if isinstance(nodes, PairInfo | Origin | int):
        return pairs.row(nodes).step.segment.nodes
    names = [nodes] if isinstance(nodes, str) else list(nodes)
    if not names:
        raise InputError("name at least one node to run")
    indices = {op.index for op in graph.ops}
    unknown = next((each for each in names if isinstance(each, int) and each not in indices), None)
    if unknown is not None:
        raise InputError(f"{graph.path}: there is no node {unknown}; they run from 0 to {max(indices)}")
    found = {each if isinstance(each, int) else node_named(graph, each).index for each in names}
    return tuple(sorted(found))


def fed(run: Run, feeds: Mapping[str, Array], starts: list[str]) -> dict[str, Array]:
    """What is fed, by the candidate's names and in its types."""
    found = {}
    for name, value in feeds.items():
        own = name if name in starts else run.alignment.pairs.get(name, name)
        if own not in starts:
            told = ", ".join(repr(clean(each, 80)) for each in starts[:SHOWN]) or "nothing"
            near = did_you_mean(name, starts)
            raise InputError(f"these nodes do not read {clean(name)!r}{near} (they read {told})")
        array: Array = np.asarray(value)
        form = run.walk.forms.get(own)
        if form is not None and form[0] != array.dtype and form[0].kind == array.dtype.kind:
            array = array.astype(form[0])
        found[own] = array
    return found


def ends(graph: Graph, ops: tuple[int, ...], made: set[str]) -> tuple[str, ...]:
    """Of what the nodes make, what others read, or nobody does."""
    inside = set(ops)
    readers = {name: {op.index for op in graph.consumers.get(name, ())} for name in made}
    found = [name for name, read in readers.items() if name in graph.outputs or not (read and read <= inside)]
    return tuple(sorted(found, key=lambda name: graph.producer[name].index))
