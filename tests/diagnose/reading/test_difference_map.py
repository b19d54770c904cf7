"""Where in the tensor does a difference sit?"""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.core.graph import Array
from segdiff.diagnose.reading.difference_map import statistics, where

SHAPE = (1, 16, 12, 18)


def changed(*place: slice | int) -> tuple[Array, Array]:
    """A tensor, and one that differs at a place."""
    ours = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    theirs = ours.copy()
    theirs[place] += np.random.default_rng(1).uniform(0.5, 1.0, theirs[place].shape).astype(np.float32)
    return ours, theirs


EVERYWHERE = slice(None)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((EVERYWHERE, 3), "in channel 3 of 16"),
        ((EVERYWHERE, slice(2, 4)), "in channels 2, 3 of 16"),
        ((EVERYWHERE, EVERYWHERE, slice(1, None, 2)), "in every 2nd row"),
        ((EVERYWHERE, EVERYWHERE, EVERYWHERE, slice(0, None, 3)), "in every 3rd column"),
        ((EVERYWHERE, EVERYWHERE, 7), "in row 7 of 12"),
        ((EVERYWHERE,), "spread over the tensor (100% of its elements take part)"),
    ],
)
def test_a_place(place: tuple[slice | int, ...], words: str) -> None:
    assert where(*changed(*place)) == words


def test_the_border() -> None:
    ours, theirs = changed()
    theirs[..., 1:-1, 1:-1] = ours[..., 1:-1, 1:-1]
    assert "in the outermost rows and columns" in where(ours, theirs)


def test_what_cannot_be_compared() -> None:
    ours, _ = changed()
    assert where(ours, ours[:, :8]) == "one of shape: [1, 8, 12, 18] where the reference has [1, 16, 12, 18]"
    broken = ours.copy()
    broken[0, 0, 0, 0] = np.nan
    assert where(ours, broken) == "in values that are not finite"
    assert where(ours[:0], ours[:0]) == "in an empty tensor"


def test_integers_do_not_wrap() -> None:
    """An unsigned difference below zero is not a large one."""
    ours, theirs = np.zeros(64, np.uint8), np.zeros(64, np.uint8)
    ours[5] = 1
    assert where(ours, theirs) == "in place of axis 0 5 of 64"


def test_statistics() -> None:
    numbers = np.array([1.0, 2.0, 3.0, np.nan, np.inf], np.float32)
    assert statistics(numbers) == (
        "values from 1 to 3, mean 2, standard deviation 0.8165, and 2 that are not finite"
    )
    assert statistics(np.array([True, False])) == "values from 0 to 1, mean 0.5, standard deviation 0.5"
    assert statistics(np.empty(0)) == "no number"
