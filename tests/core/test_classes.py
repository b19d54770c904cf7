"""The argmax that goes plane by plane is numpy's own."""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.core.classes import MOST, largest_class
from segdiff.core.graph import Array


def logits(classes: int) -> Array:
    return np.random.default_rng(classes).standard_normal((2, classes, 9, 7)).astype(np.float32)


def with_odd_values(found: Array) -> Array:
    """NaN before and behind the largest, infinities of both signs, and zeros of both."""
    found[0, 0, 0, 0], found[0, -1, 0, 1] = np.nan, np.nan
    found[0, :, 0, 2], found[0, -1, 0, 3] = -np.inf, np.inf
    found[1, :, 0, 0] = 0.0
    found[1, 0, 0, 0] = -0.0
    return found


@pytest.mark.parametrize("classes", [1, 2, 19, MOST, MOST + 1])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int32"])
def test_it_is_what_numpy_gives(classes: int, dtype: str) -> None:
    found = logits(classes).astype(dtype)
    np.testing.assert_array_equal(largest_class(found, 1), found.argmax(axis=1))
    np.testing.assert_array_equal(largest_class(found[1], 0), found[1].argmax(axis=0))


@pytest.mark.parametrize("classes", [2, 19])
def test_the_first_of_equals_counts(classes: int) -> None:
    found = np.round(logits(classes))
    np.testing.assert_array_equal(largest_class(found, 1), found.argmax(axis=1))


def test_what_is_not_a_number_is_the_largest() -> None:
    found = with_odd_values(logits(5))
    np.testing.assert_array_equal(largest_class(found, 1), found.argmax(axis=1))
    assert largest_class(found, 1)[0, 0, 1] == 4
