"""What does the page on half precision show? Its document, a section a heading."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.printable import clean
from segdiff.half.answer import HalfReport
from segdiff.report.halved import document
from segdiff.report.page.content import (
    Content,
    Section,
    Tile,
    before_headings,
    headline_of,
    under_headings,
    without_headline,
)
from segdiff.report.text import share


def content(report: HalfReport) -> Content:
    """The page of a report on half precision."""
    whole = document(report, "all")
    return Content(
        headline_of(whole),
        clean(report.candidate),
        tuple(_tiles(report)),
        without_headline(before_headings(whole)),
        (*under_headings(whole, "half"), Section("json", "The report as JSON", "json", None, "JSON")),
        {"report": report.to_dict()},
    )


def _tiles(report: HalfReport) -> Iterator[Tile]:
    if report.cost is not None and report.cost.mask_changed is not None:
        changed = share(report.cost.mask_changed)
        yield Tile(changed, "of the mask's pixels change", "bad" if report.verdict == "loses" else "good")
    if report.heavy:
        yield Tile(share(report.heavy[0].share or 0.0), "of the loss is one op's")
    yield Tile(str(len(report.images)), "image" if len(report.images) == 1 else "images")
