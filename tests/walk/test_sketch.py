"""A sketch never parts what is one tensor, and parts nearly all that is not."""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.core.precision import EPSILON
from segdiff.walk.sketch import could_be, sketch_of
from tests.models import image

UNIT16 = 2.0**-11


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5, 11), (1, 8, 64, 64)])
def test_a_tensor_in_another_shape_and_with_its_rounding_is_the_same(shape: tuple[int, ...]) -> None:
    one = image(shape)
    other = (one.astype(np.float64) * (1 + 4e-6)).astype(np.float32).reshape(-1)
    assert could_be([sketch_of(one)], [sketch_of(other)], EPSILON).all()
    assert could_be([sketch_of(one)], [sketch_of(one.astype(np.float16))], UNIT16).all()


def test_what_is_not_finite_is_compared_as_it_is() -> None:
    one = np.array([np.nan, np.inf, -np.inf, 1.0], np.float32)
    other = np.array([np.nan, np.inf, np.inf, 1.0], np.float32)
    found = could_be([sketch_of(one)], [sketch_of(one), sketch_of(other)], EPSILON)
    assert found.tolist() == [[True, False]]


def test_of_many_tensors_each_is_only_itself() -> None:
    arrays = [image((4, 9), seed) for seed in range(30)] + [image((5, 8), seed) for seed in range(5)]
    sketches = [sketch_of(array) for array in arrays]
    assert np.array_equal(could_be(sketches, sketches, EPSILON), np.eye(35, dtype=bool))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_integers_are_told_apart_too(dtype: type) -> None:
    one = (image((4, 9)) > 0).astype(dtype)
    sketches = [sketch_of(one), sketch_of(np.zeros_like(one)), sketch_of(np.zeros((0, 3)))]
    assert np.array_equal(could_be(sketches, sketches, EPSILON), np.eye(3, dtype=bool))
