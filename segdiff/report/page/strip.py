"""What is shown of the whole graph? A vertical strip: open where something errs, healthy stretches folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segdiff.core.answer import Report
from segdiff.core.outline import Outline
from segdiff.core.printable import clean
from segdiff.report.facts import MEANINGS
from segdiff.report.page.drawing import Drawing, Known, drawn
from segdiff.report.page.layout import Layout, laid_out
from segdiff.report.page.levels import level_of
from segdiff.report.text import rel_l2, shorten

AROUND = 3
"""Ranks that stay open above and below what errs."""

SHORTEST = 4
"""Ranks that a stretch must have to be folded."""

MOST_OPEN = 40
"""Ranks that are open because something in them errs or is unknown: a graph that is wrong everywhere is no
more readable for being open everywhere."""

MOST_DRAWN = 5000
"""Operators that are drawn in folded stretches: of a graph of 20,000 those nearest to what errs."""

MAP_ROWS = 400
"""Rows of the minimap at most."""


@dataclass(frozen=True)
class Block:
    """Some ranks of the strip, from ``start`` on; a folded one has a summary. Of the ``operators``, so
    many are ``unknown``. ``drawing`` is None where it is left out."""

    number: int
    start: int
    ranks: int
    folded: bool
    operators: int
    unknown: int
    summary: str
    drawing: Drawing | None
    worst: int | None


@dataclass(frozen=True)
class Mark:
    """A row of the minimap: where it begins, how many ranks it stands for, its shade, and whether an origin
    is in it."""

    start: int
    size: int
    level: int | None
    origin: bool


@dataclass(frozen=True)
class Strip:
    """The blocks, the minimap, and how many operators and ranks there are."""

    blocks: tuple[Block, ...]
    marks: tuple[Mark, ...]
    operators: int
    depth: int
    left_out: int


def what_is_known(report: Report, outline: Outline, side: int) -> list[Known]:
    """What the report knows of each operator of an outline; ``side`` is 0 for the reference's, 1 for the
    candidate's."""
    known = [Known() for _ in outline.nodes]
    origins: dict[int, int] = {}
    for number, origin in enumerate(report.origins, 1):
        for op in origin.candidate_nodes if side else origin.reference_ops:
            for name in op.outputs:
                if not origin.runtime and name in outline.maker:
                    origins.setdefault(outline.maker[name], number)
    for place, pair in enumerate(report.pairs):
        at = outline.maker.get(pair.candidate if side else pair.reference)
        if at is None or (known[at].pair is not None and pair.state == "clean"):
            continue
        told = (
            f"pair {place + 1}, {MEANINGS[pair.state]}; isolated {rel_l2(pair.isolated)}, "
            f"cumulative {rel_l2(pair.cumulative)}"
        )
        levels = level_of(pair.isolated), level_of(pair.cumulative)
        known[at] = Known(place, pair.state, *levels, None, told)
    for at, number in origins.items():
        was = known[at]
        known[at] = Known(was.pair, was.state, was.isolated, was.cumulative, number, was.told)
    return known


def strip_of(outline: Outline, known: Sequence[Known]) -> Strip:
    """The strip of a graph."""
    layout = laid_out([node.reads for node in outline.nodes])
    members: list[list[int]] = [[] for _ in range(layout.depth)]
    for place, rank in enumerate(layout.ranks):
        members[rank].append(place)
    ranges = list(_stretches(_open_ranks(members, known), layout.depth))
    drawable = _drawable(ranges, members)
    blocks = tuple(
        _block(number, ranks, folded, number in drawable, outline, layout, members, known)
        for number, (ranks, folded) in enumerate(ranges)
    )
    left_out = sum(block.operators for block in blocks if block.drawing is None)
    return Strip(blocks, tuple(_marks(members, known)), len(outline.nodes), layout.depth, left_out)


