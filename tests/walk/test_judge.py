"""A fault or rounding? The judgement on one isolated error, and the disturbance that measures rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.precision import EPSILON, PATTERN, disturbed
from segdiff.core.thresholds import CROSSING, Thresholds
from segdiff.walk.judge import NOISE_FACTOR, TIE_FACTOR, Judgement, judge

Array = NDArray[Any]
Disturb = Callable[[], Comparison | None]


def off_by(relative: float, scale: float = 1.0) -> Comparison:
    """The comparison of a tensor with one that errs by so much everywhere."""
    reference = np.random.default_rng(0).uniform(0.5, 1.0, 10_000) * scale
    return compare_arrays(reference, reference * (1 + relative))


def must_not_run() -> Comparison | None:
    raise AssertionError("the segment was disturbed without need")


def judged(
    comparison: Comparison,
    disturb: Disturb = must_not_run,
    thresholds: Thresholds | None = None,
    bounded: bool = False,
    roundings: float = 0.0,
) -> Judgement:
    return judge(comparison, thresholds or Thresholds(), disturb, bounded=bounded, roundings=roundings)


# --- no acquittal by a large rounding


def coarse(error: float, unmoved: float) -> Judgement:
    """An error beside a rounding of 5.6%, so much of it where nothing moves."""
    noise = off_by(0.056)
    return judge(off_by(error), Thresholds(), lambda: noise, bounded=False, unmoved=lambda: unmoved)


def test_a_coarse_rounding_excuses_what_is_not_much_more() -> None:
    assert coarse(0.08, 1.0).kind == "rounding"
    assert coarse(0.2, 1.0).kind == "rounding"


def test_a_large_error_where_nothing_moves_is_a_fault() -> None:
    assert coarse(0.7, 0.9).fault


def test_a_large_error_where_everything_jumps_cannot_be_told() -> None:
    found = coarse(0.7, 0.1)
    assert (found.kind, found.fault) == ("unsure", False)
    assert found.detail is not None and "0.7" in found.detail


# --- without thresholds


@pytest.mark.parametrize("units", [0.0, 1.0, NOISE_FACTOR * 0.9])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_a_few_roundings_are_none_at_any_scale(units: float, scale: float) -> None:
    assert not judged(off_by(units * EPSILON, scale)).fault


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_more_than_a_few_roundings_are_compared_with_the_segments_own(scale: float) -> None:
    error, noise = off_by(1e-4, scale), off_by(1e-5, scale)
    assert judged(error, lambda: noise) == Judgement("rounding", noise)
    assert judged(off_by(1e-3, scale), lambda: noise).fault


def test_the_border_is_the_noise_factor() -> None:
    noise = off_by(1e-5)
    assert not judged(off_by(0.98 * NOISE_FACTOR * 1e-5), lambda: noise).fault
    assert judged(off_by(1.02 * NOISE_FACTOR * 1e-5), lambda: noise).fault


def test_the_reason_counts_in_roundings() -> None:
    noise = off_by(1e-6)
    assert judged(off_by(1e-3), lambda: noise).times == pytest.approx(1e3, rel=0.01)


def test_one_bad_element_among_many_is_a_fault_although_the_norm_is_small() -> None:
    reference = np.ones(1_000_000, np.float32)
    candidate = reference.copy()
    candidate[77] += np.float32(1e-3)
    comparison = compare_arrays(reference, candidate)
    assert comparison.metrics.rel_l2 < NOISE_FACTOR * EPSILON
    assert judged(comparison, lambda: off_by(EPSILON)).fault


def test_a_large_value_does_not_hide_an_error_in_all_the_others() -> None:
    reference = np.ones(1_000_000, np.float32)
    reference[0] = 1e6
    candidate = reference + np.float32(1e-1)
    candidate[0] = 1e6
    comparison = compare_arrays(reference, candidate)
    assert comparison.metrics.max_rel < NOISE_FACTOR * EPSILON
    assert judged(comparison, lambda: off_by(EPSILON)).fault


@pytest.mark.parametrize("noise", [None, compare_arrays(np.zeros(2), np.zeros(3))])
def test_a_segment_that_cannot_be_disturbed_has_no_excuse(noise: Comparison | None) -> None:
    verdict = judged(off_by(1e-3), lambda: noise)
    assert verdict.kind == "differs" and verdict.fault


@pytest.mark.parametrize(
    ("reference", "candidate", "words"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), "shape [2, 3] against [3, 2]"),
        (np.array([1.0, np.nan]), np.array([1.0, 1.0]), "NaN or infinite on one side only"),
    ],
)
@pytest.mark.parametrize("thresholds", [Thresholds(), Thresholds(cosine=-1.0), Thresholds(abs_error=1e9)])
def test_a_mismatch_is_a_fault_whatever_the_thresholds(
    reference: Array, candidate: Array, words: str, thresholds: Thresholds
) -> None:
    verdict = judged(compare_arrays(reference, candidate), thresholds=thresholds)
    assert verdict.fault
    assert words in (verdict.detail or "")


# --- bounded functions and long sums


def test_tiny_values_of_a_bounded_function_may_err_by_some_ulp_of_one() -> None:
    reference = np.full(100, 1e-7, np.float32)
    comparison = compare_arrays(reference, reference + np.float32(5e-8))
    assert not judged(comparison, bounded=True).fault
    assert judged(comparison, lambda: off_by(EPSILON)).fault


def test_a_bounded_function_may_not_err_by_more() -> None:
    reference = np.full(100, 1e-7, np.float32)
    comparison = compare_arrays(reference, reference + np.float32(1e-5))
    assert judged(comparison, lambda: off_by(EPSILON), bounded=True).fault


def test_a_long_sum_may_drift_by_the_roundings_it_is_allowed() -> None:
    error = off_by(100 * EPSILON)
    assert judged(error, lambda: off_by(EPSILON)).fault
    assert not judged(error, roundings=101.0).fault
    assert judged(off_by(300 * EPSILON), lambda: off_by(EPSILON), roundings=101.0).fault


# --- integers


def picks(changed: int, size: int = 1000) -> Comparison:
    reference = np.zeros(size, np.int64)
    candidate = reference.copy()
    candidate[:changed] = 1
    return compare_arrays(reference, candidate)


def test_ties_that_the_disturbance_breaks_too_are_ties() -> None:
    verdict = judged(picks(8), lambda: picks(3))
    assert verdict.kind == "tie" and not verdict.fault


@pytest.mark.parametrize("own", [0, 1])
def test_more_changes_than_the_disturbance_makes_are_a_fault(own: int) -> None:
    verdict = judged(picks(int(TIE_FACTOR * own) + 1), lambda: picks(own))
    assert verdict.kind == "choice" and verdict.fault


# --- thresholds of the user


@pytest.mark.parametrize(
    ("thresholds", "fault"),
    [
        (Thresholds(cosine=0.9), False),
        (Thresholds(cosine=1.0), True),
        (Thresholds(abs_error=0.2), False),
        (Thresholds(abs_error=1e-3), True),
        (Thresholds(rel_l2=0.2), False),
        (Thresholds(rel_l2=1e-3), True),
        (Thresholds(cosine=0.9, abs_error=0.2, rel_l2=0.2), False),
        (Thresholds(cosine=0.9, abs_error=0.2, rel_l2=1e-3), True),  # any of them
        (Thresholds(cosine=0.9, abs_error=1e-3), True),
    ],
)
def test_the_users_thresholds_replace_the_measured_rounding(thresholds: Thresholds, fault: bool) -> None:
    reference = np.random.default_rng(0).standard_normal(1000)
    candidate = reference + np.random.default_rng(1).standard_normal(1000) * 0.02
    verdict = judged(compare_arrays(reference, candidate), thresholds=thresholds)
    assert verdict.fault is fault
    assert verdict.kind == ("crossed" if fault else "within")


def test_a_threshold_below_rounding_is_taken_at_its_word() -> None:
    assert judged(off_by(1e-7), thresholds=Thresholds(rel_l2=1e-9)).fault
    assert judged(off_by(1e-7), thresholds=Thresholds(abs_error=0.0)).fault
    assert not judged(off_by(0.0), thresholds=Thresholds(abs_error=0.0, rel_l2=0.0)).fault


def test_a_value_on_the_threshold_does_not_cross_it() -> None:
    comparison = compare_arrays(np.ones(4), np.full(4, 1.5))
    assert not Thresholds(abs_error=0.5, rel_l2=0.5).crossed(comparison)
    assert Thresholds(abs_error=0.49).crossed(comparison)


def test_what_counts_as_given() -> None:
    assert not Thresholds().given
    assert Thresholds(cosine=0.0).given
    assert Thresholds(abs_error=0.0).given
    assert CROSSING.given


# --- the disturbance


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (PATTERN,), (PATTERN + 1,), (2, PATTERN)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_element_moves_by_the_last_bit(shape: tuple[int, ...], dtype: str) -> None:
    array = np.random.default_rng(0).uniform(0.5, 2.0, shape).astype(dtype)
    moved = disturbed(array, 1)
    assert (moved.dtype, moved.shape) == (array.dtype, array.shape)
    step = np.abs(moved.astype(np.float64) / array.astype(np.float64) - 1)
    assert np.all(step > 0)
    assert np.all(step <= 2.0**-22)


def test_the_disturbance_is_random_but_repeats() -> None:
    array = np.ones(PATTERN * 2, np.float32)
    moved = disturbed(array, 1)
    assert 0.45 < np.mean(moved > 1) < 0.55
    np.testing.assert_array_equal(moved, disturbed(array, 1))
    assert np.any(moved != disturbed(array, 2))


@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8"])
def test_what_does_not_round_is_not_disturbed(dtype: str) -> None:
    array = np.ones(9, dtype)
    np.testing.assert_array_equal(disturbed(array, 1), array)


def test_zeros_infinities_and_nan_stay_what_they_are() -> None:
    array = np.array([0.0, np.inf, -np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(disturbed(array, 1), array)


def test_the_input_is_left_alone_and_may_be_laid_out_in_any_way() -> None:
    array = np.random.default_rng(0).uniform(1, 2, (7, 9)).astype(np.float32)
    before = array.copy()
    moved = disturbed(array.T, 1)
    np.testing.assert_array_equal(array, before)
    np.testing.assert_allclose(moved, array.T, rtol=1e-6)


def test_half_precision_is_disturbed_by_its_own_last_bit_or_not_at_all() -> None:
    array = np.random.default_rng(0).uniform(1, 2, 1000).astype(np.float16)
    np.testing.assert_allclose(disturbed(array, 1).astype(float), array.astype(float), rtol=2.0**-9)
