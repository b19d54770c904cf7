"""How are pairs of values told in a table? A mark, both sides, both errors; and what the marks mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from segdiff.core.answer import PairInfo, State
from segdiff.core.metrics import Comparison
from segdiff.core.printable import clean
from segdiff.report.document import Cell, Column, Note, Part, Table, Tone
from segdiff.report.facts import MARKS, MEANINGS
from segdiff.report.text import rel_l2

STATE_TONES: dict[State, Tone] = {
    "clean": "good",
    "origin": "bad",
    "inherited": "warning",
    "unknown": "unknown",
}


def pair_table(rows: Iterable[PairInfo]) -> Iterator[Part]:
    """The table, and below it what its marks and bars mean."""
    rows = tuple(rows)
    titles = (("", 1), ("reference", 29), ("candidate", 12), ("isolated rel_l2", 16), ("cumulative", 16))
    yield Table(tuple(Column(title, width) for title, width in titles), tuple(map(_row, rows)))
    yield from legend(rows)


def _row(pair: PairInfo) -> tuple[Cell, ...]:
    tone = STATE_TONES[pair.state]
    strong: Tone = "strong" if pair.state == "origin" else "plain"
    return (
        Cell(MARKS[pair.state], tone, hint=MEANINGS[pair.state]),
        Cell(clean(pair.reference), strong, lead=clean(pair.reference_op), one_line=True),
        Cell(clean(pair.candidate_op), strong, one_line=True),
        _measure(pair.isolated, tone),
        _measure(pair.cumulative, tone),
    )


def _measure(comparison: Comparison | None, tone: Tone) -> Cell:
    return Cell(rel_l2(comparison), tone, bar=comparison.metrics.rel_l2 if comparison else None)


def legend(rows: Iterable[PairInfo]) -> Iterator[Note]:
    """What the marks and the bars mean."""
    rows = tuple(rows)
    states = {pair.state for pair in rows}
    marks = [f"{mark} {MEANINGS[state]}" for state, mark in MARKS.items() if state in states]
    yield Note("   ".join(marks), "dim")
    yield Note("bars run from 1e-8 to 1 on a log scale, a cell for a decade", "dim")
    same = sum(pair.why.kind == "same" for pair in rows)
    if same:
        yield Note(f"{same} not run: the same operators on both sides, which give equal bits", "dim")
    if any(pair.isolated is not None and pair.cumulative is None for pair in rows):
        yield Note("-: not measured; --full-walk measures every cumulative error", "dim")