def _open_ranks(members: list[list[int]], known: Sequence[Known]) -> set[int]:
    depth = len(members)
    wrong = [r for r, places in enumerate(members) if any(known[p].origin for p in places)]
    unsure = [r for r, places in enumerate(members) if any(known[p].state == "unknown" for p in places)]
    middles = [*wrong, *unsure][:MOST_OPEN] or _worst_ranks(members, known)
    found = {rank for middle in middles for rank in range(middle - AROUND, middle + AROUND + 1)}
    return {rank for rank in (*found, 0, 1, depth - 2, depth - 1) if 0 <= rank < depth}


def _worst_ranks(members: list[list[int]], known: Sequence[Known]) -> list[int]:
    """Of a graph in which nothing errs, the rank with the largest isolated error."""
    worst = [max((known[p].isolated or 0 for p in places), default=0) for places in members]
    return [worst.index(max(worst))] if worst else []


def _stretches(open_ranks: set[int], depth: int) -> Iterator[tuple[range, bool]]:
    """Runs of open and of folded ranks, in turn; a run too short to be folded stays open."""
    folded = [rank not in open_ranks for rank in range(depth)]
    start = 0
    while start < depth:
        stop = start
        while stop < depth and folded[stop] == folded[start]:
            stop += 1
        if folded[start] and stop - start < SHORTEST:
            folded[start:stop] = [False] * (stop - start)
            start = max((r for r in range(start) if folded[r]), default=-1) + 1
            continue
        start = stop
    start = 0
    for rank in range(1, depth + 1):
        if rank == depth or folded[rank] != folded[start]:
            yield range(start, rank), folded[start]
            start = rank


def _drawable(ranges: list[tuple[range, bool]], members: list[list[int]]) -> set[int]:
    """The blocks that are drawn: the open ones, and folded ones, the short ones first, up to the most."""
    chosen = {number for number, (_, folded) in enumerate(ranges) if not folded}
    left = MOST_DRAWN
    sizes = {n: sum(len(members[r]) for r in ranks) for n, (ranks, folded) in enumerate(ranges) if folded}
    for number, size in sorted(sizes.items(), key=lambda item: item[1]):
        left -= size
        if left >= 0:
            chosen.add(number)
    return chosen


def _block(
    number: int,
    ranks: range,
    folded: bool,
    shown: bool,
    outline: Outline,
    layout: Layout,
    members: list[list[int]],
    known: Sequence[Known],
) -> Block:
    places = [place for rank in ranks for place in members[rank]]
    levels = [known[p].cumulative for p in places]
    worst = max((each for each in levels if each is not None), default=None)
    summary = _summary(outline, places) if folded else ""
    unknown = sum(known[p].state == "unknown" for p in places)
    drawing = drawn(outline, layout, ranks, places, known) if shown else None
    return Block(number, ranks.start, len(ranks), folded, len(places), unknown, summary, drawing, worst)


def _summary(outline: Outline, places: list[int]) -> str:
    counted = Counter(clean(outline.nodes[place].type) for place in places)
    kinds = [f"{count} {shorten(kind, 24)}" for kind, count in counted.most_common(4)]
    return ", ".join([*kinds, *(["…"] if len(counted) > 4 else [])])


def _marks(members: list[list[int]], known: Sequence[Known]) -> Iterator[Mark]:
    """The minimap, a row for every rank or every few of a long graph; neighbours that look alike are one."""
    size = max(1, -(-len(members) // MAP_ROWS))
    last: Mark | None = None
    for start in range(0, len(members), size):
        places = [place for level in members[start : start + size] for place in level]
        levels = [known[p].cumulative for p in places]
        worst = max((each for each in levels if each is not None), default=None)
        rows = min(size, len(members) - start)
        mark = Mark(start, rows, worst, any(known[p].origin for p in places))
        if last is not None and (last.level, last.origin) == (mark.level, mark.origin):
            last = Mark(last.start, last.size + rows, last.level, last.origin)
            continue
        if last is not None:
            yield last
        last = mark
    if last is not None:
        yield last
