"""The order of the walk, and what counts as a changed mask."""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.align import Segment
from segdiff.walk.masks import mask_changed
from segdiff.walk.waiting import Waiting


def segment(outputs: list[str], inputs: list[str]) -> Segment:
    return Segment(
        outputs=tuple((name, name.upper()) for name in outputs),
        inputs=tuple((name, name.upper()) for name in inputs),
        nodes=(0,),
        ops=(0,),
        reference_ops=(0,),
        same_ends=True,
    )


CHAIN = (
    segment(["a"], ["x"]),
    segment(["b", "c"], ["a"]),
    segment(["d"], ["b", "x"]),
    segment(["e"], ["d", "c"]),
)


def order(waiting: Waiting, arrivals: list[str]) -> list[int]:
    """The segments in the order in which they run."""
    ran = []
    for name in arrivals:
        queue = waiting.ready(name)
        while queue:
            number = queue.pop(0)
            ran.append(number)
            queue += waiting.ready(number)
    return ran


def test_a_segment_runs_when_its_values_are_there() -> None:
    waiting = Waiting(CHAIN)
    assert waiting.ready("x") == []
    assert waiting.ready("a") == [0]
    assert waiting.ready("b") == []
    assert waiting.ready(0) == []  # one of its two outputs is still missing
    assert waiting.ready("c") == [1]


@pytest.mark.parametrize("seed", range(20))
def test_in_whatever_order_values_arrive_all_run_and_none_before_what_it_needs(seed: int) -> None:
    names = np.random.default_rng(seed).permutation(["x", "a", "b", "c", "d", "e"])
    assert order(Waiting(CHAIN), [str(name) for name in names]) == [0, 1, 2, 3]


def test_a_value_that_never_comes_stops_only_what_needs_it() -> None:
    assert order(Waiting(CHAIN), ["x", "a", "b", "d", "e"]) == [0]
    assert order(Waiting(CHAIN), ["x", "a", "b", "c", "e"]) == [0, 1]


def test_an_input_without_partner_is_not_waited_for() -> None:
    odd = Segment((("a", "A"),), (("", "MORE"), ("x", "X")), (0,), (0,), (0,), True)
    assert order(Waiting((odd,)), ["x", "a"]) == [0]


# --- masks


def scores(*classes: int) -> np.ndarray:
    """One row of pixels with a clear winner each."""
    found = np.zeros((1, 3, 1, len(classes)), np.float32)
    found[0, list(classes), 0, range(len(classes))] = 1.0
    return found


def test_the_class_is_the_argmax_over_the_channels() -> None:
    assert mask_changed(scores(0, 1, 2, 2), scores(0, 1, 2, 1)) == 0.25
    assert mask_changed(scores(0, 1), scores(0, 1) * 0.5) == 0.0


def test_integers_are_classes_already() -> None:
    ours = np.array([[[1, 2], [3, 4]]])
    assert mask_changed(ours, np.array([[[1, 2], [3, 5]]])) == 0.25


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (np.zeros((1, 10), np.float32), np.zeros((1, 10), np.float32)),  # a classifier
        (np.zeros((1, 1, 4, 4), np.float32), np.zeros((1, 1, 4, 4), np.float32)),  # one channel
        (np.zeros((1, 2, 4, 4), np.float32), np.zeros((1, 2, 4, 5), np.float32)),
        (np.zeros((0, 2, 4, 4), np.float32), np.zeros((0, 2, 4, 4), np.float32)),
        (np.zeros((3,), np.int64), np.zeros((3,), np.int64)),
    ],
)
def test_what_is_no_map_of_classes(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert mask_changed(ours, theirs) is None
