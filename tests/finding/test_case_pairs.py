"""The pairs of an open case: by every name, filtered, and what is said where there is no such name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import segdiff
from segdiff.core.errors import InputError
from segdiff.finding.case import OpenCase
from segdiff.finding.case_pairs import Pairs
from tests.finding.cases import SHAPE, files
from tests.models import image


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenCase]:
    pair = files(tmp_path_factory.mktemp("pairs"), mode="align_corners")
    with segdiff.open(*pair, image(SHAPE)) as opened:
        yield opened


def test_a_pair_by_either_sides_value_by_its_node_and_by_its_place(case: OpenCase) -> None:
    large = case["large"]
    assert case.pairs["Resize:large"] == large
    assert case[large] == large
    assert case[case.pairs.index(large)] == large
    assert case[-1].candidate == "mask"
    assert [pair.candidate for pair in case.pairs[:2]] == [pair.candidate for pair in list(case.pairs)[:2]]


def test_filtered(case: OpenCase) -> None:
    assert [p.candidate for p in case.pairs.filter(operator="resize")] == ["large"]
    assert [p.candidate for p in case.pairs.filter(state="origin")] == ["large"]
    assert [p.candidate for p in case.pairs.filter(name="*ar*")] == ["large"]
    assert [p.candidate for p in case.pairs.filter(isolated=1e-3)] == ["large"]
    behind = case.pairs.filter(cumulative=1e-3)
    assert behind[0].candidate == "large"
    assert len(behind) == 3
    assert isinstance(behind.filter(operator="softmax"), Pairs)
    assert len(case.pairs.filter(operator="resize", state="clean")) == 0


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("larg", "did you mean 'large'"),
        ("Resize:larg", "did you mean 'Resize:large'"),
        ("zzzzzz", "'zzzzzz'$"),
    ],
)
def test_a_name_that_nothing_has(case: OpenCase, name: str, near: str) -> None:
    with pytest.raises(InputError, match=near):
        case[name]


def test_a_place_beyond_the_end(case: OpenCase) -> None:
    with pytest.raises(IndexError):
        case.pairs[len(case.pairs)]
