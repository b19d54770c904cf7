"""Which segments run in one go? Small ones: a session of its own costs each more than what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from segdiff.align import Segment
from segdiff.core.errors import EngineError
from segdiff.walk.waiting import Waiting

TOGETHER = 16
TOGETHER_BYTES = 8 << 20
"""Segments that run in one go, as long as the tensors at their ends are no more bytes than this: these wait
while the segments are gathered, and so does the candidate's engine."""


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
