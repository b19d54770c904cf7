"""Which segments run in one go? Small ones: a session of its own costs each more than what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from segdiff.align import Segment
from segdiff.core.errors import EngineError
from segdiff.core.graph import Graph
from segdiff.engines import Tensor
from segdiff.walk.waiting import Waiting

TOGETHER = 16
TOGETHER_BYTES = 8 << 20
"""Segments that run in one go, as long as the tensors at their ends and their weights are no more bytes than
this: the tensors wait while the segments are gathered, and so does the candidate's engine; the weights of all
are loaded at once."""

ELEMENT = 4
"""Bytes of a weight's element; of those of other types it need not be exact."""


def gathered(
    arriving: Iterator[str],
    segments: tuple[Segment, ...],
    nbytes: Callable[[Segment], int],
    singly: Callable[[], bool],
) -> Iterator[list[int]]:
    """The numbers of the segments that can run once the reference's values named by ``arriving`` are there,
    in groups, each segment after those that it reads from. ``singly``: from now on each by itself.

    Where the reference fails, what could run until then comes before its EngineError is raised.
    """
    waiting, group, size = Waiting(segments), list[int](), 0
    try:
        for name in arriving:
            for number in waiting.all_ready(name):
                group.append(number)
                size += nbytes(segments[number])
                if singly() or size > TOGETHER_BYTES or len(group) == TOGETHER:
                    yield group
                    group, size = [], 0
    except EngineError:
        if group:
            yield group
        raise
    if group:
        yield group


def nbytes_of(graph: Graph, segment: Segment, live: Mapping[str, Tensor]) -> int:
    """Bytes that a segment of a candidate takes: of the reference's tensors at both ends, and its weights."""
    ends = {r: live[r].nbytes for r, _ in (*segment.inputs, *segment.outputs) if r in live}
    read = {name for index in segment.nodes for name in graph.op(index).inputs} & graph.parameters.keys()
    return sum(ends.values()) + ELEMENT * sum(graph.parameters[name].size for name in read)
