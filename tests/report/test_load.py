"""A saved report comes back whole, from any version; a damaged or hostile one is one clear line."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import segdiff
from segdiff.core.answer import Repaired, Report
from segdiff.core.errors import InputError
from segdiff.report.fits import misfit
from segdiff.report.forms import shown
from tests.report import reports
from tests.report.test_schema import WRITTEN
from tests.report.test_score_report import made, repaired
from tests.schema import PROMISED

REPAIRED = repaired("p2o.Relu.3")
SCORED = (made(100), made(100, 300))
FORMS = ("text", "html", "markdown")


def again(answer: Any, folder: Path) -> Any:
    path = folder / "saved.json"
    path.write_text(answer.to_json())
    return segdiff.load(path)


@pytest.mark.parametrize("make", WRITTEN)
def test_a_report_comes_back_as_it_was(make: Callable[[], Report], tmp_path: Path) -> None:
    before = make()
    after = again(before, tmp_path)
    assert after.to_dict() == before.to_dict()
    for form in FORMS:
        assert shown(after, form, "all") == shown(before, form, "all")
        assert shown(after, form, "short") == shown(before, form, "short")


def near(one: Any, other: Any) -> bool:
    """Equal but for the last bits of numbers, which JSON has in hundredths."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(near(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(near, one, other))
    return bool(one == pytest.approx(other)) if isinstance(one, float) else one == other


@pytest.mark.parametrize("before", SCORED)
def test_scores_come_back(before: Any, tmp_path: Path) -> None:
    after = again(before, tmp_path)
    assert near(after.to_dict(), before.to_dict())
    assert shown(after, "text", "all") == shown(before, "text", "all")


def test_a_repair_comes_back(tmp_path: Path) -> None:
    after = again(REPAIRED, tmp_path)
    assert isinstance(after, Repaired) and after.to_dict() == REPAIRED.to_dict()
    assert shown(after, "text") == shown(REPAIRED, "text")


def test_a_repair_that_wrote_nothing_is_what_was_located(tmp_path: Path) -> None:
    from segdiff.report.json import not_repaired_to_dict

    made = reports.report()
    path = tmp_path / "saved.json"
    path.write_text(json.dumps({**not_repaired_to_dict(made), "located": made.to_dict()}))
    found = segdiff.load(path)
    assert isinstance(found, Report) and found.to_dict() == made.to_dict()


def test_a_report_of_the_first_day_is_shown() -> None:
    """Only what schema 1 began with."""
    from segdiff.report.load import answer_of
    from tests.report.test_schema import first_day

    old = first_day(json.loads(reports.explained().to_json()))
    found = answer_of(old, "old.json")
    assert isinstance(found, Report) and found.verdict == "diverges"
    words = shown(found, "text", "all")
    assert "resize.coordinate_mode" in words and "-o fixed.onnx" in words
    assert PROMISED.is_valid(json.loads(found.to_json()))


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "is no JSON"),
        ("[1, 2", "is no JSON"),
        ("[]", "is no report of segdiff"),
        ("{}", "is no report of segdiff"),
        ('{"schema": 2, "verdict": "agrees"}', "has schema 2, and this segdiff reads schema 1"),
        ('{"schema": 1, "verdict": "agrees"}', "is damaged: the file lacks 'coverage'"),
        ('{"schema": 1, "verdict": "error", "error": {"type": "ModelError", "message": "no"}}', "failed"),
        ('{"schema": 1, "verdict": NaN}', "NaN is no number in JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"schema": 1, "verdict": ' + "9" * 10_000 + "}", "is no JSON"),
    ],
)
def test_what_is_no_report_is_one_clear_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        segdiff.load(path)
    assert words in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no JSON"):
        segdiff.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        segdiff.load(tmp_path / "none.json")


ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e300,
    "",
    "x" * 3000,
    [],
    {},
    [[]],
    {"a": None},
    2**70,
    "\ud800",
    0.5,
)


def test_a_damaged_report_is_refused_or_shown_and_never_a_traceback() -> None:
    """A field lost, exchanged or of another type, a thousand times."""
    from segdiff.report.load import answer_of

    chance, text = random.Random(0), reports.explained().to_json()
    shown_all = refused = 0
    for _ in range(1000):
        data = json.loads(text)
        for _ in range(chance.choice((1, 1, 3))):
            place: Any = data
            while True:
                keys = list(place) if isinstance(place, dict) else range(len(place))
                if not keys:
                    break
                key = chance.choice(list(keys))
                if isinstance(place[key], dict | list) and chance.random() < 0.8:
                    place = place[key]
                    continue
                if chance.random() < 0.3:
                    del place[key]
                else:
                    place[key] = chance.choice(ODD)
                break
        try:
            found = answer_of(data, "damaged.json")
        except InputError:
            refused += 1
            continue
        for form in FORMS:
            shown(found, form, "all")
        shown_all += 1
    assert shown_all > 50 and refused > 200


@pytest.mark.parametrize("make", WRITTEN)
def test_what_asks_the_schema_asks_as_the_library_does(make: Callable[[], Report]) -> None:
    chance, text = random.Random(1), make().to_json()
    assert misfit(json.loads(text)) is None
    for _ in range(40):
        data = json.loads(text)
        name = chance.choice(list(data))
        data[name] = chance.choice([value for value in ODD if value != 2**70])
        assert (misfit(data) is None) == PROMISED.is_valid(data), name
