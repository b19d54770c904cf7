"""The errors between two arrays, against plain arithmetic on whole arrays."""

from __future__ import annotations

import json
import math
import tracemalloc
from dataclasses import asdict, astuple
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segdiff.core.metrics import CHUNK, EQUAL, INCOMPARABLE, Metrics, compare_arrays

Array = NDArray[Any]

NAMES = ("cosine", "max_abs", "mean_abs", "rel_l2", "max_rel")


def noise(*shape: int, seed: int = 0, dtype: str = "float32") -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def plain(reference: Array, candidate: Array) -> dict[str, float]:
    """The definitions, word for word, on whole float64 arrays."""
    r, c = reference.astype(np.float64).reshape(-1), candidate.astype(np.float64).reshape(-1)
    d = np.abs(c - r)
    return {
        "cosine": float(r @ c / (np.linalg.norm(r) * np.linalg.norm(c))),
        "max_abs": float(d.max()),
        "mean_abs": float(d.mean()),
        "rel_l2": float(np.linalg.norm(d) / np.linalg.norm(r)),
        "max_rel": float(d.max() / np.abs(r).max()),
    }


# --- definitions


@pytest.mark.parametrize("dtype, exact", [("float32", 1e-5), ("float64", 1e-9)])
@pytest.mark.parametrize("error", [1e-6, 0.1, 10.0])
@pytest.mark.parametrize(
    "size", [1, 2, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 3 * CHUNK - 1]
)
def test_every_metric_is_what_it_is_defined_as(size: int, error: float, dtype: str, exact: float) -> None:
    reference, change = noise(size, dtype=dtype), noise(size, seed=1, dtype=dtype)
    candidate = reference + reference.dtype.type(error) * change
    found = compare_arrays(reference, candidate)
    assert asdict(found.metrics) == pytest.approx(plain(reference, candidate), rel=exact)
    assert found.scale == np.abs(reference).max()
    rms = math.sqrt(np.mean(reference.astype(np.float64) ** 2))
    assert found.rms == pytest.approx(rms, rel=exact)
    assert (found.size, found.discrete, found.mismatch) == (size, False, None)


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-20, 1e-12, 1e12, 1e18, 1e30])
@pytest.mark.parametrize("error", [1e-5, 0.1])
def test_numbers_whose_squares_float32_does_not_hold_are_measured_all_the_same(
    scale: float, error: float
) -> None:
    reference = noise(CHUNK + 9) * np.float32(scale)
    candidate = reference * np.float32(1 + error)
    found, expected = compare_arrays(reference, candidate).metrics, plain(reference, candidate)
    assert asdict(found) == pytest.approx(expected, rel=1e-4)


def test_a_cosine_tells_small_angles() -> None:
    reference, change = noise(3 * CHUNK), noise(3 * CHUNK, seed=1)
    candidate = reference + np.float32(1e-3) * change
    expected = plain(reference, candidate)["cosine"]
    assert 1 - compare_arrays(reference, candidate).metrics.cosine == pytest.approx(1 - expected, rel=1e-3)


def test_a_tensor_of_zeros_has_no_angle() -> None:
    reference = noise(1000)
    assert compare_arrays(reference, np.zeros_like(reference)).metrics.cosine == 0.0
    assert compare_arrays(np.zeros_like(reference), reference).metrics.cosine == 0.0


@pytest.mark.parametrize("place", [0, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 6])
def test_one_wrong_element_is_seen_wherever_it_lies(place: int) -> None:
    reference = np.ones(2 * CHUNK + 7, np.float32)
    candidate = reference.copy()
    candidate[place] = 3
    metrics = compare_arrays(reference, candidate).metrics
    assert metrics.max_abs == 2.0
    assert metrics.max_rel == 2.0
    assert metrics.mean_abs == pytest.approx(2 / reference.size, rel=1e-6)
    assert metrics.rel_l2 == pytest.approx(2 / math.sqrt(reference.size), rel=1e-6)


@pytest.mark.parametrize("place", [0, CHUNK - 1, CHUNK, 2 * CHUNK + 6])
def test_the_scale_is_the_largest_element_of_either_sign_wherever_it_lies(place: int) -> None:
    reference = np.ones(2 * CHUNK + 7, np.float32)
    reference[place] = -8
    assert compare_arrays(reference, reference + 1).scale == 8.0


def test_the_errors_are_not_symmetric_but_stand_on_the_reference() -> None:
    one, two = np.full(4, 1.0, np.float32), np.full(4, 2.0, np.float32)
    assert compare_arrays(one, two).metrics.rel_l2 == 1.0
    assert compare_arrays(two, one).metrics.rel_l2 == 0.5


