"""What does a sweep say? A row for every pair, the faults that explain them, and what was not compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from segdiff.core.printable import clean
from segdiff.core.sweep_report import Fault, SweepReport, SweptImage, SweptPair, SweptScore
from segdiff.report.document import (
    Cell,
    Column,
    Detail,
    Document,
    Heading,
    Headline,
    Hint,
    Line,
    Part,
    Table,
    lines,
    more,
    without_empty,
)
from segdiff.report.facts import VERDICT_MARKS, VERDICT_TONES
from segdiff.report.text import number, share, shorten

ROWS = 40
"""Pairs that the short form lists: those that diverge first, so many as fit on a page or two."""

FAULTS = 12
"""Faults that the short form lists."""

WHY = 90
"""Cells of a reason in the table: three lines."""

VERDICT_WORDS = {"agrees": "agrees", "diverges": "diverges", "inconclusive": "not told"}


def document(swept: SweepReport, detail: Detail = "full") -> Document:
    """The faults and the table; in short only so many rows as one reads, the worst first."""
    return tuple(_blocks(swept, detail))


def _blocks(swept: SweepReport, detail: Detail) -> Iterator[Part]:
    yield Headline(VERDICT_MARKS[swept.verdict], clean(swept.sentence, 1000), VERDICT_TONES[swept.verdict])
    yield from lines(baseline_lines(swept))
    shown = swept.faults if detail != "short" else swept.faults[:FAULTS]
    if shown:
        yield Heading(f"The faults, and how many of {len(swept.pairs)} pairs have them")
        yield faults_table(shown)
        yield from more(len(shown), len(swept.faults))
    pairs = worst_first(swept.pairs)[:ROWS] if detail == "short" else swept.pairs
    yield Heading("The pairs" if len(pairs) == len(swept.pairs) else "The worst pairs")
    yield unlinked(pairs_table(pairs), swept)
    yield from more(len(pairs), len(swept.pairs))
    yield from _apart(swept, detail)
    yield from lines(closing_lines(swept))
    if detail == "short":
        yield Hint("more", "--full lists every pair and image, --out DIR keeps a page of each")


def _apart(swept: SweepReport, detail: Detail) -> Iterator[Part]:
    """Each image of the pairs that have several."""
    several = [pair for pair in swept.pairs if len(pair.images) > 1]
    if several and detail != "short":
        yield Heading("Image by image")
        columns = (Column("pair", 24), Column("image", 24), Column("verdict", 11), *MEASURES)
        rows = ((Cell(clean(pair.name)), *image_row(each)) for pair in several for each in pair.images)
        yield unlinked(without_empty(Table(columns, tuple(rows))), swept)


def unlinked(table: Table, swept: SweepReport) -> Table:
    """The table without its links, where the pages lie elsewhere."""
    if swept.linked:
        return table
    return replace(table, rows=tuple(tuple(replace(cell, href="") for cell in row) for row in table.rows))


def worst_first(pairs: tuple[SweptPair, ...]) -> tuple[SweptPair, ...]:
    """What diverges first, then what could not be told; known ones behind others of their kind."""
    order = ("diverges", "inconclusive", "agrees")
    return tuple(sorted(pairs, key=lambda each: (order.index(each.verdict), each.known, each.name)))


MEASURES = (
    Column("max_abs", 8, right=True),
    Column("mask", 8, right=True),
    Column("points", 6, right=True),
    Column("s", 6, right=True),
    Column("where", 33, breaks=True),
)


def pairs_table(pairs: tuple[SweptPair, ...]) -> Table:
    """A row for each pair: the verdict, what changes in the end, the points lost, its seconds, where."""
    columns = (Column("pair", 24), Column("images", 6, right=True), Column("verdict", 11), *MEASURES)
    return without_empty(Table(columns, tuple(map(pair_row, pairs))))


def pair_row(pair: SweptPair) -> tuple[Cell, ...]:
    """A pair by the image that is told of it."""
    told = pair.told
    name = Cell(clean(pair.name), href=(told.page or "") if told else "")
    count = "-" if len(pair.images) == 1 else str(len(pair.images))
    if told is None:
        why = shorten(clean(pair.problem or "not compared"), WHY)
        nothing = (Cell("-"),) * 4
        return name, Cell(count), verdict_cell("inconclusive"), *nothing, Cell(why)
    _, verdict, max_abs, mask, _, _, where = image_row(told)
    bad = sum(each.verdict != "agrees" for each in pair.images)
    of = f"; {bad} of {len(pair.images)} images" if 0 < bad < len(pair.images) else ""
    known = " (known)" if pair.known else ""
    more = points_cell(pair.score), Cell(f"{pair.seconds:.1f}")
    return name, Cell(count), verdict, max_abs, mask, *more, Cell(where.text + of + known)


def image_row(image: SweptImage) -> tuple[Cell, ...]:
    """One image: its name, the verdict, what changes in the end, the points lost, its seconds, where."""
    return (
        Cell(clean(image.image.rpartition("/")[2]), href=image.page or ""),
        verdict_cell(image.verdict),
        Cell("-" if image.max_abs is None else number(image.max_abs)),
        Cell("-" if image.mask_changed is None else share(image.mask_changed)),
        points_cell(image.labelled.score if image.labelled else None),
        Cell(f"{image.seconds:.1f}"),
        Cell(where_of(image)),
    )


def points_cell(score: SweptScore | None) -> Cell:
    """Points of mIoU that the candidate loses; fewer than none where it has more than the reference."""
    return Cell("-" if score is None else f"{round(score.points, 2) or 0.0:.2f}")


def verdict_cell(verdict: str) -> Cell:
    """A verdict with its mark."""
    return Cell(f"{VERDICT_MARKS[verdict]} {VERDICT_WORDS[verdict]}", VERDICT_TONES[verdict])


def where_of(image: SweptImage) -> str:
    """The first origin and its cause; without one, what the input does otherwise, or why it is not told."""
    if image.origins:
        first = image.origins[0]
        cause = f" [{clean(first.kind)}]" if first.kind != "unknown" else ""
        also = f" and {len(image.origins) - 1} more" if len(image.origins) > 1 else ""
        return f"{clean(first.candidate_op, 40)} {clean(first.value, 60)}{cause}{also}"
    if image.input_causes:
        return f"the input: {', '.join(map(clean, image.input_causes))}"
    return "" if image.verdict == "agrees" else shorten(clean(image.sentence), WHY)


def faults_table(faults: tuple[Fault, ...]) -> Table:
    """A row for each fault: in how many pairs it is, in how many alone, what it is, where."""
    columns = (
        Column("pairs", 5, right=True),
        Column("alone", 5, right=True),
        Column("cause", 22),
        Column("at", 22),
        Column("in", 16),
    )
    return Table(columns, tuple(map(_fault, faults)))


def _fault(fault: Fault) -> tuple[Cell, ...]:
    ops = clean(fault.candidate_op, 40)
    if clean(fault.reference_op, 40) != ops:
        ops = f"{ops} (reference: {clean(fault.reference_op, 40)})"
    kind = clean(fault.kind) if fault.kind != "unknown" else "no proven cause"
    names = ", ".join(clean(name, 60) for name in fault.pairs[:3])
    rest = f" and {len(fault.pairs) - 3} more" if len(fault.pairs) > 3 else ""
    return (
        Cell(str(len(fault.pairs))),
        Cell(str(len(fault.alone))),
        Cell(kind),
        Cell(ops),
        Cell(names + rest),
    )


def baseline_lines(swept: SweepReport) -> Iterator[Line]:
    """How much of it is known, where a baseline was given."""
    held = [image.baseline for pair in swept.pairs for image in pair.images if image.baseline]
    if held:
        known, new = (sum(len(getattr(each, name)) for each in held) for name in ("known", "new"))
        yield "baseline", f"{known} known, {new} new; only what is new counts for the exit code"


def label_lines(swept: SweepReport) -> Iterator[Line]:
    """What the points are, what was taken for granted, and which images have none; nothing without labels."""
    images = [image for pair in swept.pairs for image in pair.images]
    labels = [image.labelled for image in images if image.labelled]
    if not labels:
        return
    yield "points", "mIoU of the reference minus the candidate's, areas summed over a pair's images"
    for reading, words in READINGS.items():
        count = sum(each.reading == reading for each in labels)
        if count:
            yield "labels", f"{counted(count)} with 0 and 255 alone: 255 was read as {words}"
    failed = [each.failure for each in labels if each.failure]
    if failed:
        yield "no points", f"{counted(len(failed))} not scored: {clean(failed[0].message, 200)}"
    if len(labels) < len(images):
        yield "no label", f"{counted(len(images) - len(labels))} without one"


READINGS = {
    "class": "class 1 (--label-encoding index: as what does not count)",
    "ignored": "what does not count (--label-encoding binary: as class 1)",
}
"""What 255 may be."""


def counted(number: int) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} image{'' if number == 1 else 's'}"


def closing_lines(swept: SweepReport) -> Iterator[Line]:
    """What belongs to no pair, what was there already, and the time."""
    yield from label_lines(swept)
    if swept.left_over:
        names = ", ".join(clean(each, 80) for each in swept.left_over[:4])
        rest = f" and {len(swept.left_over) - 4} more" if len(swept.left_over) > 4 else ""
        yield "left over", f"{names}{rest}: in no pair"
    yield from (("note", remark) for remark in swept.remarks)
    if swept.timing_s:
        total, tasks = swept.timing_s.get("total", 0.0), swept.timing_s.get("tasks", 0.0)
        yield "time", f"{total:.1f} s; all tasks together {tasks:.1f} s"
