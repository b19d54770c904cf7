"""How is calculated with arrays that may have gigabytes? Piece by piece, so that no copy of one is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from segdiff.core.graph import Array

PIECE = 1 << 16
"""Elements of a piece: half a megabyte of float64, which stays in a core's cache."""


def in_pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Arrays, broadcast against the first, as float64 in pieces of one dimension, in the order of C.

    A piece is overwritten by the next one. Nothing for an empty array.

    >>> [(a.tolist(), b.tolist()) for a, b in in_pieces(np.arange(4).reshape(2, 2), np.array([1.0, 2.0]))]
    [([0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 1.0, 2.0])]
    """
    if arrays[0].size == 0:
        return
    shaped = [arrays[0], *(np.broadcast_to(each, arrays[0].shape) for each in arrays[1:])]
    pieces = np.nditer(
        shaped,
        flags=["external_loop", "buffered"],
        op_flags=[["readonly"]] * len(shaped),
        op_dtypes=[np.dtype(np.float64)] * len(shaped),
        order="C",
        casting="unsafe",
        buffersize=PIECE,
    )
    with pieces:
        for found in pieces:
            yield found if isinstance(found, tuple) else (found,)


def largest_of(array: Array) -> float:
    """The largest magnitude in an array that is not empty; NaN where it has one."""
    return float(np.maximum(np.max(array), -np.min(array).astype(np.float64)))


def product_of(one: Array, other: Array) -> float:
    """The sum of the products of two arrays' elements."""
    return float(sum(dot(a, b) for a, b in in_pieces(one, other)))


def dot(one: Array, other: Array) -> float:
    """The sum of the products of two pieces; BLAS would wake its threads for each of them."""
    return float(np.einsum("i,i->", one, other))


def sizes_along(array: Array, axes: tuple[int, ...] | None) -> Array:
    """The largest magnitude along some axes, which stay with length one; along all of them, one number."""
    keep = axes is not None
    high, low = array.max(axis=axes, keepdims=keep), array.min(axis=axes, keepdims=keep)
    return np.maximum(np.asarray(high, np.float64), -np.asarray(low, np.float64))


def slices(array: Array, places: Iterable[int], axis: int) -> Iterator[Array]:
    """What lies at some places along an axis, one after the other, without a copy."""
    return (array[(slice(None),) * axis + (place,)] for place in places)


def times_in_pieces(array: Array, factor: Array) -> Array:
    """An array times what is broadcast to it, calculated in float64, kept as float32."""
    found: Array = np.empty(np.broadcast_shapes(array.shape, factor.shape), np.float32)
    np.multiply(array, factor, out=found, dtype=np.float64, casting="unsafe")
    return found


def close(one: Array, other: Array, rtol: float) -> bool:
    """Whether two arrays of floating point and one shape are equal, NaN to NaN, up to a part of the other."""
    return all(np.allclose(a, b, rtol=rtol, atol=0.0, equal_nan=True) for a, b in in_pieces(one, other))


def alike(one: Array, other: Array, rtol: float) -> bool:
    """Whether two arrays may hold the same magnitudes in another order: by their moments."""
    return bool(np.allclose(_moments(one), _moments(other), rtol=rtol, atol=0.0))


def _moments(array: Array) -> Array:
    """The largest magnitude, and the sums of the first, second, third and fourth powers of all."""
    found = np.zeros(5)
    with np.errstate(over="ignore", invalid="ignore"):
        for (piece,) in in_pieces(array):
            size = np.abs(piece)
            square = size * size
            found[0] = max(found[0], size.max())
            found[1:] += size.sum(), square.sum(), dot(size, square), dot(square, square)
    return found
