"""What do the pages of a score and of a repair show? Their documents, a section a heading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segdiff.core.answer import Repaired
from segdiff.core.printable import clean
from segdiff.report.page import located
from segdiff.report.page.content import (
    Content,
    Section,
    Tile,
    before_headings,
    headline_of,
    under_headings,
    without_headline,
)
from segdiff.report.page.images import stage_of
from segdiff.report.repaired import document as repaired_document
from segdiff.report.scored import score_document
from segdiff.report.short_score import short
from segdiff.report.text import share
from segdiff.score.report import ScoreReport


def content(report: ScoreReport) -> Content:
    """The page of a score report."""
    return Content(
        headline_of(short(report)),
        f"{report.images} images",
        tuple(_tiles(report)),
        without_headline(short(report)),
        tuple(_sections(report)),
        _data(report),
    )


def _data(report: ScoreReport) -> dict[str, Any]:
    """The report; that of ``locate``, whose pairs the script shows, by itself."""
    if report.located is None:
        return {"report": {**report.to_dict(), "pictures": []}}
    inner = located.thinned(report.located.to_dict())
    return {"report": inner, "score": {**report.to_dict(), "located": None, "pictures": []}}


def _tiles(report: ScoreReport) -> Iterator[Tile]:
    yield Tile(
        share(report.agreement.share),
        "of the masks' pixels change",
        "bad" if report.agreement.share else "good",
    )
    yield Tile(str(report.images), "images")
    if report.labelled:
        yield Tile(str(report.labelled), "of them with labels")


def _sections(report: ScoreReport) -> Iterator[Section]:
    document = score_document(report, everything=True)
    if report.pictures:
        stages = tuple(stage_of(shown, name, report.names) for name, shown in report.pictures)
        yield Section("seen", "How the masks differ", "pictures", stages, "Pictures")
    yield from under_headings(document, "score")
    yield Section("sides", "The two sides", "parts", without_headline(before_headings(document)))
    if report.located is not None:
        yield Section("located", "The worst image, located", "parts", located.content(report.located).card)
        yield from located.sections(report.located)
    else:
        yield Section("json", "The report as JSON", "json", None, "JSON")


def _repaired_sections(repaired: Repaired) -> Iterator[Section]:
    if repaired.pictures is not None:
        stage = stage_of(repaired.pictures)
        yield Section("pictures", "The picture, the masks before and after", "pictures", (stage,), "Picture")
    yield Section("json", "The repair as JSON", "json", None, "JSON")


def repaired_content(repaired: Repaired) -> Content:
    """The page of a repair."""
    document = repaired_document(repaired, "all")
    changed = [o.before.mask_changed for o in repaired.outputs if o.before.mask_changed is not None]
    after = [o.mask_changed for o in repaired.outputs if o.mask_changed is not None]
    tiles = [
        Tile(str(len(repaired.changes)), "change made" if len(repaired.changes) == 1 else "changes made")
    ]
    if changed and after:
        tiles.append(Tile(f"{share(max(changed))} → {share(max(after))}", "of the mask's pixels change"))
    return Content(
        headline_of(document),
        clean(repaired.path),
        tuple(tiles),
        without_headline(document),
        tuple(_repaired_sections(repaired)),
        {"report": {**repaired.to_dict(), "pictures": None}},
    )
