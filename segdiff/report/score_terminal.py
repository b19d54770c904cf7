"""What does a score report look like in a terminal? At most 80 columns, and readable without colour.

No name of a file or class is ever parsed as rich markup: every cell is a :class:`rich.text.Text` of cleaned
text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segdiff.core.printable import clean
from segdiff.report.facts import VERDICT_MARKS
from segdiff.report.score_facts import (
    attribution_rows,
    class_rows,
    class_titles,
    closing_lines,
    gap,
    image_numbers,
    percent,
    protocols,
    score_rows,
    side_lines,
)
from segdiff.report.terminal import Middle
from segdiff.score.attribution import Attribution
from segdiff.score.report import ScoreReport

WIDTH = 80
LABEL = 13
CLASSES_SHOWN, PROBLEMS_SHOWN, WORST_SHOWN = 30, 10, 10

CLASS, VALUES = 18, 54
"""Cells of a class's name, and of all its values together: six columns are 9 wide."""

_STYLES = {"agrees": "bold green", "diverges": "bold red", "inconclusive": "bold yellow"}


def render(report: ScoreReport, *, all_rows: bool = False) -> RenderableType:
    """The report as a rich renderable of at most 80 columns; ``all_rows`` shows every class and problem."""
    return Constrain(Group(*_sections(report, all_rows)), WIDTH)


def render_all(report: ScoreReport) -> RenderableType:
    """The report, and that of ``locate`` after it where there is one."""
    return Group(render(report), Text(), report.located) if report.located else render(report)


def _sections(report: ScoreReport, all_rows: bool) -> Iterator[RenderableType]:
    yield _headline(report)
    yield Text()
    yield _lines(side_lines(report))
    yield from _scores(report)
    if report.attribution:
        yield from _attribution(report.attribution)
    yield from _classes(report, all_rows)
    yield from _worst(report)
    yield Text()
    yield _lines(closing_lines(report, len(report.problems) if all_rows else PROBLEMS_SHOWN))


def _headline(report: ScoreReport) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    style = _STYLES[report.verdict]
    grid.add_row(Text(VERDICT_MARKS[report.verdict], style), Text(clean(report.sentence, 1000), style))
    return grid


def _lines(lines: Iterable[tuple[str, str]]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=LABEL)
    grid.add_column(overflow="fold")
    last = None
    for label, words in lines:
        grid.add_row(Text("" if label == last else label, "dim"), Text(clean(words)))
        last = label
    return Padding(grid, (0, 0, 0, 2))


def _heading(words: str) -> RenderableType:
    return Group(Text(), Text(words, "bold"))


def _table(*columns: tuple[str, int, bool]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, header_style="dim")
    for title, width, right in columns:
        table.add_column(title, width=width, justify="right" if right else "left", no_wrap=right)
    return table


def _scores(report: ScoreReport) -> Iterator[RenderableType]:
    for protocol in protocols(report):
        yield _heading(f"Scores: {protocol}")
        table = _table(
            ("", 32, False), *((title, 8, True) for title in ("mIoU", "accuracy", "kappa", "Dice"))
        )
        for row in score_rows(report, protocol):
            table.add_row(*map(Text, row))
        yield Padding(table, (0, 0, 0, 2))


def _attribution(table: Attribution) -> Iterator[RenderableType]:
    found = attribution_rows(table)
    if not found:
        return
    yield _heading("Where the points go")
    rows = _table(("", 46, False), ("home", 12, False), ("points", 7, True), ("mIoU", 7, True))
    rows.add_row(Text(clean(table.start_text)), "", "", Text(percent(table.start)))
    for text, home, points, score in found:
        style = "yellow" if home == "unexplained" else ""
        rows.add_row(Text(clean(text), style), Text(home, style), Text(points), Text(score))
    rows.add_section()
    rows.add_row(Text("together"), "", Text(gap(table), "bold"), Text(percent(table.end)))
    yield Padding(rows, (0, 0, 0, 2))


def _classes(report: ScoreReport, all_rows: bool) -> Iterator[RenderableType]:
    every = list(class_rows(report))
    if not every:
        return
    yield _heading("IoU of each class, each side under each protocol")
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, header_style="dim")
    table.add_column("class", width=CLASS, vertical="bottom")
    titles = class_titles(report)
    width = min(11, VALUES // len(titles))
    for title in titles:
        table.add_column(title, width=width, justify="right", vertical="bottom")
    shown = every if all_rows else every[:CLASSES_SHOWN]
    for row in shown:
        table.add_row(Middle(clean(row.name)), *map(Text, row.values))
    yield Padding(table, (0, 0, 0, 2))
    if len(shown) < len(every):
        yield Text(f"  and {len(every) - len(shown)} more; --all shows them", "dim")


def _worst(report: ScoreReport) -> Iterator[RenderableType]:
    if not report.worst:
        return
    yield _heading("The images that differ most")
    table = _table(("", 46, False), ("pixels", 8, True), ("clearly", 8, True), ("max_abs", 8, True))
    for result in report.worst[:WORST_SHOWN]:
        table.add_row(Middle(clean(result.name)), *map(Text, image_numbers(result)))
    yield Padding(table, (0, 0, 0, 2))
