"""What lies between paired values? The unit of blame: a *segment*, a set of ops on both sides.

A segment is what turns paired values into one paired value. Where several paired values share ops that
compute, they form one segment with several outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import networkx as nx

from segdiff.align.decisive import decisive
from segdiff.align.kinds import kind_of
from segdiff.align.quantised import ROUNDING
from segdiff.align.view import View
from segdiff.core.graph import Graph


@dataclass(frozen=True)
class Segment:
    """One step of the walk.

    ``outputs`` are the pairs it ends in, (reference, candidate); ``inputs`` the pairs the candidate's side
    starts from, shapes included; ``nodes`` all the candidate's nodes needed to run it, and ``ops`` those of
    them that compute; ``reference_ops`` the reference's compute ops. Ops are given by their index.
    ``same_ends`` says that both sides start from the same pairs, or would but for those that decide nothing.
    """

    outputs: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]
    nodes: tuple[int, ...]
    ops: tuple[int, ...]
    reference_ops: tuple[int, ...]
    same_ends: bool


@dataclass(frozen=True)
class _Cone:
    """What one value is made of, back to paired values."""

    nodes: frozenset[int]
    starts: tuple[str, ...]


def cut(reference: View, candidate: View, pairs: Mapping[str, str]) -> tuple[Segment, ...]:
    """Cut both graphs at the paired values (reference -> candidate), in the candidate's program order.

    >>> from pathlib import Path
    >>> from segdiff.align.view import view_of
    >>> from segdiff.core.graph import Op
    >>> def model(names):
    ...     ops = [Op(i, "Relu", "", names[i : i + 1], ("0",), names[i + 1 : i + 2], {}) for i in range(3)]
    ...     return view_of(Graph("onnx", Path("m"), tuple(ops), {}, {}, names[:1], names[3:]))
    >>> ours, theirs = model(("x", "a", "b", "y")), model(("x", "s", "t", "z"))
    >>> for segment in cut(ours, theirs, {"x": "x", "b": "t", "y": "z"}):
    ...     print(segment.reference_ops, segment.ops, segment.inputs, segment.outputs)
    (0, 1) (0, 1) (('x', 'x'),) (('b', 't'),)
    (2,) (2,) (('b', 't'),) (('y', 'z'),)
    """
    partner = {c: r for r, c in pairs.items()}
    cones = {c: _cone(candidate.graph, c, partner) for c in partner if c in candidate.producer}
    compute = frozenset(op.index for op in candidate.ops)
    binding = compute - {op.index for op in candidate.ops if op.type in ROUNDING or kind_of(op) == "cast"}
    groups = _without_cycles(_sharing(cones, binding), cones)
    built = [_segment(reference, candidate, pairs, partner, group, cones, compute) for group in groups]
    return tuple(sorted(built, key=lambda segment: segment.nodes[-1]))


def _cone(graph: Graph, end: str, stops: Mapping[str, str]) -> _Cone:
    nodes: set[int] = set()
    starts: dict[str, None] = {}
    queue = [end]
    while queue:
        op = graph.producer.get(queue.pop())
        if op is None or op.index in nodes:
            continue
        nodes.add(op.index)
        for name in op.inputs:
            if name in stops or name in graph.inputs:
                starts[name] = None
            elif name not in graph.parameters:
                queue.append(name)
    return _Cone(frozenset(nodes), tuple(starts))


def _sharing(cones: Mapping[str, _Cone], compute: frozenset[int]) -> list[list[str]]:
    """Groups of ends whose cones share an op that computes, and not one that only stores a value in another
    type, or as bytes: several readers may have that in common, and each can run it for itself."""
    together = nx.Graph()
    together.add_nodes_from(cones)
    first: dict[int, str] = {}
    for end, cone in cones.items():
        for node in cone.nodes & compute:
            together.add_edge(first.setdefault(node, end), end)
    place = {end: number for number, end in enumerate(cones)}
    return [sorted(group, key=place.__getitem__) for group in nx.connected_components(together)]


def _without_cycles(groups: list[list[str]], cones: Mapping[str, _Cone]) -> list[list[str]]:
    """Groups that need one another's values become one: a segment must be able to run on its own."""
    home = {end: number for number, group in enumerate(groups) for end in group}
    needs = nx.DiGraph()
    needs.add_nodes_from(range(len(groups)))
    for end, cone in cones.items():
        needs.add_edges_from((home[start], home[end]) for start in cone.starts if start in home)
    merged = [sorted(part) for part in nx.strongly_connected_components(needs)]
    return [[end for number in part for end in groups[number]] for part in sorted(merged)]


def _segment(
    reference: View,
    candidate: View,
    pairs: Mapping[str, str],
    partner: Mapping[str, str],
    group: list[str],
    cones: Mapping[str, _Cone],
    compute: frozenset[int],
) -> Segment:
    nodes = frozenset().union(*(cones[end].nodes for end in group))
    starts = dict.fromkeys(name for end in group for name in cones[end].starts)
    ours, our_starts = _reference_side(reference, [partner[end] for end in group], pairs)
    data = {partner.get(candidate.source(n), "") for i in nodes & compute for n in candidate.reads[i]} - {""}
    made = {partner[end] for end in group}
    within = frozenset(group)
    same = our_starts - made == data - made
    if not same:
        theirs = decisive(candidate, reference, partner, group)
        same = decisive(reference, candidate, pairs, made) == {partner[name] for name in theirs}
    return Segment(
        outputs=tuple((partner[end], end) for end in group),
        inputs=tuple((partner.get(name, ""), name) for name in starts if name not in within),
        nodes=tuple(sorted(nodes)),
        ops=tuple(sorted(nodes & compute)),
        reference_ops=ours,
        same_ends=same,
    )


def _reference_side(
    view: View, ends: Iterable[str], pairs: Mapping[str, str]
) -> tuple[tuple[int, ...], set[str]]:
    """Compute ops between paired values and ``ends``, and the paired values they start from."""
    ops: set[int] = set()
    starts: set[str] = set()
    queue = list(ends)
    while queue:
        op = view.producer.get(queue.pop())
        if op is None or op.index in ops:
            continue
        ops.add(op.index)
        for name in view.reads[op.index]:
            if name in pairs:
                starts.add(name)
            else:
                queue.append(name)
    return tuple(sorted(ops)), starts


SMALL_MODEL = 6
"""Compute ops up to which one segment may hold a whole model."""


ONE_OP = 2
"""Ops up to which one side of a segment may be a single operator that the other writes in dozens."""


def swallows(held: tuple[int, int], sizes: tuple[int, int]) -> bool:
    """Whether so many ops are most of a model, and not just one operator written out.

    >>> swallows((30, 40), (35, 45)), swallows((3, 3), (35, 45))
    (True, False)
    """
    most = any(2 * ops > max(size, 2 * SMALL_MODEL) for ops, size in zip(held, sizes, strict=True))
    return most and min(held) > ONE_OP
