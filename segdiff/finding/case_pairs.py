"""Which pair is meant? The pairs of an open case, by a value or a node of either side, and filtered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, overload

from segdiff.align import Alignment, Segment
from segdiff.core.answer import Origin, PairInfo
from segdiff.core.errors import InputError
from segdiff.core.graph import Graph, Op
from segdiff.core.late import door
from segdiff.core.meant import did_you_mean
from segdiff.core.metrics import Comparison
from segdiff.core.printable import clean
from segdiff.finding.findings import Findings
from segdiff.finding.verdict import pair_infos
from segdiff.walk import Run, Step

Named = str | int | PairInfo | Origin
"""A pair by itself, by its place, by a value or a node of either side; an origin stands for its pair."""


@dataclass(frozen=True)
class Row:
    """A pair with the step that measured it; ``ends`` are its own names, ``within`` those of its segment's
    operators, and what these write."""

    pair: PairInfo
    step: Step = field(repr=False)
    ends: tuple[str, ...]
    within: tuple[str, ...]
    operators: frozenset[str]


class Pairs(Sequence[PairInfo]):
    """Pairs in walk order: a sequence, which can be filtered and asked for a pair by name."""

    def __init__(self, rows: Iterable[Row], title: str = "Pairs") -> None:
        self.rows, self.title = tuple(rows), title

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[PairInfo]:
        return (row.pair for row in self.rows)

    @overload
    def __getitem__(self, which: Named) -> PairInfo: ...

    @overload
    def __getitem__(self, which: slice) -> Pairs: ...

    def __getitem__(self, which: Named | slice) -> PairInfo | Pairs:
        if isinstance(which, slice):
            return Pairs(self.rows[which], self.title)
        if isinstance(which, int) and not -len(self.rows) <= which < len(self.rows):
            raise IndexError(f"there are {len(self.rows)} pairs, from 0 on")  # ends an iteration
        return self.row(which).pair

    def row(self, which: Named) -> Row:
        """The row of a pair. Raises InputError where there is none, and says which name is near."""
        if isinstance(which, int):
            return self.rows[which]
        if isinstance(which, Origin):
            which = which.pair
        if isinstance(which, PairInfo):
            which = which.reference
        if not isinstance(which, str):
            raise InputError(f"a pair is asked for by a name, not by {type(which).__name__!r}")
        found = self._named(which)
        if found is None:
            near = did_you_mean(which, self._by_name)
            raise InputError(f"no pair, value or node is called {clean(which)!r}{near}")
        return found

    def _named(self, name: str) -> Row | None:
        if name in self._by_name:
            return self._by_name[name]
        ending = [key for key in self._by_name if key.endswith((f".{name}", f"/{name}"))] if name else []
        return self._by_name[ending[0]] if len(ending) == 1 else None

    @cached_property
    def _by_name(self) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for side in (0, 1):  # where one name means two things, the reference's value comes first
            for row in self.rows:
                found.setdefault(row.ends[side], row)
        for row in self.rows:
            for name in row.ends:
                found.setdefault(name, row)
        for row in self.rows:
            for name in row.within:
                found.setdefault(name, row)
        return found

    def filter(
        self,
        *,
        state: str | None = None,
        operator: str | None = None,
        name: str | None = None,
        isolated: float | None = None,
        cumulative: float | None = None,
    ) -> Pairs:
        """The pairs to which all of this applies.

        state       ``origin``, ``inherited``, ``clean`` or ``unknown``
        operator    an operator of either side in the segment, upper or lower case: ``Resize``, ``conv2d``
        name        a pattern (``*conv*``) for a value or a node of either side
        isolated, cumulative   the least rel_l2 of that error (a share without a unit); shapes or
                    NaN that cannot be compared count as infinite
        """

        def fits(row: Row) -> bool:
            return (
                (state is None or row.pair.state == state)
                and (operator is None or operator.lower() in row.operators)
                and (name is None or any(fnmatchcase(each, name) for each in (*row.ends, *row.within)))
                and (isolated is None or size_of(row.pair.isolated) >= isolated)
                and (cumulative is None or size_of(row.pair.cumulative) >= cumulative)
            )

        return Pairs(filter(fits, self.rows), self.title)

    @property
    def origins(self) -> Pairs:
        """The pairs that err on equal inputs."""
        return Pairs((row for row in self.rows if row.pair.state == "origin"), "Origins")

    def to_dataframe(self) -> Any:
        """A row a pair (pandas.DataFrame); see :meth:`segdiff.Report.to_dataframe`."""
        return door("pairs.to_dataframe")(self)

    def __repr__(self) -> str:
        return str(door("text")(self)).rstrip()

    def _repr_html_(self) -> str:
        return str(door("html")(self))


def size_of(comparison: Comparison | None) -> float:
    """An error as a filter takes it: the rel_l2, of what cannot be compared infinite, 0 if not measured."""
    if comparison is None:
        return 0.0
    return float("inf") if comparison.mismatch else comparison.metrics.rel_l2


def pairs_of(run: Run) -> Pairs:
    """The pairs of a walk, in its order."""
    findings = Findings(run=run)
    return Pairs(
        row_of(run.alignment, step, pair) for step in run.walk.steps for pair in pair_infos(findings, step)
    )


def row_of(alignment: Alignment, step: Step, pair: PairInfo) -> Row:
    """A pair with all the names by which it may be asked for."""
    ours, theirs = alignment.reference, alignment.candidate
    sides = (
        operators_of(theirs.graph, step.segment.nodes),
        operators_of(ours.graph, step.segment.reference_ops),
    )
    repeats = (
        *(name for name, source in ours.alias.items() if source == pair.reference),
        *(name for name, source in theirs.alias.items() if source == pair.candidate),
    )
    own = [op.name for ops in sides for op in ops if {pair.reference, pair.candidate} & set(op.outputs)]
    inner = [name for ops in sides for op in ops for name in (op.name, *op.outputs)]
    written = {name for names in step.segment.outputs for name in names}
    return Row(
        pair,
        step,
        ends=(pair.reference, pair.candidate, *own, *repeats),
        within=tuple(name for name in dict.fromkeys(inner) if name and name not in written),
        operators=frozenset(op.type.lower() for op in computing(step.segment, sides)),
    )


def operators_of(graph: Graph, indices: Iterable[int]) -> list[Op]:
    """The operators with these indices."""
    return [graph.op(index) for index in indices]


def computing(segment: Segment, sides: tuple[list[Op], list[Op]]) -> list[Op]:
    """Of the candidate's nodes and the reference's operators those that compute."""
    nodes, ops = sides
    return [*(op for op in nodes if op.index in segment.ops), *ops]
