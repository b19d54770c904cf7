"""Does a sweep say the same in every form, and come back from its JSON?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

import segdiff
from segdiff.core.answer import Verdict
from segdiff.core.crew.told import Failure
from segdiff.core.errors import InputError
from segdiff.core.sweep_report import (
    SweepReport,
    SweptImage,
    SweptLabel,
    SweptOrigin,
    SweptPair,
    SweptScore,
)
from segdiff.report.exports import exports_of
from segdiff.report.findings import findings_of
from segdiff.report.forms import shown
from segdiff.score.fleet.faults import faults_of
from segdiff.score.fleet.words import sentence_of
from tests.schema import check

HOSTILE = "<img src=x onerror=alert(1)>"
AXIS, SCALE = "softmax.axis|softmax|Softmax|.axis", "scale.bias|scale|Mul|operand 1"


def origin(fault: str, fingerprint: str, proven: bool = True) -> SweptOrigin:
    kind, ours, theirs, _ = fault.split("|")
    return SweptOrigin(
        fingerprint, fault, kind, f"because of {kind}", proven, ours, theirs, HOSTILE, 0.9, 1.0
    )


def row(name: str, verdict: Verdict, *origins: SweptOrigin) -> SweptImage:
    failure = Failure("refused", "InputError", HOSTILE) if verdict == "inconclusive" else None
    page = None if failure else f"pages/{name}.html"
    return SweptImage(f"{name}.png", verdict, HOSTILE, origins, (), 0.5, 0.25, 1.5, None, page, failure)


def pair(name: str, *images: SweptImage) -> SweptPair:
    return SweptPair(name, f"{name}/m.pdmodel", f"{name}/m.onnx", images, None if images else "not clear")


def made(*pairs: SweptPair) -> SweepReport:
    faults = faults_of(pairs)
    timing = {"total": 2.0, "tasks": 3.0}
    return SweepReport(sentence_of(pairs, faults), pairs, faults, ("x.onnx",), "zoo", (), timing)


A = pair("a", row("a", "diverges", origin(AXIS, "softmax.axis-0")))
B = pair(
    HOSTILE,
    row("b1", "agrees"),
    row("b2", "diverges", origin(AXIS, "softmax.axis-1"), origin(SCALE, "scale.bias-2")),
)
C = pair("c", row("c", "agrees"))
D = pair("d", row("d", "inconclusive"))
E = pair("e")
EVERY = (made(A, B, C, D, E), made(C), made(D), made(C, E))


@pytest.mark.parametrize("swept", EVERY)
def test_it_comes_back_as_it_was(swept: SweepReport, tmp_path: Path) -> None:
    check(swept.to_dict())
    again = segdiff.load(swept.save(tmp_path / "r.json"))
    assert isinstance(again, SweepReport) and again.to_dict() == swept.to_dict() and again == swept
    for form in ("text", "html", "markdown"):
        for detail in ("short", "full", "all"):
            assert shown(again, form, detail) == shown(swept, form, detail)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("swept", "verdict", "code"),
    [
        (EVERY[0], "diverges", 1),
        (EVERY[1], "agrees", 0),
        (EVERY[2], "inconclusive", 2),
        (EVERY[3], "inconclusive", 2),
    ],
)
def test_the_worst_counts(swept: SweepReport, verdict: str, code: int) -> None:
    assert (swept.verdict, swept.exit_code) == (verdict, code)


def test_a_fault_in_several_pairs_is_one() -> None:
    swept = made(A, B, C)
    axis, scale = swept.faults
    assert (axis.pairs, axis.alone) == ((HOSTILE, "a"), ("a",))
    assert (axis.kind, axis.changed) == ("softmax.axis", (".axis",)) and scale.pairs == (HOSTILE,)
    assert (
        "1 fault is in 2 of the 2, and explains 1 of them alone: softmax.axis at Softmax." in swept.sentence
    )


def test_a_guess_merges_nothing() -> None:
    guesses = [replace(origin(AXIS, f"unknown-{n}", proven=False), fault=f"unknown-{n}") for n in range(2)]
    pairs = [pair(str(n), row(str(n), "diverges", guess)) for n, guess in enumerate(guesses)]
    swept = made(*pairs)
    assert len(swept.faults) == 2 and {fault.kind for fault in swept.faults} == {"unknown"}
    assert "fault" not in swept.sentence


def test_nothing_of_a_name_gets_into_a_page_and_links_stand_where_the_pages_are() -> None:
    swept = made(A, B, C, D, E)
    forms = {each.name: each.text for each in exports_of("SweepReport")}
    assert set(forms) == {"html", "markdown", "junit", "sarif"}
    for answer in (swept, replace(swept, linked=True)):
        page = forms["html"](answer)
        assert HOSTILE not in page and ('href="pages/a.html"' in page) == answer.linked
    assert "<img" not in forms["markdown"](swept)
    assert "2 of 5 pairs diverge" in str(swept)


def test_a_dashboard_has_a_case_for_each_pair() -> None:
    forms = {each.name: each.text for each in exports_of("SweepReport")}
    suite = ElementTree.fromstring(forms["junit"](made(A, B, C, D, E))).find("testsuite")
    assert suite is not None and [suite.get(name) for name in ("tests", "failures", "errors")] == [
        "5",
        "2",
        "2",
    ]
    results = json.loads(forms["sarif"](made(A, B, C)))["runs"][0]["results"]
    assert [each["ruleId"] for each in results] == ["softmax.axis", "softmax.axis", "scale.bias"]


def test_what_is_known_passes() -> None:
    swept = made(A, B, C)
    half = swept.against(["softmax.axis-0"])
    assert half.exit_code == 1 and half.pair("a").known and not half.pair(HOSTILE).known
    whole = swept.against(["softmax.axis-0", "softmax.axis-1", "scale.bias-2"])
    assert whole.exit_code == 0 and whole.verdict == "diverges"
    check(json.loads(whole.to_json()))
    assert "baseline" in str(whole)


def test_a_saved_sweep_knows_each_pair_by_its_name(tmp_path: Path) -> None:
    swept = made(A, C)
    known = swept.save(tmp_path / "known.json")
    assert swept.against(known).exit_code == 0
    renamed = made(replace(A, name="other"), C)
    assert renamed.against(known).exit_code == 1
    with pytest.raises(InputError):
        swept.against(tmp_path / "nowhere.json")


def test_each_finding_is_told_with_its_pair() -> None:
    found = findings_of(made(A, B, D, E))
    assert [each.kind for each in found] == [
        "softmax.axis",
        "softmax.axis",
        "scale.bias",
        "inconclusive",
        "inconclusive",
    ]
    assert found[0].title.startswith("a: ") and found[0].level == "error"
    known = findings_of(made(A).against(["softmax.axis-0"]))
    assert [each.level for each in known] == ["note"]


def test_points_fit_into_eighty_columns() -> None:
    label = SweptLabel("l.png", SweptScore(0.94, 0.9175), 2, ((1,),) * 3, ((1,),) * 3)
    images = [replace(image, labelled=label) for image in (*A.images, *B.images)]
    swept = made(replace(pair("first", *images), score=SweptScore(0.94, 0.9175, 3)), C)
    check(swept.to_dict())
    rows = str(swept).splitlines()
    row = next(line for line in rows if line.split()[:2] == ["first", "3"])
    assert "2.25" in row and "diverges" in row and all(len(line) <= 80 for line in rows)
    assert any(line.split()[:2] == ["c", "-"] and " - " in line for line in rows)
    assert "2 images without one" not in str(swept) and "1 image without one" in str(swept)
