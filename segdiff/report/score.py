"""What does a score report look like in a terminal? At most 80 columns, and readable without colour.

No name of a file or class is ever parsed as rich markup: every cell is a :class:`rich.text.Text` of cleaned
text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segdiff.masks.attribution import Attribution
from segdiff.masks.compare import ImageResult
from segdiff.masks.protocol import Protocol
from segdiff.masks.report import ScoreReport
from segdiff.report.clean import clean
from segdiff.report.facts import VERDICT_MARKS
from segdiff.report.terminal import Middle
from segdiff.report.text import number, share, shorten

WIDTH = 80
LABEL = 13
CLASSES_SHOWN, PROBLEMS_SHOWN, FILES_SHOWN, WORST_SHOWN = 30, 10, 3, 10

_STYLES = {"agrees": "bold green", "diverges": "bold red", "inconclusive": "bold yellow"}


def render(report: ScoreReport, *, all_rows: bool = False) -> RenderableType:
    """The report as a rich renderable of at most 80 columns; ``all_rows`` shows every class and problem."""
    return Constrain(Group(*_sections(report, all_rows)), WIDTH)


def _sections(report: ScoreReport, all_rows: bool) -> Iterator[RenderableType]:
    yield _headline(report)
    yield Text()
    yield _lines([(side.name, side.source) for side in report.sides])
    yield from _scores(report)
    if report.attribution and any(step.points for step in report.attribution.steps):
        yield from _attribution(report.attribution)
    yield from _classes(report, all_rows)
    yield from _worst(report)
    yield Text()
    yield _lines(_closing(report, all_rows))


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


def percent(value: float) -> str:
    """A fraction as people write a score: ``95.04``; ``-`` where it is not defined."""
    return f"{100 * value:.2f}" if math.isfinite(value) else "-"


def _scores(report: ScoreReport) -> Iterator[RenderableType]:
    protocols = list(report.sides[0].scores) if report.sides else []
    for protocol in protocols:
        yield _heading(f"Scores: {protocol}")
        table = _table(
            ("", 32, False), *((title, 8, True) for title in ("mIoU", "accuracy", "kappa", "Dice"))
        )
        for side in report.sides:
            found = side.scores[protocol]
            values = (found.miou, found.accuracy, found.kappa, found.dice)
            table.add_row(Text(side.name), *(Text(percent(value)) for value in values))
        yield Padding(table, (0, 0, 0, 2))


def _attribution(table: Attribution) -> Iterator[RenderableType]:
    yield _heading("Where the points go")
    rows = _table(("", 46, False), ("home", 12, False), ("points", 7, True), ("mIoU", 7, True))
    rows.add_row(Text(clean(table.start_text)), "", "", Text(percent(table.start)))
    for step in table.steps:
        style = "" if step.home != "unexplained" else "yellow"
        points = Text(f"{100 * step.points:+.2f}")
        rows.add_row(Text(clean(step.text), style), Text(step.home, style), points, Text(percent(step.score)))
    rows.add_section()
    rows.add_row(Text("together"), "", Text(f"{100 * table.gap:+.2f}", "bold"), Text(percent(table.end)))
    yield Padding(rows, (0, 0, 0, 2))


def _classes(report: ScoreReport, all_rows: bool) -> Iterator[RenderableType]:
    if not report.sides or not report.sides[0].scores:
        return
    protocols: list[Protocol] = list(report.sides[0].scores)
    yield _heading("IoU of each class, reference and candidate under each protocol")
    titles = [f"{side.name[:3]} {p.over}" for p in protocols for side in report.sides]
    table = _table(("class", 20, False), *((title, 11, True) for title in titles))
    shown = report.names if all_rows else report.names[:CLASSES_SHOWN]
    for index, name in enumerate(shown):
        values = [side.scores[p].class_iou[index] for p in protocols for side in report.sides]
        table.add_row(Middle(clean(name)), *(Text(percent(value)) for value in values))
    yield Padding(table, (0, 0, 0, 2))
    if len(shown) < len(report.names):
        yield Text(f"  and {len(report.names) - len(shown)} more; --all shows them", "dim")


def _worst(report: ScoreReport) -> Iterator[RenderableType]:
    if not report.worst:
        return
    yield _heading("The images that differ most")
    table = _table(("", 46, False), ("pixels", 8, True), ("clearly", 8, True), ("max_abs", 8, True))
    for result in report.worst[:WORST_SHOWN]:
        table.add_row(Middle(clean(result.name)), *map(Text, _numbers(result)))
    yield Padding(table, (0, 0, 0, 2))


def _numbers(result: ImageResult) -> tuple[str, str, str]:
    found = result.agreement
    largest = number(result.output.max_abs) if result.output else "-"
    return share(found.share), share(found.clear_share), largest


def _closing(report: ScoreReport, all_rows: bool) -> Iterator[tuple[str, str]]:
    skipped = f", {report.skipped} skipped" if report.skipped else ""
    yield "images", f"{report.images} used, {report.labelled} with a label{skipped}"
    if report.output:
        largest, relative = number(report.output.max_abs), number(report.output.max_rel)
        yield "raw outputs", f"max_abs_diff {largest}, {relative} of the reference's largest value"
    shown = report.problems if all_rows else report.problems[:PROBLEMS_SHOWN]
    for problem in shown:
        yield "skipped", problem
    if len(shown) < report.skipped:
        yield "skipped", f"and {report.skipped - len(shown)} more"
    for remark in report.remarks:
        yield "remarks", remark
    if report.files:
        yield "pictures", f"{len(report.files)} in {shorten(clean(report.files[-1].parent), 120)}"
    seconds = sum(report.timing_s.values())
    yield "cost", f"{seconds:.1f} s, at most {report.peak_memory_mb:.0f} MB"
