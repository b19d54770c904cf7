"""The same weights under other names, in other layouts and scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segdiff.align.parameters import content_digest, match_parameters
from segdiff.core.graph import Graph
from tests.models import hand_made

Array = NDArray[Any]


def kernel(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape or (8, 4, 3, 3)).astype(np.float32)


def holding(**arrays: Array) -> Graph:
    return hand_made([("op", ["x", *arrays], ["y"])], outputs=["y"], parameters=arrays)


def matched(ours: dict[str, Array], theirs: dict[str, Array]) -> dict[str, tuple[str, bool]]:
    found = match_parameters(holding(**ours), holding(**theirs), (ours, theirs))
    return {pair.reference: (pair.candidate, pair.exact) for pair in found}


# --- the digest


def test_the_digest_depends_on_the_elements_and_not_on_their_order() -> None:
    array = kernel(0)
    shuffled = np.random.default_rng(1).permutation(array.reshape(-1)).reshape(2, -1)
    assert content_digest(array) == content_digest(shuffled) == content_digest(array.transpose(3, 1, 0, 2))
    assert content_digest(array) == content_digest(array.astype(np.float64))


@pytest.mark.parametrize("place", [0, 100, 287])
def test_the_digest_sees_the_last_bit_of_any_element(place: int) -> None:
    array = kernel(0)
    changed = array.copy().reshape(-1)
    changed[place] = np.nextafter(changed[place], np.float32(9))
    assert content_digest(array) != content_digest(changed)


def test_the_digest_sees_an_exchange_of_values_that_keeps_the_sum() -> None:
    assert content_digest(np.float32([1, 4])) != content_digest(np.float32([2, 3]))
    assert content_digest(np.int64([1, 4])) != content_digest(np.int64([2, 3]))


def test_either_zero_is_zero() -> None:
    assert content_digest(np.float32([0.0, 1])) == content_digest(np.float32([-0.0, 1]))


@pytest.mark.parametrize("dtype", ["float16", "int64", "int8", "uint8", "bool"])
def test_every_type_has_a_digest(dtype: str) -> None:
    array = (kernel(0) * 3).astype(dtype)
    assert content_digest(array) == content_digest(array.reshape(-1)[::-1])


# --- pairs


def test_equal_weights_are_found_whatever_their_names() -> None:
    ours = {f"w{n}": kernel(n) for n in range(5)}
    theirs = {f"t{n * 7 % 5}": kernel(n) for n in range(5)}
    assert matched(ours, theirs) == {f"w{n}": (f"t{n * 7 % 5}", True) for n in range(5)}


def test_a_transposed_or_reshaped_weight_is_the_same() -> None:
    ours = {"fc": kernel(0, 6, 10), "bn": kernel(1, 8)}
    theirs = {"b": kernel(1, 8).reshape(1, 8, 1, 1), "a": np.ascontiguousarray(kernel(0, 6, 10).T)}
    assert matched(ours, theirs) == {"fc": ("a", True), "bn": ("b", True)}


@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_a_weight_rescaled_channel_by_channel_is_found(flip: float) -> None:
    scale = np.random.default_rng(9).uniform(0.2, 3.0, (8, 1, 1, 1)).astype(np.float32) * np.float32(flip)
    ours = {"w0": kernel(0), "w1": kernel(1)}
    assert matched(ours, {"a": kernel(1) * scale, "b": kernel(0) * scale}) == {
        "w0": ("b", False),
        "w1": ("a", False),
    }


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_a_rounded_weight_is_found(kind: str) -> None:
    def rounded(array: Array) -> Array:
        if kind == "float16":
            return array.astype(np.float16)
        step = np.abs(array).max() / 127
        return (np.round(array / step) * step).astype(np.float32)

    ours = {f"w{n}": kernel(n) for n in range(4)}
    theirs = {f"t{n}": rounded(kernel(n)) for n in range(4)}
    assert matched(ours, theirs) == {f"w{n}": (f"t{n}", False) for n in range(4)}


def test_one_wrong_element_does_not_hide_a_weight() -> None:
    wrong = kernel(0)
    wrong[3, 2, 1, 1] += np.abs(wrong).max() / 2
    assert matched({"w0": kernel(0), "w1": kernel(1)}, {"a": kernel(1), "b": wrong}) == {
        "w0": ("b", False),
        "w1": ("a", True),
    }


def test_weights_that_stand_twice_on_a_side_are_no_anchor() -> None:
    twice = {"w0": kernel(0, 5), "w1": kernel(0, 5), "w2": kernel(1, 5)}
    assert matched(twice, {"a": kernel(0, 5), "b": kernel(1, 5)}) == {"w2": ("b", True)}
    assert matched({"a": kernel(0, 5), "b": kernel(1, 5)}, twice) == {"b": ("w2", True)}


def test_unrelated_weights_of_one_shape_are_not_paired() -> None:
    ours = {f"w{n}": kernel(n) for n in range(6)}
    theirs = {f"t{n}": kernel(100 + n) for n in range(6)}
    assert matched(ours, theirs) == {}


def test_scalars_and_pairs_are_too_often_equal_to_mean_anything() -> None:
    assert matched({"eps": np.float32([1e-5])}, {"e": np.float32([1e-5])}) == {}
    assert matched({"b": np.float32([0, 1])}, {"e": np.float32([0, 1])}) == {}


def test_only_parameters_in_use_are_looked_at() -> None:
    ours, theirs = holding(w=kernel(0), unused=kernel(1)), holding(a=kernel(0), b=kernel(1))
    found = match_parameters(ours, theirs, (["w"], ["a", "b"]))
    assert [(pair.reference, pair.candidate) for pair in found] == [("w", "a")]


def test_constant_weights_do_not_break_the_search_for_directions() -> None:
    assert matched({"w": np.zeros((4, 3, 3, 3), np.float32)}, {"v": kernel(0, 4, 3, 3, 3)}) == {}
