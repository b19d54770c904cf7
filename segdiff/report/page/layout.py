"""Where does an operator stand on the page? Ranks by the longest path, orders by barycentres, places by both.

After Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures" (1981):
every operator stands below all that it reads; in each rank those with near neighbours stand near them; then
each moves as close to its neighbours as the others of its rank allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LONGEST = 16
"""Ranks that an edge may span to be drawn whole; of a longer one both ends are, and lead to one another."""

SWEEPS = 3
"""Rounds of ordering and of placing, each down and up: more changed no drawing of the zoo's networks."""

Edge = tuple[int, int]
"""From the place of an operator to that of its reader."""


@dataclass(frozen=True)
class Layout:
    """Where everything stands: ``ranks`` and ``columns`` of the operators, by place, columns from 0 on in
    widths of an operator.

    ``lines`` are the edges that are drawn whole, each as the columns at which it stands in every rank from
    its first to its last; ``cut`` are those that are too long for that.
    """

    ranks: tuple[int, ...]
    columns: tuple[float, ...]
    lines: tuple[tuple[Edge, tuple[float, ...]], ...]
    cut: tuple[Edge, ...]

    @property
    def depth(self) -> int:
        """The number of ranks."""
        return max(self.ranks, default=-1) + 1

    @property
    def width(self) -> float:
        """Widths of an operator that the drawing takes."""
        return max((c for _, line in self.lines for c in line), default=max(self.columns, default=0.0)) + 1


def laid_out(reads: Sequence[Sequence[int]]) -> Layout:
    """Place operators, given the places of those that each reads, all of them before its own.

    >>> found = laid_out([[], [0], [0], [1, 2]])
    >>> found.ranks, found.columns
    ((0, 1, 1, 2), (0.5, 0.0, 1.0, 0.5))
    """
    ranks = ranks_of(reads)
    edges = [(maker, place) for place, makers in enumerate(reads) for maker in makers]
    cut = tuple(edge for edge in edges if ranks[edge[1]] - ranks[edge[0]] > LONGEST)
    whole = [edge for edge in edges if ranks[edge[1]] - ranks[edge[0]] <= LONGEST]
    levels: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for place, rank in enumerate(ranks):
        levels[rank].append(place)
    above: list[list[int]] = [[] for _ in ranks]
    below: list[list[int]] = [[] for _ in ranks]
    bends: list[list[int]] = []
    for first, last in whole:
        route = [first]
        for rank in range(ranks[first] + 1, ranks[last]):
            route.append(len(above))
            levels[rank].append(len(above))
            above.append([])
            below.append([])
        route.append(last)
        bends.append(route)
        for one, other in pairwise(route):
            below[one].append(other)
            above[other].append(one)
    _order(levels, above, below)
    columns = _place(levels, above, below)
    lines = tuple(
        (edge, tuple(columns[each] for each in route)) for edge, route in zip(whole, bends, strict=True)
    )
    return Layout(ranks, tuple(columns[: len(ranks)]), lines, cut)


def ranks_of(reads: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """How many operators stand above each at least; one that reads nothing stands just above its readers.

    >>> ranks_of([[], [0], [1], [], [2, 3]])
    (0, 1, 2, 2, 3)
    """
    ranks: list[int] = []
    for makers in reads:
        ranks.append(max((ranks[maker] for maker in makers), default=-1) + 1)
    first: dict[int, int] = {}
    for place, makers in enumerate(reads):
        for maker in makers:
            first[maker] = min(first.get(maker, ranks[place]), ranks[place])
    return tuple(
        first[place] - 1 if not reads[place] and place in first else rank for place, rank in enumerate(ranks)
    )


def _order(levels: list[list[int]], above: list[list[int]], below: list[list[int]]) -> None:
    """Sort each rank by the mean place of its neighbours in the one before, down and up."""
    at = [0.0] * len(above)
    for level in levels:
        for order, each in enumerate(level):
            at[each] = order
    for _ in range(SWEEPS):
        for level in levels:
            _sort(level, above, at)
        for level in reversed(levels):
            _sort(level, below, at)


def _sort(level: list[int], neighbours: list[list[int]], at: list[float]) -> None:
    if len(level) > 1:
        means = {each: _mean(each, neighbours, at) for each in level}
        level.sort(key=means.__getitem__)
    for order, each in enumerate(level):
        at[each] = order


def _mean(each: int, neighbours: list[list[int]], at: list[float]) -> float:
    near = neighbours[each]
    return sum([at[other] for other in near]) / len(near) if near else at[each]


def _place(levels: list[list[int]], above: list[list[int]], below: list[list[int]]) -> list[float]:
    """Columns: each as near as it can be to the mean of its neighbours, in the order of its rank."""
    at = [0.0] * len(above)
    for level in levels:
        for order, each in enumerate(level):
            at[each] = order - (len(level) - 1) / 2
    near = [[*ups, *downs] for ups, downs in zip(above, below, strict=True)]
    for _ in range(SWEEPS):
        for level in levels:
            _settle(level, near, at)
        for level in reversed(levels):
            _settle(level, near, at)
    _straighten(levels, above, below, at)
    left = min(at, default=0.0)
    return [round(column - left, 2) for column in at]


def _straighten(
    levels: list[list[int]], above: list[list[int]], below: list[list[int]], at: list[float]
) -> None:
    """Put every chain of operators that have but one another into one column, where there is room."""
    wanted = list(at)
    for first in range(len(at)):
        if len(above[first]) == 1 and len(below[above[first][0]]) == 1:
            continue  # in the middle of a chain
        chain = [first]
        while len(below[chain[-1]]) == 1 and len(above[below[chain[-1]][0]]) == 1:
            chain.append(below[chain[-1]][0])
        mean = sum([at[each] for each in chain]) / len(chain)
        for each in chain:
            wanted[each] = mean
    for level in levels:
        _apart(level, [wanted[each] for each in level], at)


def _settle(level: list[int], neighbours: list[list[int]], at: list[float]) -> None:
    """Move a rank to the means of its neighbours."""
    _apart(level, [_mean(each, neighbours, at) for each in level], at)


def _apart(level: list[int], wanted: list[float], at: list[float]) -> None:
    """The columns nearest to the wanted ones, in the least squares, that stand one apart at least.

    Less their order, wanted columns must not fall: neighbours that would are pooled at their mean.
    """
    pools: list[tuple[float, int]] = []
    for order, column in enumerate(wanted):
        pool = (column - order, 1)
        while pools and pools[-1][0] >= pool[0]:
            total, size = pools.pop()
            size_now = size + pool[1]
            pool = ((total * size + pool[0] * pool[1]) / size_now, size_now)
        pools.append(pool)
    order = 0
    for value, size in pools:
        for _ in range(size):
            at[level[order]] = value + order
            order += 1
