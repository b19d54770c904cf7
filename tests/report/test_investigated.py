"""What an open case shows: in a notebook, and as text; nothing of a model is read as markup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import segdiff
from segdiff.core.errors import EngineError
from segdiff.finding.case import OpenCase
from segdiff.finding.case_pairs import Pairs, Row
from segdiff.finding.case_tensors import Arrays, Tensors
from tests.finding.cases import SHAPE, files
from tests.models import image
from tests.report import reports
from tests.report.test_notebook import Checker


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenCase]:
    pair = files(tmp_path_factory.mktemp("shown"), mode="align_corners")
    with segdiff.open(*pair, image(SHAPE)) as opened:
        yield opened


def page_of(shown: Any) -> Checker:
    checker = Checker()
    checker.feed(shown._repr_html_())
    checker.close()
    assert not checker.open
    return checker


def test_a_case_says_where_to_begin(case: OpenCase) -> None:
    for text in (repr(case), page_of(case).text):
        assert "8 pairs, 1 err on equal inputs" in text
        assert "The first pair that differs visibly is 'large'" in text
        assert "an array, float32 1 x 3 x 32 x 48" in text


def test_tensors_have_their_numbers_and_in_a_notebook_a_picture(case: OpenCase) -> None:
    tensors = case.tensors("large")
    for text in (repr(tensors), page_of(tensors).text):
        assert "1 x 6 x 64 x 96" in text
        assert f"{tensors.reference.max():.4g}" in text
    page = page_of(tensors)
    assert {"img", "figure"} <= page.tags
    assert "channels 0, 1, 2, 3, 4, 5 of 6" in page.text
    assert "black is" not in repr(tensors)
    assert len(tensors._repr_html_()) < 250_000


def test_an_attempt_says_what_went_away(case: OpenCase) -> None:
    found = case.attempt({"large": {"coordinate_transformation_mode": "half_pixel"}})
    for text in (repr(found), page_of(found).text):
        assert "every segment that it touches agrees" in text
        assert "coordinate_transformation_mode align_corners → half_pixel" in " ".join(text.split())
        assert "no pixel" in text


def test_every_other_answer_shows_itself(case: OpenCase) -> None:
    assert "errs on the reference's inputs" in repr(case.compare("large"))
    assert "agrees on the reference's inputs" in page_of(case.compare("mask")).text
    assert "Around large (3)" in repr(case.neighbours("large"))
    assert "No pair fits." in page_of(case.pairs.filter(operator="none")).text
    assert "Values (1)" in repr(case.run("large"))


def test_what_is_not_finite_is_counted_and_odd_arrays_are_shown() -> None:
    odd = Arrays(
        {
            "a": np.array([[np.nan, 1.0], [np.inf, 2.0]], np.float32),
            "b": np.array(3, np.int64),
            "c": np.zeros((0, 4), np.float32),
            "d": np.full((2, 2), np.nan, np.float32),
            "e": np.array([True, False]),
            "f": np.array(["x"], object),
            "g": np.zeros((1, 2, 3, 4, 5), np.float32),
        }
    )
    text = repr(odd)
    assert "2 (50%)" in text
    assert "4 (100%)" in text
    assert page_of(odd).text


def test_what_cannot_be_fetched_is_said_where_it_is_shown() -> None:
    def fail(*_: object) -> Any:
        raise EngineError("the engine is gone")

    tensors = Tensors(reports.pair(3), fail, fail)
    assert "Not fetched: the engine is gone" in repr(tensors)
    assert "Not fetched: the engine is gone" in page_of(tensors).text


def test_hostile_names_are_text() -> None:
    pair = reports.hostile().pairs[0]
    row = Row(pair, None, (pair.reference, pair.candidate), (), frozenset())  # type: ignore[arg-type]
    for shown in (Pairs([row]), Arrays({reports.HOSTILE: np.zeros((1, 3, 4, 4), np.float32)})):
        html = shown._repr_html_()
        assert "<script" not in html
        assert not set("\x1b\x07\u202e\ud800") & set(html + repr(shown))
        page_of(shown)
