"""What does several batches and sizes say? A row for every shape, the smallest that fails in full."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.answer import Report
from segdiff.core.printable import clean
from segdiff.core.shapes_report import Entry, ShapesReport
from segdiff.report.document import (
    Cell,
    Column,
    Detail,
    Document,
    Heading,
    Headline,
    Hint,
    Note,
    Part,
    Table,
    lines,
    without_empty,
)
from segdiff.report.facts import VERDICT_MARKS, VERDICT_TONES
from segdiff.report.findings import shape_of
from segdiff.report.located import document as located_document
from segdiff.report.short import worst_output
from segdiff.report.text import number, share, shorten

WHY = 90
"""Cells of a reason in the table: three lines."""

VERDICT_WORDS = {"agrees": "agrees", "diverges": "diverges", "inconclusive": "not told"}


def document(swept: ShapesReport, detail: Detail = "full") -> Document:
    """The table, and the report of the entry that is told in full, with so much detail."""
    return tuple(_blocks(swept, detail))


def _blocks(swept: ShapesReport, detail: Detail) -> Iterator[Part]:
    tone = VERDICT_TONES[swept.verdict]
    yield Headline(VERDICT_MARKS[swept.verdict], clean(swept.sentence, 1000), tone)
    yield table_of(swept)
    yield from lines(("note", remark) for remark in swept.remarks)
    if detail != "short":
        yield from lines(("" if index else "input", how) for index, how in enumerate(swept.how))
    told = swept.told
    if told is None or told.report is None or (told.verdict == "agrees" and detail == "short"):
        if told is not None:
            yield Hint("more", "--full shows all that was measured, --html FILE keeps it")
        return
    yield Heading(f"At {shape_of(told)}")
    for part in located_document(told.report, detail):
        yield Note(f"{part.mark} {part.sentence}", part.tone) if isinstance(part, Headline) else part


def table_of(swept: ShapesReport) -> Table:
    """A row for each shape: the verdict, what changes in the end, where."""
    titles = (("input", 16), ("verdict", 11), ("max_abs", 8), ("mask", 8), ("where", 33))
    columns = tuple(Column(title, width) for title, width in titles)
    table = Table(columns, tuple(_row(entry) for entry in swept.entries))
    return without_empty(table)


def _row(entry: Entry) -> tuple[Cell, ...]:
    tone = VERDICT_TONES[entry.verdict]
    verdict = f"{VERDICT_MARKS[entry.verdict]} {VERDICT_WORDS[entry.verdict]}"
    if entry.report is None:
        words = "not compared: it does not take it" if entry.not_run else "not compared"
        if entry.not_run and entry.not_run.kind == "failed":
            words = "not compared: an engine failed"
        return Cell(shape_of(entry)), Cell("? not run", tone), Cell("-"), Cell("-"), Cell(words, "dim")
    worst = worst_output(entry.report)
    error = worst.cumulative if worst else None
    max_abs = "-" if error is None else "no pair" if error.mismatch else number(error.metrics.max_abs)
    mask = "-" if worst is None or worst.mask_changed is None else share(worst.mask_changed)
    return Cell(shape_of(entry)), Cell(verdict, tone), Cell(max_abs), Cell(mask), Cell(_where(entry.report))


def _where(report: Report) -> str:
    first = report.first
    if first is None:
        return "" if report.verdict == "agrees" else shorten(clean(report.sentence), WHY)
    cause = f" [{clean(first.cause.kind)}]" if first.cause and first.cause.kind != "unknown" else ""
    more = f" and {len(report.origins) - 1} more" if len(report.origins) > 1 else ""
    return f"{clean(first.pair.candidate_op, 40)} {clean(first.pair.candidate, 60)}{cause}{more}"
