"""What does the page of several shapes show? A table over all, and the told one as a page of its own."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.printable import clean
from segdiff.core.shapes_report import ShapesReport
from segdiff.report.document import Tone
from segdiff.report.located_shapes import document
from segdiff.report.page import located
from segdiff.report.page.content import Content, Section, Tile, headline_of, without_headline
from segdiff.report.page.located import thinned


def content(swept: ShapesReport) -> Content:
    """The page of several shapes."""
    card = document(swept, "short")
    told = swept.told
    inner = thinned(told.report.to_dict()) if told and told.report else {}
    # the script draws the told one's pairs; of the others the page has what the table says
    data = {**swept.to_dict(), "entries": [_slim(entry) for entry in swept.to_dict()["entries"]]}
    return Content(
        headline_of(card),
        clean(swept.paths[1]),
        tuple(_tiles(swept)),
        without_headline(card),
        tuple(_sections(swept)),
        {"report": inner or data, "shapes": data},
    )


def _slim(entry: dict[str, object]) -> dict[str, object]:
    report = entry["report"]
    left_out = ("pairs", "unmatched", "pictures")
    slim = {k: v for k, v in report.items() if k not in left_out} if isinstance(report, dict) else None
    return {**entry, "report": slim}


def _tiles(swept: ShapesReport) -> Iterator[Tile]:
    compared = [entry for entry in swept.entries if entry.report]
    agreeing = sum(entry.verdict == "agrees" for entry in compared)
    tone: Tone = "good" if agreeing == len(swept.entries) else "bad"
    yield Tile(f"{agreeing} of {len(swept.entries)}", "shapes of the input agree", tone)
    if len(compared) < len(swept.entries):
        yield Tile(str(len(swept.entries) - len(compared)), "not compared", "warning")


def _sections(swept: ShapesReport) -> Iterator[Section]:
    told = swept.told
    if told is None or told.report is None:
        yield Section("json", "The report as JSON", "json", None, "JSON")
        return
    yield from located.sections(told.report)
