"""A score report and a repair, as a terminal and a notebook show them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from segdiff.core.answer import Cause, Repaired, RepairedOutput
from segdiff.report import forms
from segdiff.report.score_facts import attribution_rows, gap, percent
from segdiff.score.areas import areas
from segdiff.score.asked import asked
from segdiff.score.attribution import Attribution, Home, Stage
from segdiff.score.compare import (
    CANDIDATE,
    REFERENCE,
    SAME_INPUT,
    Agreement,
    ImageResult,
    OutputError,
    Summary,
)
from segdiff.score.conclude import Terms, score_report, signed
from segdiff.score.pictures import safe
from segdiff.score.protocol import EVALUATED, LOGITS
from segdiff.score.report import ScoreReport
from tests.report import reports
from tests.report.test_notebook import Checker

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e"


def made(*costs: float, name: str = "street.png", classes: str = "road") -> ScoreReport:
    """A report of one image of 10,000 pixels and two classes; each side after the first has lost so many."""
    sides = [REFERENCE, CANDIDATE] if len(costs) == 1 else [REFERENCE, SAME_INPUT, CANDIDATE]
    label = np.arange(10_000).reshape(100, 100) % 2
    found = {}
    for side, lost in zip(sides, np.cumsum([0, *costs]), strict=True):
        mask = label.copy()
        mask.ravel()[: int(lost)] ^= 1
        found[side] = {LOGITS: areas(mask.astype(np.uint8), label.astype(np.uint8), 2)}
    changed = int(sum(costs))
    summary = Summary(keep=3)
    summary.add(ImageResult(name, found, Agreement(10_000, changed, changed)))
    terms, sources = Terms(EVALUATED, EVALUATED), {side: f"models/{side}" for side in sides}
    return score_report(summary, terms, (EVALUATED,), sources, (classes, "sky"))


def printed(thing: object, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(thing)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def in_full(report: object) -> str:
    return printed(forms.shown(report, "rich", "full"))


def page(html: str) -> Checker:
    """The tags and the text; balanced, or it fails."""
    checker = Checker()
    HTMLParser.feed(checker, html)
    checker.close()
    assert not checker.open
    return checker


@pytest.mark.parametrize("costs", [(100,), (100, 300)])
def test_the_notebook_says_what_the_terminal_says(costs: Sequence[float]) -> None:
    report = made(*costs)
    text, html = in_full(report), page(report._repr_html_())
    assert html.tags <= {"div", "style", "p", "h4", "table", "tr", "td", "th", "details", "summary"}
    for fact in (report.sentence[:40], "Where the points go", "together", "road", "street.png"):
        assert fact in text and fact in html.text
    assert ("own input" in text) == ("own input" in html.text) == (len(costs) == 2)


def test_the_repr_is_one_line() -> None:
    report = made(100)
    assert repr(report) == f"<segdiff.ScoreReport diverges: {report.sentence}>"
    assert len(repr(report)) < 250 and "\n" not in repr(report)


@pytest.mark.parametrize("show", [printed, in_full, lambda report: report._repr_html_()])
def test_hostile_names_are_text(show: object) -> None:
    report = replace(made(100, name=HOSTILE, classes=HOSTILE), remarks=(HOSTILE,))
    assert callable(show)
    text = show(report)
    assert not set("\x1b\u202e") & set(text)
    if "<div" in text:
        assert "<script" not in text and "&lt;script&gt;" in text


def test_one_cause_of_all_points_is_said_once() -> None:
    alone, both = made(100).sentence, made(100, 300).sentence
    assert "points, all of them from the network." in alone and alone.count("-1.9") == 1
    assert "come from the input" in both and "come from the network" in both


def table(*points: tuple[Home, float]) -> Attribution:
    steps, score = [], 0.9
    for home, lost in points:
        score += lost
        steps.append(Stage(home, "kind", f"{home} {lost}", lost, score))
    return Attribution(0.9, "the reference", tuple(steps))


def test_printed_points_add_up_to_the_printed_gap() -> None:
    """Each -0.026 would print as -0.03 by itself, three of them as -0.09 instead of -0.08."""
    rows = attribution_rows(table(*[("network", -0.00026)] * 3))
    assert [row[2] for row in rows] == ["-0.03", "-0.02", "-0.03"]
    assert gap(table(*[("network", -0.00026)] * 3)) == "-0.08"


def test_rows_of_nothing_are_left_out_and_the_rest_adds_up() -> None:
    rows = attribution_rows(table(("score", -0.00001), ("network", -0.02), ("input", 0.0)))
    assert [row[1:] for row in rows] == [("network", "-2.00", "88.00")]
    rows = attribution_rows(table(("score", 0.00004), ("network", -0.02), ("input", 0.00004)))
    assert [row[2:] for row in rows] == [("-2.00", "88.00"), ("+0.01", "88.01")]
    assert attribution_rows(table(("network", 0.0))) == ()


@pytest.mark.parametrize("points", [-0.00004, 0.00004, -0.0, 0.0])
def test_nothing_has_no_sign(points: float) -> None:
    assert signed(points) == percent(points) == "0.00"


def test_a_picture_s_name_has_one_suffix() -> None:
    assert safe("a/01_street.png") == "a_01_street" and safe("b.JPG") == "b"
    assert safe("frame.0001") == "frame.0001" and safe("../x.tif") == "x" and safe(".png") == "png"


def repaired(*left: str) -> Repaired:
    cause = Cause("resize.coordinate_mode", f"Resize has {HOSTILE}", True, None)
    (before, *_) = reports.explained().outputs
    return Repaired(
        Path("fixed.onnx"),
        (cause,),
        left,
        (RepairedOutput(before, reports.comparison(1e-7), 0.0),),
        ("Note.",),
    )


@pytest.mark.parametrize("left", [(), ("p2o.Add.3", "p2o.Mul.4")])
def test_a_repair_in_a_notebook(left: tuple[str, ...]) -> None:
    done = repaired(*left)
    html, text = page(done._repr_html_()), printed(done)
    assert "script" not in html.tags and "resize.coordinate_mode" in html.text and "Note." in html.text
    for fact in ("before", "after", "fixed.onnx", *left):
        assert fact in html.text and fact in text
    assert ("agrees with the reference" in html.text) == (not left)


def test_what_to_ask_next_is_said_where_the_masks_differ() -> None:
    assert "segdiff evaluate DEPLOY MODEL.onnx DATASET" in printed(made(1000.0))
    seen = replace(made(1000.0), output=OutputError(0.1, 0.2))
    assert "--locate-worst names the operator, asked about street.png" in " ".join(in_full(seen).split())
    assert "names the operator, on the image that differs most: --locate-worst" in " ".join(
        printed(seen).split()
    )
    assert "--locate-worst" not in printed(made(0.0)) and "segdiff evaluate" not in printed(made(0.0))


def test_in_short_it_says_why_how_much_how_sure_and_ends_on_a_command() -> None:
    report = replace(
        made(100, 300), output=OutputError(0.1, 0.2), asked=("segdiff", "evaluate", "my deploy", "b")
    )
    text = printed(report, 200).splitlines()
    assert text[-1].strip() == "segdiff evaluate 'my deploy' b --locate-worst" and len(text) <= 18
    labels = ("mIoU", "why", "the masks", "raw outputs", "classes", "how sure", "next")
    said = "\n".join(text)
    assert [said.index(f"  {label} ") for label in labels] == sorted(
        said.index(f"  {label} ") for label in labels
    )


def test_the_headline_adds_up_as_the_table_does() -> None:
    """91.786 to 91.446 is -0.35 by itself and 91.79 - 91.45 as printed."""
    points = table(("score", -0.00344))
    points = replace(points, start=0.91786, steps=(replace(points.steps[0], score=0.91442),))
    assert gap(points) == "-0.35" and points.by_home() == {"score": -35}


def test_homes_that_cancel_are_both_told() -> None:
    assert table(("network", 0.02), ("input", -0.02)).by_home() == {"network": 200, "input": -200}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"--root": (None, None), "--ignore-index": (None, 255)},
            ("segdiff", "evaluate", "a", "--ignore-index", "none"),
        ),
        ({"--candidate-input": (len, None)}, ()),
    ],
)
def test_a_question_that_cannot_be_typed_has_no_words(
    options: dict[str, tuple[object, object]], words: tuple[str, ...]
) -> None:
    assert asked("evaluate", ["a"], options) == words


@pytest.mark.parametrize("make", [lambda: made(100), repaired])
def test_every_answer_can_be_printed_and_saved(
    make: Callable[[], ScoreReport | Repaired], tmp_path: Path
) -> None:
    answer = make()
    assert str(answer).startswith(("✗", "✓", "↓")) and len(str(answer).splitlines()) > 3
    for suffix, start in ((".html", "<!DOCTYPE html>"), (".md", "<!--"), (".json", "{")):
        assert answer.save(tmp_path / f"a{suffix}").read_text(encoding="utf-8").startswith(start)
