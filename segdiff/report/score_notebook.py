"""What do a score report and a repair look like in a notebook? What the terminal says, as HTML."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.answer import Repaired
from segdiff.report.facts import VERDICT_MARKS
from segdiff.report.html import cells, heading, headline, lines, page, table
from segdiff.report.notebook import MOST_ROWS
from segdiff.report.repaired import change_lines, mark_of, output_rows, sentence_of
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
from segdiff.score.attribution import Attribution
from segdiff.score.report import ScoreReport


def to_html(report: ScoreReport) -> str:
    """The score report as self-contained HTML; the report of ``locate`` follows where there is one."""
    located: str = report.located._repr_html_() if report.located else ""
    return page(_sections(report)) + located


def repaired_to_html(repaired: Repaired) -> str:
    """The repair as self-contained HTML."""
    return page(_repaired(repaired))


def _sections(report: ScoreReport) -> Iterator[str]:
    yield headline(VERDICT_MARKS[report.verdict], report.verdict, report.sentence)
    yield lines(side_lines(report))
    for protocol in protocols(report):
        yield heading(f"Scores: {protocol}")
        titles = ("", "mIoU", "accuracy", "kappa", "Dice")
        yield table(titles, (cells(*row) for row in score_rows(report, protocol)))
    if report.attribution:
        yield from _attribution(report.attribution)
    yield from _classes(report)
    if report.worst:
        yield heading("The images that differ most")
        rows = (cells(result.name, *image_numbers(result)) for result in report.worst[:MOST_ROWS])
        yield table(("", "pixels", "clearly", "max_abs"), rows)
    yield lines(closing_lines(report, MOST_ROWS))


def _attribution(found: Attribution) -> Iterator[str]:
    rows = attribution_rows(found)
    if not rows:
        return
    yield heading("Where the points go")
    first = cells(found.start_text, "", "", percent(found.start))
    last = cells("together", "", gap(found), percent(found.end))
    yield table(("", "home", "points", "mIoU"), [first, *(cells(*row) for row in rows), last])


def _classes(report: ScoreReport) -> Iterator[str]:
    rows = list(class_rows(report))
    if not rows:
        return
    yield heading("IoU of each class, each side under each protocol")
    shown = (cells(row.name, *row.values) for row in rows[:MOST_ROWS])
    yield table(("class", *class_titles(report)), shown)
    if len(rows) > MOST_ROWS:
        yield f"<p>and {len(rows) - MOST_ROWS} more</p>"


def _repaired(repaired: Repaired) -> Iterator[str]:
    verdict = "agrees" if repaired.agrees else "inconclusive"
    yield headline(mark_of(repaired), verdict, sentence_of(repaired))
    yield lines(change_lines(repaired))
    titles = ("output", "", "max_abs", "cosine", "mask pixels changed")
    yield table(titles, (cells(*row) for row in output_rows(repaired)))
    if repaired.remarks:
        yield lines(("remarks", remark) for remark in repaired.remarks)
