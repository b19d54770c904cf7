"""Which operators make a value? Those before it, back to where one may stop."""

from __future__ import annotations

from collections.abc import Iterable

from segdiff.core.graph import Graph


def upstream(graph: Graph, wanted: Iterable[str], stops: frozenset[str]) -> tuple[int, ...]:
    """Indices of the ops that make ``wanted``, back to the values ``stops`` and the model's inputs."""
    found: set[int] = set()
    queue = [name for name in wanted if name not in stops]
    while queue:
        op = graph.producer.get(queue.pop())
        if op is not None and op.index not in found:
            found.add(op.index)
            queue += [name for name in op.inputs if name not in stops]
    return tuple(sorted(found))
