"""Has every kind of cause that the code can give its place in the docs?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from segdiff.report.links import ANY, PAGES, docs_of
from segdiff.report.named_settings import _SETTINGS
from tests.test_house import MODULES, TREES

ROOT = Path(__file__).parents[2]
CAUSES = ROOT / "docs" / "causes"

KIND = re.compile(r"[a-z][a-z_0-9]*\.[a-z][a-z_0-9]*")

TELLING = ("segdiff.diagnose", "segdiff.finding", "segdiff.deployed", "segdiff.inputs.hypotheses")
"""The rooms whose kinds become causes."""

FILES = frozenset({"html", "json", "npz", "npy", "onnx", "py", "png", "pdmodel", "pdiparams", "yaml", "yml"})
OTHER_WORDS = frozenset({"builtin.combine", "builtin.split", "builtin.parameter", "builtin.shadow_output"})
"""What has a dot and is no kind: names of files, of Paddle's operators; the doors upwards are others."""

FAMILIES = sorted(page for page in PAGES)


def literals(name: str) -> Iterator[str]:
    """The dotted words of a module, as they stand in its code; those of its docstrings do not count."""
    tree = TREES[name]
    told = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    pieces = {id(v) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for v in node.values}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in told | pieces:
            continue
        if KIND.fullmatch(node.value) and node.value.rpartition(".")[2] not in FILES:
            yield node.value


def told_kinds() -> set[str]:
    """Every kind that is spelt out in the code that finds causes."""
    modules = [name for name in MODULES if name.startswith(TELLING)]
    doors, remarks = set(literals("segdiff.core.late")), set(literals("segdiff.finding.read_otherwise"))
    return {kind for name in modules for kind in literals(name)} - OTHER_WORDS - doors - remarks


def test_every_remark_on_a_device_has_a_place() -> None:
    """They are kinds, too, but of no cause: docs/elsewhere.md has them."""
    page = (ROOT / "docs/elsewhere.md").read_text(encoding="utf-8")
    kinds = {kind for kind in literals("segdiff.finding.read_otherwise") if kind.startswith("device.")}
    assert kinds and all(f"`{kind}`" in page for kind in kinds)


def headings(page: Path) -> list[str]:
    """The texts of a page's headings."""
    return [
        line.lstrip("# ").strip() for line in page.read_text(encoding="utf-8").splitlines() if line[:1] == "#"
    ]


def anchor(heading: str) -> str:
    """The anchor of a heading, as the site and code forges make it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def stands(place: str, suffix: str = "") -> bool:
    """Whether a page has the anchor of a link."""
    page, _, name = place.partition("#")
    file = (ROOT / page).with_suffix(f"{suffix}.md")
    return file.exists() and name in map(anchor, headings(file))


def test_the_search_for_kinds_finds_them() -> None:
    assert len(told_kinds()) > 120
    assert {"resize.coordinate_mode", "output.order", "runtime.refused", "input.grey"} <= told_kinds()


def test_every_kind_in_the_code_has_a_place() -> None:
    known = {kind for kinds in PAGES.values() for kind in kinds}
    assert not (told_kinds() | set(_SETTINGS)) - known


@pytest.mark.parametrize("page", FAMILIES)
@pytest.mark.parametrize("suffix", ["", ".zh"])
def test_a_page_has_its_kinds_and_no_others(page: str, suffix: str) -> None:
    found = [h.strip("`") for h in headings(CAUSES / f"{page}{suffix}.md") if h.startswith("`")]
    assert found == list(dict.fromkeys(found))
    assert set(found) == set(PAGES[page])


@pytest.mark.parametrize("suffix", ["", ".zh"])
def test_what_befalls_any_operator_has_a_place(suffix: str) -> None:
    for word in ANY:
        assert stands(docs_of(f"transpose.{word}" if word != "order" else "scatter.order"), suffix)
    assert stands(docs_of("trilu.upper"), suffix)
    assert docs_of("trilu.upper").endswith("#any-operator-setting")


def test_the_list_of_kinds_leads_to_each() -> None:
    text = (ROOT / "docs" / "causes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .*", text, re.MULTILINE)
    links = {f"docs/{link}" for row in rows for link in re.findall(r"\]\((causes/[^)]*)\)", row)}
    assert {docs_of(kind) for kinds in PAGES.values() for kind in kinds if kind[:6] != "input."} <= links
    assert all(map(stands, links))


@pytest.mark.parametrize("page", FAMILIES)
def test_a_page_shows_a_report_and_what_to_do(page: str) -> None:
    text = (CAUSES / f"{page}.md").read_text(encoding="utf-8")
    assert re.search(r"```text\n\$ segdiff locate .*\n[✗✓?]", text)
    assert "## What repairs it" in text and ("get it wrong" in text or "Why it happens" in text)
