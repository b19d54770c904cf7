"""How finely does a model compute? The unit of every element type, in one place.

The *unit* of a type is the relative error of one rounding to it: half of its last bit. A segment computes as
coarsely as the coarsest type that it, or its parameters, are stored in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from segdiff.core.graph import Array, Graph

EPSILON = 2.0**-24
"""The unit of float32, and the finest that segdiff asks for."""

UNITS: Mapping[str, float] = {
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
    "float8_e4m3fn": 2.0**-4,
    "float8_e5m2": 2.0**-3,
}
"""Of the types that are coarser."""

STEP = 2.0**-8
"""The unit of a tensor that is quantised to a byte: one of 256 steps of its range."""

LARGEST: Mapping[str, float] = {"float16": 65504.0}
"""The largest number of a type whose range activations leave."""

SMALLEST_STEP = 2.0**-24
"""The distance of two neighbours among float16's smallest numbers."""

PATTERN = 65521
"""Length of the random pattern of a disturbance: a prime, so that no axis repeats it in step."""


def unit_of(dtype: str | None) -> float:
    """The unit of an element type by numpy's name; that of float32 for any finer or unknown one."""
    return UNITS.get(dtype or "", EPSILON)


def types_of(graph: Graph, ops: Iterable[int]) -> set[str]:
    """The element types of the values and parameters of some ops, as far as the file tells."""
    found: set[str | None] = set()
    for op in map(graph.op, ops):
        for name in (*op.inputs, *op.outputs):
            known = graph.parameters.get(name)
            found.add(known.dtype if known else graph.value(name).dtype)
    return {dtype for dtype in found if dtype}


def unit_of_model(graph: Graph) -> float:
    """The unit of the coarsest type that a model computes in."""
    if any("QuantizeLinear" in op.type for op in graph.ops):
        return STEP
    return max(map(unit_of, types_of(graph, (op.index for op in graph.ops))), default=EPSILON)


def overflows(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether finite elements of an array are too large for a type."""
    largest = LARGEST.get(dtype.name)
    if largest is None or array.dtype.kind != "f" or array.dtype.itemsize <= dtype.itemsize:
        return False
    with np.errstate(over="ignore"):
        return bool((np.isfinite(array) & np.isinf(array.astype(dtype))).any())


def disturbed(array: Array, seed: int, unit: float = EPSILON) -> Array:
    """A copy with the last bit of every float disturbed at random: times ``1 ± 2 * unit``.

    The last bit is that of ``unit``, or of the array's own type where that is coarser.
    """
    if array.dtype.kind != "f" or array.size == 0:
        return array
    signs = np.random.default_rng(seed).integers(0, 2, min(PATTERN, array.size)) * 2 - 1
    if array.dtype == np.float16:
        return _disturbed_half(array, signs.astype(np.float32), max(unit, UNITS["float16"]))
    factors = (1 + 2 * unit * signs).astype(array.dtype)
    flat, out = array.reshape(-1), np.empty(array.size, array.dtype)
    for start in range(0, array.size, PATTERN):
        stop = min(start + PATTERN, array.size)
        np.multiply(flat[start:stop], factors[: stop - start], out=out[start:stop])
    return out.reshape(array.shape)


def _disturbed_half(array: Array, signs: Array, unit: float) -> Array:
    """The same in float16, whose smallest numbers have a last bit of 2^-24, and whose largest stay finite."""
    flat, out = array.reshape(-1), np.empty(array.size, np.float16)
    for start in range(0, array.size, PATTERN):
        part = flat[start : start + PATTERN].astype(np.float32)
        size = np.abs(part)
        moved = part + signs[: part.size] * np.where(size > 0, np.maximum(2 * unit * size, SMALLEST_STEP), 0)
        edge = np.isfinite(part) & (np.abs(moved) > LARGEST["float16"])
        out[start : start + PATTERN] = np.where(edge, part, moved)
    return out.reshape(array.shape)
