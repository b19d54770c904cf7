"""What does the page of several images show? The tables, and the told one as a page of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segdiff.core.images_report import ImagesReport
from segdiff.core.printable import clean
from segdiff.report.document import Tone
from segdiff.report.located_images import document
from segdiff.report.page import located
from segdiff.report.page.content import Content, Section, Tile, headline_of, without_headline
from segdiff.report.page.located import thinned


def content(found: ImagesReport) -> Content:
    """The page of several images."""
    card = document(found, "short")
    told = found.told
    inner = thinned(told.report.to_dict()) if told and told.report else {}
    whole = found.to_dict()
    data = {**whole, "worst_images": [_slim(entry) for entry in whole["worst_images"]]}
    return Content(
        headline_of(card),
        clean(found.paths[1]),
        tuple(_tiles(found)),
        without_headline(card),
        tuple(_sections(found)),
        {"report": inner or data, "images": data},
    )


def _slim(entry: dict[str, Any]) -> dict[str, Any]:
    report = entry["report"]
    left_out = ("pairs", "unmatched", "pictures")
    slim = {k: v for k, v in report.items() if k not in left_out} if isinstance(report, dict) else None
    return {**entry, "report": slim}


def _tiles(found: ImagesReport) -> Iterator[Tile]:
    tone: Tone = "good" if not found.differing else "bad"
    yield Tile(f"{found.differing} of {found.run}", "images differ", tone)
    if found.origins:
        located = sum(entry.report is not None for entry in found.entries)
        yield Tile(
            f"{len(found.origins[0].images)} of {located}", "located images have the first origin", "bad"
        )
    if found.skipped:
        yield Tile(str(found.skipped), "could not be used", "warning")


def _sections(found: ImagesReport) -> Iterator[Section]:
    told = found.told
    if told is None or told.report is None:
        yield Section("json", "The report as JSON", "json", None, "JSON")
        return
    yield from located.sections(told.report)
