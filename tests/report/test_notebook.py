from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from segdiff.core.answer import Report
from segdiff.report.forms import html as to_html
from tests.report import reports
from tests.report.test_terminal import ALL

VOID = {"br", "img"}


class Checker(HTMLParser):
    """Collects tags and text, and insists on balance."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(report: Report) -> Checker:
    checker = Checker()
    checker.feed(to_html(report))
    checker.close()
    assert not checker.open
    return checker


@pytest.mark.parametrize("make", ALL)
def test_only_the_tags_we_write(make: Callable[[], Report]) -> None:
    page = parsed(make())
    assert page.tags <= {
        "div",
        "style",
        "p",
        "h4",
        "table",
        "tr",
        "td",
        "th",
        "b",
        "br",
        "code",
        "span",
        "pre",
    }
    assert page.attributes <= {"class", "style", "title"}


def test_the_facts_are_there() -> None:
    text = parsed(reports.explained()).text
    for fact in (
        "The models diverge at Resize 'p2o.Resize.8'",
        "coordinate_transformation_mode = half_pixel",
        "align_corners = True",
        "resize.coordinate_mode",
        "1.6e-01",
        "7.23%",
        "812 MB",
    ):
        assert fact in text


def test_hostile_names_are_text() -> None:
    html = to_html(reports.hostile())
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not set("\x1b\x07\u202e\ud800") & set(html)
    assert len(html) < 300_000
    html.encode()