def test_a_difference_of_the_last_bit_is_neither_lost_nor_blown_up() -> None:
    reference = noise(1000)
    candidate = np.nextafter(reference, np.float32(np.inf))
    metrics = compare_arrays(reference, candidate).metrics
    assert 0 < metrics.rel_l2 < 2.0**-23
    assert metrics.cosine == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("factor", [-1.0, 0.5, 3.0])
def test_the_cosine_does_not_see_a_scale_and_stays_in_its_bounds(factor: float) -> None:
    reference = noise(10_000)
    cosine = compare_arrays(reference, np.float32(factor) * reference).metrics.cosine
    assert cosine == pytest.approx(math.copysign(1.0, factor), abs=1e-12)
    assert -1.0 <= cosine <= 1.0


def test_large_values_do_not_overflow_where_float32_would() -> None:
    reference = np.full(8, 1e30, np.float32)
    metrics = compare_arrays(reference, reference * np.float32(1.5)).metrics
    assert metrics.rel_l2 == pytest.approx(0.5, rel=1e-6)


# --- equal


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int8", "uint8", "bool"])
@pytest.mark.parametrize("size", [1, 7, CHUNK + 3])
def test_identical_tensors_have_no_error(dtype: str, size: int) -> None:
    array = (noise(size) * 3).astype(dtype)
    found = compare_arrays(array, array.copy())
    assert found.metrics == EQUAL
    assert (found.mismatch, found.changed) == (None, 0.0)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_two_zero_tensors_are_equal(dtype: str) -> None:
    assert compare_arrays(np.zeros(5, dtype), np.zeros(5, dtype)).metrics == EQUAL


def test_equal_numbers_of_another_type_are_equal() -> None:
    assert compare_arrays(np.arange(9, dtype=np.int32), np.arange(9, dtype=np.int64)).metrics == EQUAL
    assert compare_arrays(noise(9), noise(9).astype(np.float64)).metrics == EQUAL


def test_a_zero_of_either_sign_is_zero() -> None:
    assert compare_arrays(np.zeros(3, np.float32), -np.zeros(3, np.float32)).metrics == EQUAL


# --- zero reference


def test_against_a_zero_reference_the_candidate_is_the_measure() -> None:
    candidate = np.array([0, 3, -4], np.float32)
    metrics = compare_arrays(np.zeros(3, np.float32), candidate).metrics
    assert metrics == Metrics(cosine=0.0, max_abs=4.0, mean_abs=7 / 3, rel_l2=1.0, max_rel=4.0)


def test_a_candidate_that_is_all_zero() -> None:
    metrics = compare_arrays(np.array([0, 3, -4], np.float32), np.zeros(3, np.float32)).metrics
    assert (metrics.cosine, metrics.rel_l2, metrics.max_rel) == (0.0, 1.0, 1.0)


# --- not finite


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, CHUNK, CHUNK + 4])
def test_the_same_nonfinite_value_on_both_sides_is_equal(value: float, place: int) -> None:
    array = noise(CHUNK + 5)
    array[place] = value
    found = compare_arrays(array, array.copy())
    assert found.metrics == EQUAL
    assert found.mismatch is None


def test_the_rest_is_measured_around_values_that_are_nan_on_both_sides() -> None:
    reference, candidate = np.array([math.nan, 1, 2], np.float32), np.array([math.nan, 1, 4], np.float32)
    found = compare_arrays(reference, candidate)
    assert found.mismatch is None
    assert found.metrics.max_abs == 2.0
    assert found.metrics.rel_l2 == pytest.approx(2 / math.sqrt(5))
    assert found.scale == 2.0


