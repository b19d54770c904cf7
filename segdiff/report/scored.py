"""What does a score report say? The scores, where the points go, the classes, the images that differ most."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.printable import clean
from segdiff.report.document import (
    Cell,
    Column,
    Detail,
    Document,
    Heading,
    Headline,
    Part,
    Table,
    Tone,
    cells,
    lines,
    more,
    without_empty,
)
from segdiff.report.facts import VERDICT_MARKS, VERDICT_TONES
from segdiff.report.located import document as located_document
from segdiff.report.score_facts import (
    attribution_rows,
    class_rows,
    class_titles,
    closing_lines,
    gap,
    image_numbers,
    mmseg_means,
    mmseg_rows,
    mmseg_titles,
    next_steps,
    percent,
    protocols,
    score_rows,
    side_lines,
)
from segdiff.report.short_score import short
from segdiff.score.attribution import Attribution
from segdiff.score.report import ScoreReport

CLASSES_SHOWN, PROBLEMS_SHOWN, WORST_SHOWN = 30, 10, 10

CLASS, VALUES, WIDEST = 18, 54, 11
"""Cells of a class's name, of all its values together (six columns are 9 wide), and of one of them."""


def document(report: ScoreReport, detail: Detail = "full") -> Document:
    """The report, and that of ``locate`` after it where there is one; ``all`` lists every class and
    skipped image."""
    located = located_document(report.located, detail) if report.located else ()
    if detail == "short":
        return (*short(report), *located)
    return (*score_document(report, everything=detail == "all"), *located)


def score_document(report: ScoreReport, *, everything: bool) -> Document:
    """The report without that of ``locate``."""
    return tuple(_blocks(report, everything))


def _blocks(report: ScoreReport, everything: bool) -> Iterator[Part]:
    tone = VERDICT_TONES[report.verdict]
    yield Headline(VERDICT_MARKS[report.verdict], clean(report.sentence, 1000), tone)
    yield from lines(side_lines(report))
    yield from _scores(report)
    if report.attribution:
        yield from _attribution(report.attribution)
    yield from _classes(report, everything)
    yield from _as_mmseg(report, everything)
    yield from _worst(report)
    yield from lines(closing_lines(report, len(report.problems) if everything else PROBLEMS_SHOWN))
    yield from lines(next_steps(report))


def _scores(report: ScoreReport) -> Iterator[Part]:
    titles = ("mIoU", "accuracy", "kappa", "Dice")
    columns = (Column("", 32), *(Column(title, 8, right=True) for title in titles))
    for protocol in protocols(report):
        yield Heading(f"Scores: {protocol}")
        yield Table(columns, tuple(cells(*row) for row in score_rows(report, protocol)), airy=True)


def _attribution(found: Attribution) -> Iterator[Part]:
    rows = attribution_rows(found)
    if not rows:
        return
    yield Heading("Where the points go")
    titles = Column("", 46), Column("home", 12), Column("points", 7, True), Column("mIoU", 7, True)
    told = [cells(found.start_text, "", "", percent(found.start))]
    for text, home, points, score in rows:
        tone: Tone = "warning" if home == "unexplained" else "plain"
        told.append((Cell(clean(text), tone), Cell(home, tone), Cell(points), Cell(score)))
    total = Cell("together"), Cell(""), Cell(gap(found), "strong"), Cell(percent(found.end))
    yield Table(titles, tuple(told), total, airy=True)


def _classes(report: ScoreReport, everything: bool) -> Iterator[Part]:
    every = list(class_rows(report))
    if not every:
        return
    yield Heading("IoU of each class, each side under each protocol")
    titles = class_titles(report)
    width = min(WIDEST, VALUES // len(titles))
    columns = (Column("class", CLASS), *(Column(title, width, right=True) for title in titles))
    chosen = every if everything else every[:CLASSES_SHOWN]
    rows = tuple((Cell(clean(row.name), one_line=True), *map(Cell, row.values)) for row in chosen)
    yield Table(columns, rows)
    yield from more(len(chosen), len(every))


def _as_mmseg(report: ScoreReport, everything: bool) -> Iterator[Part]:
    """IoU and accuracy of each class, and their means, as mmsegmentation prints them."""
    every = list(mmseg_rows(report))
    if not every:
        return
    yield Heading("As mmsegmentation counts: IoU and Acc of each class")
    titles = mmseg_titles(report)
    width = min(WIDEST, VALUES // len(titles))
    columns = (Column("class", CLASS), *(Column(title, width, right=True) for title in titles))
    chosen = every if everything else every[:CLASSES_SHOWN]
    yield Table(
        columns, tuple((Cell(clean(row.name), one_line=True), *map(Cell, row.values)) for row in chosen)
    )
    yield from more(len(chosen), len(every))
    means = (Column("", 32), *(Column(title, 8, right=True) for title in ("aAcc", "mIoU", "mAcc")))
    yield Table(means, tuple(cells(*row) for row in mmseg_means(report)), airy=True)


def _worst(report: ScoreReport) -> Iterator[Part]:
    if not report.worst:
        return
    yield Heading("The images that differ most")
    titles = ("pixels", "clearly", "max_abs")
    columns = (Column("", 46), *(Column(title, 8, right=True) for title in titles))
    chosen = report.worst[:WORST_SHOWN]
    names = (Cell(clean(result.name), one_line=True) for result in chosen)
    numbers = (map(Cell, image_numbers(result)) for result in chosen)
    rows = tuple((name, *row) for name, row in zip(names, numbers, strict=True))
    yield without_empty(Table(columns, rows, airy=True))
