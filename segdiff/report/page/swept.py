"""What does the page of a sweep show? The index: the faults, a row for each pair, each with its own page."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.printable import clean
from segdiff.core.sweep_report import SweepReport
from segdiff.report.page.content import (
    Content,
    Section,
    Tile,
    before_headings,
    headline_of,
    under_headings,
    without_headline,
)
from segdiff.report.swept import document


def content(swept: SweepReport) -> Content:
    """The page of a sweep."""
    whole = document(swept, "all")
    return Content(
        headline_of(whole),
        clean(swept.source) or "a list of pairs",
        tuple(_tiles(swept)),
        without_headline(before_headings(whole)),
        (*under_headings(whole, "sweep"), Section("json", "The report as JSON", "json", None, "JSON")),
        {"report": swept.to_dict()},
    )


def _tiles(swept: SweepReport) -> Iterator[Tile]:
    verdicts = [pair.verdict for pair in swept.pairs]
    agreeing = verdicts.count("agrees")
    yield Tile(
        f"{agreeing} of {len(verdicts)}", "pairs agree", "good" if agreeing == len(verdicts) else "bad"
    )
    if verdicts.count("inconclusive"):
        yield Tile(str(verdicts.count("inconclusive")), "could not be told", "warning")
    if swept.faults:
        most = swept.faults[0]
        if len(most.pairs) > 1:
            yield Tile(str(len(most.pairs)), f"have {clean(most.kind)}")
