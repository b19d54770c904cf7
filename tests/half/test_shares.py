"""Are the few that carry the loss found in a few runs?"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pytest

from segdiff.half.bench import Look
from segdiff.half.cost import Difference
from segdiff.half.shares import RUNS, by_halves, held_badly, noise
from segdiff.half.targets import How


def look(values: object = 1.0, reach: float = 4.0) -> Look:
    """A group whose values are like all others, unless they are given."""
    sample = np.random.default_rng(0).standard_normal(4096).astype(np.float32) * np.float32(values)
    return Look(reach, -reach, 4096, sample)


class Model:
    """Errors that add in quadrature, one a group."""

    def __init__(self, errors: Mapping[int, float], count: int) -> None:
        self.errors = [errors.get(place, 1e-4) for place in range(count)]
        self.tried: list[tuple[int, ...]] = []

    def __call__(self, places: Collection[int]) -> dict[str, Difference]:
        self.tried.append(tuple(places))
        return {"y": Difference(sum(self.errors[place] ** 2 for place in places), 1.0, 0.0)}

    @property
    def whole(self) -> float:
        return sum(each**2 for each in self.errors)


def quiet(done: int, total: int) -> None:
    """Nobody is told."""


def test_an_overflow_is_rounded_alone_at_once() -> None:
    model = Model({37: 0.5}, 100)
    looks = [look(reach=1e5 if place == 37 else 4.0) for place in range(100)]
    parts = by_halves(model, looks, model.whole, How(), quiet)
    alone = {part.groups[0]: part.error for part in parts if part.differences is not None}
    assert model.tried[0] == (37,)
    assert alone[37] / sum(part.error for part in parts) > 0.99
    assert len(model.tried) == 2  # itself, and the rest, in which nothing is left to be found


def test_what_is_known_beforehand_is_rounded_alone() -> None:
    model = Model({5: 0.5}, 64)
    by_halves(model, [look()] * 64, model.whole, How(), quiet, suspected=[5])
    assert model.tried[0] == (5,)


@pytest.mark.parametrize("place", [0, 11, 31])
def test_a_hidden_one_is_found_by_halves(place: int) -> None:
    model = Model({place: 0.5}, 32)
    parts = by_halves(model, [look()] * 32, model.whole, How(), quiet, runs=12)
    found = next(part for part in parts if part.groups == (place,))
    assert found.error / sum(part.error for part in parts) > 0.9


def test_no_more_runs_than_allowed_and_every_group_in_one_part() -> None:
    model = Model({}, 100)
    parts = by_halves(model, [look()] * 100, model.whole, How(), quiet)
    assert len(model.tried) <= RUNS
    assert sorted(place for part in parts for place in part.groups) == list(range(100))
    assert sum(part.error for part in parts) == pytest.approx(model.whole)


def test_values_that_are_held_badly() -> None:
    assert noise(look(), How()) < 2.0**-22
    assert noise(look(1e-8), How()) > 0.1
    assert noise(look(reach=1e5), How()) == 1.0
    assert held_badly([look(), look(1e-8), look(reach=1e5)], How()) == [2, 1]