@pytest.mark.parametrize(
    "pair", [(math.nan, 1.0), (math.inf, 1.0), (math.inf, -math.inf), (math.nan, math.inf)]
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_value_that_is_not_finite_on_one_side_only_is_a_mismatch(
    pair: tuple[float, float], turned: bool
) -> None:
    reference, candidate = noise(CHUNK + 5), noise(CHUNK + 5)
    reference[CHUNK + 1], candidate[CHUNK + 1] = pair[::-1] if turned else pair
    found = compare_arrays(reference, candidate)
    assert found.metrics == INCOMPARABLE
    assert found.mismatch == f"1 of {CHUNK + 5} elements are NaN or infinite on one side only"


def test_the_inputs_are_left_as_they_are() -> None:
    reference, candidate = np.array([math.nan, 1, 2], np.float32), np.array([1, math.inf, 2], np.float32)
    before = reference.copy(), candidate.copy()
    compare_arrays(reference, candidate)
    np.testing.assert_array_equal(reference, before[0])
    np.testing.assert_array_equal(candidate, before[1])


# --- shapes


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [((), (1,)), ((1,), (1, 1, 1)), ((3, 1, 4), (3, 4)), ((2, 3), (1, 2, 1, 3, 1)), ((0, 3), (0, 3))],
)
def test_axes_of_length_one_do_not_count(ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    values = noise(int(np.prod(ours)))
    found = compare_arrays(values.reshape(ours), values.reshape(theirs))
    assert found.metrics == EQUAL
    assert found.mismatch is None


def test_errors_are_measured_across_axes_of_length_one() -> None:
    assert compare_arrays(np.float32(2).reshape(()), np.array([3], np.float32)).metrics.max_abs == 1.0


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ((2, 3), (3, 2), "shape [2, 3] against [3, 2]"),
        ((1, 2, 3, 1), (1, 2, 1, 3), "shape [1, 2, 3, 1] against [1, 2, 1, 3]"),
        ((1, 3), (3, 1), "shape [1, 3] against [3, 1]"),
        ((1, 2, 3), (2, 1, 3, 1), "shape [1, 2, 3] against [2, 1, 3, 1]"),
        ((6,), (2, 3), "shape [6] against [2, 3]"),
        ((4,), (5,), "shape [4] against [5]"),
        ((), (2,), "shape [] against [2]"),
        ((0,), (3,), "shape [0] against [3]"),
    ],
)
def test_any_other_difference_of_shape_is_a_mismatch(
    ours: tuple[int, ...], theirs: tuple[int, ...], words: str
) -> None:
    found = compare_arrays(np.zeros(ours, np.float32), np.zeros(theirs, np.float32))
    assert (found.metrics, found.mismatch) == (INCOMPARABLE, words)


def test_two_empty_tensors_are_equal() -> None:
    found = compare_arrays(np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32))
    assert (found.metrics, found.size, found.mismatch) == (EQUAL, 0, None)


def test_arrays_need_not_be_contiguous() -> None:
    reference, candidate = noise(40, 50), noise(40, 50, seed=1)
    found = compare_arrays(reference.T, candidate.T)
    expected = compare_arrays(reference.T.copy(), candidate.T.copy())
    assert astuple(found.metrics) == pytest.approx(astuple(expected.metrics))


# --- integers and booleans


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "int8"])
def test_integers_are_discrete_and_the_changed_ones_are_counted(dtype: str) -> None:
    reference = np.ones(CHUNK + 100, dtype)
    candidate = reference.copy()
    candidate[:50] = 3
    found = compare_arrays(reference, candidate)
    assert found.discrete
    assert found.changed == pytest.approx(50 / reference.size)
    assert found.metrics.max_abs == 2.0


def test_booleans_are_discrete_and_unsigned_numbers_do_not_wrap() -> None:
    found = compare_arrays(np.array([True, False, True, True]), np.array([True, True, True, True]))
    assert (found.discrete, found.changed, found.metrics.max_abs) == (True, 0.25, 1.0)
    assert compare_arrays(np.array([3], np.uint8), np.array([5], np.uint8)).metrics.max_abs == 2.0


def test_integers_against_floats_are_compared_as_numbers() -> None:
    found = compare_arrays(np.array([1, 2], np.int64), np.array([1.0, 2.5], np.float32))
    assert (found.discrete, found.metrics.max_abs) == (False, 0.5)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_are_not_discrete(dtype: str) -> None:
    found = compare_arrays(noise(9, dtype=dtype), noise(9, seed=1, dtype=dtype))
    assert not found.discrete
    assert asdict(found.metrics) == pytest.approx(plain(noise(9, dtype=dtype), noise(9, seed=1, dtype=dtype)))


# --- as data


def test_to_dict_is_json_even_where_errors_are_infinite() -> None:
    assert tuple(EQUAL.to_dict()) == NAMES
    assert json.dumps(INCOMPARABLE.to_dict(), allow_nan=False)
    assert INCOMPARABLE.to_dict() == {"cosine": 0.0} | dict.fromkeys(NAMES[1:])
    assert EQUAL.to_dict() == {"cosine": 1.0} | dict.fromkeys(NAMES[1:], 0.0)


def test_memory_does_not_follow_the_tensor() -> None:
    reference, candidate = np.ones(1 << 22, np.float32), np.full(1 << 22, 2, np.float32)
    tracemalloc.start()
    compare_arrays(reference, candidate)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < reference.nbytes / 4
