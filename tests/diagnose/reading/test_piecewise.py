"""Is a large weight compared without a copy of it, and with the same answers as a small one?"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from segdiff.core.graph import Array, Graph, Parameter
from segdiff.diagnose.families.parameters import _unlike
from segdiff.diagnose.reading.constants import LARGE, _held, loaded, value
from segdiff.diagnose.reading.differences import cut_off, difference, distance, near, same, turned
from segdiff.diagnose.reading.piecewise import PIECE, close, in_pieces, times_in_pieces

SIDE = 2048
"""16 MB of float32: dozens of pieces."""


@pytest.fixture(scope="module")
def weight() -> Array:
    return np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)


def rows_zeroed(want: Array) -> Array:
    have = want.copy()
    have[[3, 5]] = 0
    return have


def through_bytes(want: Array) -> Array:
    step = np.abs(want).max(axis=1, keepdims=True) / np.float32(127)
    return np.round(want / step) * step


def one_other(want: Array) -> Array:
    have = want.copy()
    have[5, 7] = 9
    return have


CHANGES: dict[str, Callable[[Array], Array]] = {
    "parameter.scale": lambda want: want * np.float32(1.01),
    "parameter.sign": lambda want: -want,
    "parameter.channels": lambda want: want[::-1],
    "parameter.channel_zeroed": rows_zeroed,
    "parameter.fp16": lambda want: want.astype(np.float16).astype(np.float32),
    "parameter.bf16": lambda want: (want.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32),
    "parameter.int8": through_bytes,
    "parameter.element": one_other,
    "parameter.value": lambda want: want + np.float32(0.1),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_difference_is_found_without_a_copy(kind: str, weight: Array) -> None:
    have = CHANGES[kind](weight)
    tracemalloc.start()
    try:
        found, _ = difference(have, weight, (0, 1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == kind
    assert peak < 0.75 * weight.nbytes  # a quarter is what says which elements are near


def test_everything_else_is_asked_without_a_copy(weight: Array) -> None:
    turned_over, far = np.ascontiguousarray(weight.T), weight + np.float32(3)
    turns = {("a.kind", "turned"): np.transpose}
    tracemalloc.start()
    try:
        assert turned(turned_over, weight, turns) == ("a.kind", "turned")
        assert _unlike(turned_over, weight) == 0.0 and 2 < _unlike(far, weight) < 4
        assert close(weight, weight, 1e-6) and not close(far, weight, 1e-6)
        assert cut_off(far, weight) is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.2 * weight.nbytes


def test_pieces_are_the_whole_in_order() -> None:
    one = np.arange(3 * PIECE, dtype=np.float32).reshape(3, PIECE)
    other = np.array([[1], [2], [3]], np.float16)
    pieces = [(a.copy(), b.copy()) for a, b in in_pieces(one.T, other.T)]
    assert len(pieces) >= 3 and all(len(a) <= PIECE for a, _ in pieces)
    assert np.array_equal(np.concatenate([a for a, _ in pieces]), one.T.ravel())
    assert np.array_equal(np.concatenate([b for _, b in pieces]), np.tile([1.0, 2.0, 3.0], PIECE))
    assert not list(in_pieces(np.empty((0, 3))))


def test_numbers_are_those_of_whole_arrays() -> None:
    random = np.random.default_rng(1)
    one, other = random.standard_normal((2, 300, 400))
    assert distance(one, other) == pytest.approx(np.linalg.norm(one - other) / np.linalg.norm(other))
    assert distance(one, np.zeros_like(one)) == np.inf
    few = one.copy()
    few[7, 9] += 1
    assert np.argwhere(~near(few, one)).tolist() == [[7, 9]] and not same(few, one) and same(one, one.copy())
    assert near(few, one, np.full((300, 1), 2.0)).all() and same(few, one, 2.0)
    nan = one.copy()
    nan[0, 0] = np.nan
    assert not same(nan, nan) and close(nan, nan, 1e-6)
    assert near(np.empty(0), np.empty(0)).shape == (0,) and near(np.array(1.0), np.array(1.0)).shape == ()
    factor = random.standard_normal((300, 1))
    exact = (one.astype(np.float32).astype(np.float64) * factor).astype(np.float32)
    assert np.array_equal(times_in_pieces(one.astype(np.float32), factor), exact)


def test_a_large_parameter_is_held_once_and_no_longer_than_somebody_holds_it() -> None:
    loads: list[int] = []

    def load() -> Array:
        loads.append(1)
        raw = np.zeros(LARGE, np.uint8)
        return raw.view(np.float32).reshape(512, -1)

    parameter = Parameter("w", (512, LARGE // 2048), "float32", load)
    graph = Graph.__new__(Graph)
    object.__setattr__(graph, "parameters", {"w": parameter})
    first = value(graph, "w")
    assert first is not None
    view = first[3:].T
    del first
    second = value(graph, "w")
    assert second is not None and np.shares_memory(second, view) and len(loads) == 1
    assert second.shape == parameter.shape and not second.flags.writeable
    del second, view
    assert value(graph, "w") is not None and len(loads) == 2


def test_a_parameter_that_lies_in_another_order_is_read_right() -> None:
    """What comes again is what came first, and nothing is left of it once nobody holds it."""
    rows = LARGE // 16
    numbers = np.arange(4 * rows, dtype=np.float32).reshape(rows, 4)
    turned_over = Parameter("w", (rows, 4), "float32", lambda: numbers.T.copy(order="F").T)
    plain = Parameter("w", (rows, 4), "float32", numbers.copy)
    for parameter in (turned_over, plain):
        first = loaded(parameter)
        again = loaded(parameter)
        np.testing.assert_array_equal(again, numbers)
        np.testing.assert_array_equal(first, again)
        key = id(parameter)
        del first, again
        assert key not in _held
    in_columns = Parameter("w", (rows, 4), "float32", lambda: np.asfortranarray(numbers))
    held = loaded(in_columns)
    np.testing.assert_array_equal(loaded(in_columns), held)
