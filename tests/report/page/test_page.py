"""The page as a file: what is in it, and that nothing in it can load or run anything."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdiff.report.page.images import BACK, STAYS, stage_of
from segdiff.report.page.located import PAIRS_KEPT
from segdiff.report.page.page import asset, page
from segdiff.score.report import ScoreReport
from tests.report import reports
from tests.report.page import made
from tests.report.test_score_report import made as score
from tests.report.test_score_report import repaired
from tests.report.test_short import mended
from tests.report.test_terminal import ALL

VOID = {"meta", "img", "input", "br"}


class Elements(HTMLParser):
    """The elements of a page, their attributes, and the texts of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "script":
            self.scripts.append((dict(attrs).get("type") or "", ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            kind, text = self.scripts.pop()
            self.scripts.append((kind, text + data))

    def data(self) -> dict[str, dict[str, object]]:
        """What the script reads."""
        return json.loads(next(text for kind, text in self.scripts if kind))  # type: ignore[no-any-return]


def scored() -> ScoreReport:
    """A score with two pictures and an answer of ``locate``, of hostile names."""
    evil = made.HOSTILE[1]
    shown = (
        (evil, made.pictures()),
        (made.HOSTILE[2], replace(made.pictures(seed=1), labels=np.ones((48, 64), np.uint8))),
    )
    return replace(score(0.1, name=evil, classes=evil), pictures=shown, located=made.hostile())


PAGES = (
    *ALL,
    made.report,
    made.hostile,
    lambda: made.report(60, ()),
    lambda: made.unknown(200),
    lambda: score(0.1, 0.2),
    scored,
    repaired,
    lambda: repaired(*made.HOSTILE),
)


@pytest.mark.parametrize("make", PAGES)
def test_a_page_loads_nothing_and_runs_only_its_own_script(make: Callable[[], Any]) -> None:
    text = page(make())
    text.encode()
    found = Elements(text)
    assert found.open == [] and text.startswith("<!DOCTYPE html>\n<!-- written by segdiff -->")
    assert [kind for kind, _ in found.scripts] == ["application/json", ""]
    assert found.tags.count("html") == found.tags.count("main") == found.tags.count("style") == 1
    assert not {"link", "iframe", "object", "embed", "base", "form", "textarea"} & set(found.tags)
    assert not [
        name for _, name, _ in found.attributes if name.startswith("on") or name in ("style", "srcdoc")
    ]
    sources = {
        value for _, name, value in found.attributes if name in ("src", "srcset", "data", "xlink:href")
    }
    assert all(re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", source) for source in sources)
    links = {value for _, name, value in found.attributes if name == "href"}
    assert all(re.fullmatch(r"#[A-Za-z0-9-]+", link) for link in links)
    known = [value for _, name, value in found.attributes if name == "id"]
    assert len(known) == len(set(known))
    assert {link[1:] for link in links if not link.startswith("#pair-")} <= set(known)


def test_the_policy_names_the_style_and_the_script_that_are_there() -> None:
    text = page(mended())
    policy = next(
        value for tag, name, value in Elements(text).attributes if name == "content" and "none" in value
    )
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for tag in ("style", "script"):
        body = re.findall(rf"(?s)<{tag}>(.*?)</{tag}>", text)
        assert len(body) == 1
        digest = base64.b64encode(hashlib.sha256(body[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_script_is_small_and_asks_for_nothing_from_elsewhere() -> None:
    script = asset("page.js")
    assert len(script.encode()) < 20_000
    assert not re.search(
        r"\bfetch\(|XMLHttpRequest|import\(|innerHTML|outerHTML|insertAdjacent|eval\(|Function\(", script
    )
    assert "http" not in script.replace("http://www.w3.org/2000/svg", "")
    assert "@import" not in asset("page.css") and "url(" not in asset("page.css")


def test_the_answer_stands_first() -> None:
    text = page(mended())
    card, rest = text.split("<main", 1)
    assert "resize.coordinate_mode" in card and "-o fixed.onnx" in card
    assert "relu_2.tmp_0" not in card and "relu_2.tmp_0" in rest


def test_the_sections_stand_in_the_order_of_thought() -> None:
    anchors = re.findall(r'<section id="([a-z]+)"', page(made.report()))
    assert anchors == [
        "pictures",
        "walk",
        "origins",
        "graph",
        "pairs",
        "outputs",
        "input",
        "notes",
        "computed",
        "json",
    ]


def test_the_report_itself_is_in_the_page() -> None:
    report = made.hostile()
    whole = {**json.loads(report.to_json()), "pictures": None}  # the page has them larger
    assert Elements(page(report)).data()["report"] == whole


def test_a_large_model_fits_one_page_and_is_made_in_a_moment() -> None:
    report = made.report(1500, (300, 700, 1100))
    page(report)  # the templates are read once
    start = time.perf_counter()
    text = page(report)
    assert time.perf_counter() - start < 10
    assert 500_000 < len(text.encode()) < 3_000_000
    assert len(re.findall(r'id="n\d+"', text)) == 1500


def test_of_a_very_large_model_those_that_matter_are_shown() -> None:
    report = made.report(12_000, (300, 700, 11_000))
    text = page(report)
    assert len(text.encode()) < 9_000_000
    pairs = Elements(text).data()["report"]["pairs"]
    assert isinstance(pairs, list) and len(pairs) <= PAIRS_KEPT + 1
    assert {pair["place"] for pair in pairs if pair["state"] == "origin"} == {300, 700, 11_000}
    assert "are counted and not drawn" in text and 'id="n300"' in text


def pixels(data: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    raw = base64.b64decode(data.split(",", 1)[1])
    return np.asarray(Image.open(io.BytesIO(raw)).convert("RGBA"))


def test_flips_have_a_colour_for_what_stays_and_one_for_what_is_mended() -> None:
    shown = made.pictures()
    layers = {layer.key: layer for layer in stage_of(shown).layers}
    assert list(layers) == ["picture", "reference", "candidate", "repaired", "flips", "heat"]
    got, masks = pixels(layers["flips"].data), shown.masks
    flipped, stays = masks["reference"] != masks["candidate"], masks["reference"] != masks["repaired"]
    assert ((got[..., 3] > 0) == flipped).all()
    assert (got[stays][:, :3] == STAYS).all() and (got[flipped & ~stays][:, :3] == BACK).all()


def test_with_labels_flips_are_made_worse_or_made_better() -> None:
    shown = made.pictures()
    ours, theirs = shown.masks["reference"], shown.masks["candidate"]
    labels = np.where(np.arange(64) < 32, ours, theirs)
    stage = stage_of(replace(shown, labels=labels))
    got = pixels(next(layer.data for layer in stage.layers if layer.key == "flips"))
    left = (ours != theirs) & (np.arange(64) < 32)
    assert (got[left][:, :3] == STAYS).all() and (got[(ours != theirs) & ~left][:, :3] == BACK).all()
    assert [chip.text.split(":")[0] for chip in stage.flips] == ["made worse", "made better"]


def test_the_error_is_clear_where_there_is_none() -> None:
    shown = made.pictures()
    assert shown.heat is not None
    got = pixels(next(layer.data for layer in stage_of(shown).layers if layer.key == "heat"))
    assert (got[shown.heat == 0][:, 3] == 0).all() and got[shown.heat == shown.heat.max()][0, 3] > 200


def test_an_error_that_is_no_number_is_shown() -> None:
    shown = made.pictures()
    heat = np.full((48, 64), np.inf, np.float32)
    stage_of(replace(shown, heat=heat))
    stage_of(replace(shown, heat=np.zeros_like(heat)))


def test_a_report_that_was_read_back_has_neither_pictures_nor_a_graph() -> None:
    text = page(replace(made.report(), pictures=None, outlines=None, environment=None))
    assert 'id="graph"' not in text and 'id="pictures"' not in text and 'id="pairs"' in text


def test_an_attribute_that_the_cause_speaks_of_is_marked_on_both_sides() -> None:
    text = page(reports.explained())
    marked = re.findall(r'<tr class="differs"><th scope="row"><span[^>]*>≠</span>([a-z_]+)', text)
    assert {"align_corners", "coordinate_transformation_mode"} <= set(marked)


def test_an_optimiser_has_a_section_of_its_own() -> None:
    report = made.report()
    first = report.origins[0]
    assert first.cause is not None
    optimiser = replace(first, cause=replace(first.cause, kind="runtime.optimisation"))
    text = page(replace(report, origins=(*report.origins[1:], optimiser)))
    assert "The 2 origins" in text and '<section id="runtime"' in text and "as optimised" in text


def test_a_column_without_a_title_is_no_heading() -> None:
    assert '<th scope="col"></th>' not in page(repaired()) and "<thead><tr><th" in page(repaired())
