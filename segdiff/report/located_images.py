"""What do many images say? A row for each that was located, the merged origins, the worst in full."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.images_report import ImagesReport, LocatedImage, SharedOrigin
from segdiff.core.printable import clean
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
)
from segdiff.report.facts import VERDICT_MARKS, VERDICT_TONES
from segdiff.report.located import document as located_document
from segdiff.report.located_shapes import VERDICT_WORDS
from segdiff.report.text import number, share

NAME = 90
"""Cells of a name in the tables: three lines."""

PROBLEMS = 5
"""Images that could not be used which are named in short; the JSON has a hundred."""


def document(found: ImagesReport, detail: Detail = "full") -> Document:
    """The tables, and the report of the image that is told in full, with so much detail."""
    return tuple(_blocks(found, detail))


def _blocks(found: ImagesReport, detail: Detail) -> Iterator[Part]:
    yield Headline(VERDICT_MARKS[found.verdict], clean(found.sentence, 1000), VERDICT_TONES[found.verdict])
    yield from lines([("images", images_words(found))])
    yield table_of(found)
    if found.origins:
        yield origins_table(found)
    yield from lines(("skipped", clean(problem, 300)) for problem in found.problems[:PROBLEMS])
    if len(found.problems) > PROBLEMS:
        yield from lines([("", f"and {found.skipped - PROBLEMS} more, in the JSON")])
    yield from lines(("note", remark) for remark in found.remarks)
    told = found.told
    if told is None or told.report is None or (told.verdict == "agrees" and detail == "short"):
        if told is not None:
            yield Hint("more", "--full shows all that was measured, --html FILE keeps it")
        return
    yield Heading(f"On {clean(told.name, 80)}")
    for part in located_document(told.report, detail):
        yield Note(f"{part.mark} {part.sentence}", part.tone) if isinstance(part, Headline) else part


def images_words(found: ImagesReport) -> str:
    """How many were run, how many differ, how many were located."""
    words = f"{found.run} run whole by both models, {found.differing} of them differ"
    return f"{words}; located on {len(found.entries)}"


def table_of(found: ImagesReport) -> Table:
    """A row for each located image: how far apart the models are there, and the verdict."""
    titles = (("image", 28), ("mask", 8), ("max_abs", 8), ("verdict", 11), ("where", 22))
    return Table(tuple(Column(*each) for each in titles), tuple(map(_row, found.entries)))


def _row(entry: LocatedImage) -> tuple[Cell, ...]:
    tone = VERDICT_TONES[entry.verdict]
    max_abs = "-" if entry.max_abs is None else number(entry.max_abs)
    first = (Cell(clean(entry.name, NAME)), Cell(share(entry.changed)), Cell(max_abs))
    if entry.report is None:
        why = clean(entry.problem or "", NAME)
        return *first, Cell("? not run", tone), Cell(f"not located: {why}", "dim")
    verdict = f"{VERDICT_MARKS[entry.verdict]} {VERDICT_WORDS[entry.verdict]}"
    origin = entry.report.first
    where = f"{clean(origin.pair.candidate_op, 40)} {clean(origin.pair.candidate, 60)}" if origin else ""
    return *first, Cell(verdict, tone), Cell(where)


def origins_table(found: ImagesReport) -> Table:
    """A row for each origin: where, why, on how many of the located images."""
    columns = (Column("origin", 38), Column("cause", 30), Column("images", 10))
    located = sum(entry.report is not None for entry in found.entries)
    return Table(columns, tuple(_origin_row(each, located) for each in found.origins))


def _origin_row(shared: SharedOrigin, located: int) -> tuple[Cell, ...]:
    origin = shared.origin
    where = clean(origin.pair.candidate or origin.pair.reference, 60)
    kind = clean(origin.cause.kind) if origin.cause else "unknown"
    proven = "proven" if origin.cause and origin.cause.proven else "not proven"
    return (
        Cell(f"{clean(origin.pair.candidate_op, 40)} {where}"),
        Cell(f"{kind}, {proven}"),
        Cell(f"{len(shared.images)} of {located}"),
    )
