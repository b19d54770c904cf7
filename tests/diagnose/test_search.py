"""Which of several changes is the cause? Trials are made up: an error is a sum of what is not mended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from segdiff.core.edit import Edit
from segdiff.core.metrics import compare_arrays
from segdiff.diagnose.hypothesis import Hypothesis
from segdiff.diagnose.search import MOST_TRIALS, search
from segdiff.diagnose.search import Tested as Found
from segdiff.walk.trial import Trial


def change(name: str, *, expected: bool = False, size: int = 1, node: str = "y") -> Hypothesis:
    edit = Edit(node, attributes={f"{name}.{number}": 1 for number in range(size)})
    return Hypothesis(name, f"{name} is wrong", (edit,), expected)


class Segment:
    """A segment with wounds of some size, each healed by one change; counts its trials."""

    def __init__(self, **wounds: float) -> None:
        self.wounds, self.trials = wounds, 0

    def __call__(self, edits: tuple[Edit, ...] = ()) -> Trial:
        self.trials += 1
        made = {name.split(".")[0] for edit in edits for name in edit.attributes}
        error = sum(size for name, size in self.wounds.items() if name not in made)
        found = compare_arrays(np.ones(4, np.float32), np.full(4, 1 + error, np.float32))
        return Trial(error == 0, {"y": found})

    def search(self, *found: Hypothesis, seconds: float = 60.0) -> Found | None:
        return search(found, self, self(), seconds)


def test_what_makes_the_error_vanish() -> None:
    found = Segment(axis=0.5).search(change("mode"), change("axis"), change("alpha"))
    assert found is not None and found.trial.agrees and found.hypothesis.kind == "axis"


def test_the_smallest_of_several_repairs() -> None:
    found = Segment(axis=0.5).search(change("axis", size=3), change("axis", size=1), change("axis", size=2))
    assert found is not None and found.hypothesis.size == 1


def test_what_the_reference_asks_for_comes_before_the_suspects() -> None:
    """Even if a suspect is the smaller change."""
    found = Segment(axis=0.5).search(change("axis"), change("axis", expected=True, size=3))
    assert found is not None and found.hypothesis.expected


def test_two_that_are_needed_together() -> None:
    segment = Segment(axis=0.5, alpha=0.2)
    found = segment.search(change("mode"), change("axis"), change("alpha"))
    assert found is not None and found.trial.agrees
    assert {"axis.0", "alpha.0"} == set(found.hypothesis.edits[0].attributes)


def test_nothing_fits() -> None:
    assert Segment(axis=0.5).search(change("mode"), change("alpha")) is None
    assert Segment(axis=0.5).search() is None


@pytest.mark.parametrize(("left", "told"), [(0.2, True), (0.8, False)])
def test_a_guess_is_told_when_it_halves_the_error(left: float, told: bool) -> None:
    found = Segment(axis=1.0 - left, other=left).search(change("axis"))
    assert (found is not None) == told
    assert found is None or not found.trial.agrees


def test_what_the_reference_asks_for_is_no_better_a_guess() -> None:
    assert Segment(axis=0.1, other=0.9).search(change("axis", expected=True)) is None


@pytest.mark.parametrize(("left", "told"), [([1, 1, 1], False), ([1.7] * 4, False), ([1.2] * 4, True)])
def test_where_the_shapes_differed_a_guess_leaves_less_than_half(left: list[float], told: bool) -> None:
    def trial(values: list[float]) -> Trial:
        return Trial(False, {"y": compare_arrays(np.ones(4, np.float32), np.array(values, np.float32))})

    found = search([change("axis", expected=True)], lambda edits: trial(left), trial([1, 1]), 60.0)
    assert (found is not None) == told


@pytest.mark.parametrize(("second", "proven"), [(0.0, True), (0.5, False), (None, False)])
def test_a_suspect_must_hold_on_another_input(second: float | None, proven: bool) -> None:
    segment = Segment(axis=0.5)

    def again(edits: tuple[Edit, ...]) -> Trial | None:
        return None if second is None else Segment(other=second)(edits)

    found = search([change("axis")], segment, segment(), 60.0, again)
    assert bool(found and found.trial.agrees) == proven
    asked = search([change("axis", expected=True)], segment, segment(), 60.0, again)
    assert asked is not None and asked.trial.agrees


def test_no_guess_from_a_run_that_failed() -> None:
    def fails(edits: tuple[Edit, ...]) -> Trial:
        return Trial(False, {}, "the engine died")

    attempt: Callable[[tuple[Edit, ...]], Trial] = fails
    assert search([change("axis", expected=True)], attempt, Segment(axis=1.0)(), 60.0) is None


def test_it_ends() -> None:
    segment = Segment(axis=0.5)
    segment.search(*(change(f"c{number}") for number in range(10 * MOST_TRIALS)))
    assert segment.trials <= MOST_TRIALS + 1
    segment = Segment(axis=0.5)
    assert segment.search(change("axis"), seconds=-1.0) is None and segment.trials == 1
