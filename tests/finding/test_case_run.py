"""Some of the candidate's nodes, on arrays of one's own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import segdiff
from segdiff.core.errors import InputError
from segdiff.finding.case import OpenCase
from tests.finding.cases import SHAPE, files
from tests.models import image


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenCase]:
    pair = files(tmp_path_factory.mktemp("run"), alpha=0.4)
    with segdiff.open(*pair, image(SHAPE)) as opened:
        yield opened


def test_fed_with_an_array(case: OpenCase) -> None:
    array = np.linspace(-1, 1, 6 * 4).reshape(1, 6, 2, 2)
    got = case.run("leaky", dict.fromkeys([case.graphs[1].producer["leaky"].inputs[0]], array))
    assert list(got) == ["leaky"]
    assert np.allclose(got["leaky"], np.where(array > 0, array, 0.4 * array), atol=1e-6)


def test_what_is_not_fed_is_the_candidates_own(case: OpenCase) -> None:
    assert np.array_equal(case.run(["leaky", "shifted"])["shifted"], case.tensors("shifted").candidate)


def test_the_references_tensors_give_the_isolated_one(case: OpenCase) -> None:
    tensors = case.tensors("shifted")
    assert np.array_equal(case.run("shifted", tensors.inputs)["shifted"], tensors.isolated)
    assert not np.array_equal(tensors.isolated, tensors.candidate)


def test_a_pair_stands_for_its_segment_and_any_value_of_it_can_be_had(case: OpenCase) -> None:
    assert list(case.run(case["mask"])) == ["mask"]
    both = case.run(["leaky", "shifted"], wanted=["leaky", "shifted"])
    assert set(both) == {"leaky", "shifted"}


def test_names_that_do_not_exist(case: OpenCase) -> None:
    with pytest.raises(InputError, match="did you mean 'shifted'"):
        case.run("shiftet")
    with pytest.raises(
        InputError, match=r"do not read 'leeky'; did you mean 'leaky'\? \(they read 'leaky'\)"
    ):
        case.run("shifted", {"leeky": np.zeros(1)})
    with pytest.raises(InputError, match="make no 'mask'"):
        case.run("shifted", wanted=["mask"])
    with pytest.raises(InputError, match="there is no node 999"):
        case.run([999])
    with pytest.raises(InputError, match="at least one"):
        case.run([])
