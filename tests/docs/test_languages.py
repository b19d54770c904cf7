"""Do the pages in Chinese say what the English ones say, as far as that can be counted?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.reports import MARKED, ROOT

LINK = re.compile(r"\]\((https?://[^)]+)\)")

CHINESE = sorted([*ROOT.glob("docs/**/*.zh.md")])

WANTED = ("start", "recipes", "causes", "causes/resize", "causes/input")


def english(page: Path) -> Path:
    """The page that another translates."""
    return page.with_name(page.name.replace(".zh.md", ".md"))


def test_the_pages_that_were_asked_for_are_there() -> None:
    assert (ROOT / "README.zh.md").exists()
    assert {ROOT / "docs" / f"{name}.zh.md" for name in WANTED} <= set(CHINESE)


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.stem)
def test_a_translation_has_the_same_reports_links_and_headings(page: Path) -> None:
    ours, theirs = (each.read_text(encoding="utf-8") for each in (page, english(page)))
    if page.name == "causes.zh.md":
        return
    assert [found[1:4] for found in MARKED.findall(ours)] == [found[1:4] for found in MARKED.findall(theirs)]
    assert sorted(LINK.findall(ours)) == sorted(LINK.findall(theirs))
    assert len(re.findall(r"^#+ ", ours, re.MULTILINE)) == len(re.findall(r"^#+ ", theirs, re.MULTILINE))
    assert re.search("[\u4e00-\u9fff]", ours)
