from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from segdiff.core.answer import Report
from segdiff.core.pictured import Pictures
from segdiff.core.progress import told_to
from segdiff.report.html import OURS, RULES, STYLE
from segdiff.report.notebook import cell as to_html
from segdiff.report.phases import WORDS
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
        "details",
        "summary",
        "figure",
        "figcaption",
        "img",
    }
    assert page.attributes <= {"class", "style", "title", "alt", "src"}


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


def pictured(**more: object) -> Report:
    """A report with a picture of its run."""
    mask = np.zeros((24, 32), np.uint8)
    other = mask.copy()
    other[:4, :8] = 1
    pictures = Pictures(
        image=np.full((24, 32, 3), 90, np.uint8),
        masks={"reference": mask, "candidate": other, "repaired": mask},
        heat=np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32),
        heat_value="large",
    )
    return replace(reports.diverging(), pictures=pictures, **more)


def test_a_cell_is_short_has_pictures_and_folds_the_rest_up() -> None:
    page = parsed(pictured())
    for words in ("picture", "candidate", "flipped pixels", "error of the origin", "All that was measured"):
        assert words in page.text
    assert {"img", "details"} <= page.tags
    html = to_html(pictured())
    shown, folded = html.split("<details>")
    assert "coordinate_transformation_mode" in folded
    assert shown.count("<img") == 8  # picture, three masks, two layers over pictures
    assert "http" not in html.replace("image/", "")


def test_no_rule_of_a_notebook_is_stronger() -> None:
    """JupyterLab has ``.jp-RenderedHTMLCommon tbody tr:nth-child(odd)``, two classes and two elements."""
    for place, _ in RULES:
        assert f"{OURS} {place}{{" in STYLE
    assert OURS.count(".") == 3
    assert "text-align:left" in dict(reversed(RULES))["td"]
    assert "word-break:normal" in STYLE


def test_a_notebook_that_is_not_trusted_has_its_cells_on_the_left() -> None:
    """Its style element is taken away."""
    body = to_html(pictured()).split("</style>")[1]
    assert "<td" in body
    assert body.count("<td") == body.count('<td style="text-align:left"')
    assert body.count("<th") == body.count('<th style="text-align:left;')


# --- the bar


class Handle:
    def __init__(self) -> None:
        self.states: list[dict[str, str]] = []

    def update(self, state: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.states.append(state)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Handle:
    """As if this process were a notebook's kernel."""
    handle = Handle()
    shell = SimpleNamespace(kernel=object())
    display = ModuleType("IPython.display")

    def shown(state: dict[str, str], *, display_id: bool, raw: bool) -> Handle:
        assert display_id
        handle.update(state, raw=raw)
        return handle

    display.display = shown  # type: ignore[attr-defined]
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return handle


def test_a_notebook_sees_a_bar_that_goes_in_the_end(notebook: Handle) -> None:
    with told_to(None) as told:
        told("walk", 3, 27)
        told("walk", 4, 27)  # at once: not shown
        told("explain", 0, 0)
    texts = [state["text/plain"] for state in notebook.states]
    assert texts == [WORDS["start"], f"{WORDS['walk']} 3/27", WORDS["explain"], ""]
    assert '<progress value="3" max="27">' in notebook.states[1]["text/html"]
    assert notebook.states[-1]["text/html"] == ""


def test_it_goes_when_the_call_fails_too(notebook: Handle) -> None:
    with pytest.raises(ZeroDivisionError), told_to(None):
        1 / 0  # noqa: B018
    assert notebook.states[-1]["text/html"] == ""


def test_a_callback_of_ones_own_is_the_only_one(notebook: Handle) -> None:
    seen: list[tuple[str, int, int]] = []
    with told_to(lambda *state: seen.append(state)) as told:
        told("walk", 1, 2)
    assert seen == [("walk", 1, 2)]
    assert not notebook.states


def test_a_script_and_a_terminal_shell_see_nothing(
    notebook: Handle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: SimpleNamespace())
    with told_to(None) as told:
        told("walk", 1, 2)
    monkeypatch.delitem(sys.modules, "IPython")
    with told_to(None) as told:
        told("walk", 1, 2)
    assert not notebook.states
    assert capsys.readouterr() == ("", "")


def test_text_in_a_notebook_displays_nothing_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """rich shows what it prints, where it believes to be in a notebook; ``repr`` and ``print`` must not."""
    shown: list[object] = []
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *what: shown.append(what))
    assert str(reports.diverging())
    assert not shown


def test_a_score_shows_its_worst_images() -> None:
    from tests.report.test_score_report import made

    seen = pictured().pictures
    assert seen is not None
    named = tuple((f"street_{number}<script>.png", seen) for number in range(5))
    html = replace(made(100), pictures=named)._repr_html_()
    assert html.count("street_") == 2
    assert "<script" not in html
    assert "<figure" in html.split("<details>")[0]
