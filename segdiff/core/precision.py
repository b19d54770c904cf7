"""How finely does a model compute? The unit of every element type, in one place.

The *unit* of a type is the relative error of one rounding to it: half of its last bit. A segment computes as
coarsely as the coarsest type that it, or its parameters, are stored in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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

STEP = 1 / 255
"""The unit of a tensor that is quantised to a byte: one of the 255 steps of its range. (That of bfloat16 is
2^-8, and another one: it has a factor of its own in ``walk/judge.py``.)"""

LARGEST: Mapping[str, float] = {"float16": 65504.0}
"""The largest number of a type whose range activations leave."""

SMALLEST_STEP = 2.0**-24
"""The distance of two neighbours among float16's smallest numbers."""

INTEGER_OPS = ("QuantizeLinear", "QLinear", "DynamicQuantize", "Integer", "QGemm", "QAttention", "QEmbed")
"""What the names of operators have in them that make bytes of values, or compute on them."""

DEQUANTIZE = frozenset({"DequantizeLinear", "com.microsoft.DequantizeLinear"})
"""Operators that turn integers back into numbers: ONNX's and onnxruntime's own."""

PATTERN = 65521
"""Length of the random pattern of a disturbance: a prime, so that no axis repeats it in step."""


@dataclass(frozen=True)
class Precision:
    """What the arithmetic of two files costs, where one of them computes more coarsely than in float32.

    ``reference`` and ``candidate`` are the coarsest types that each side computes in; ``within`` of the
    ``segments`` err by no more than such types round. ``final_error`` is the largest ``rel_l2`` of an output
    of the candidate as the file runs here, and ``mask_changed`` the share of pixels
    whose class changes then; None where not known.
    """

    reference: str
    candidate: str
    segments: int
    within: int
    final_error: float | None = None
    mask_changed: float | None = None


def unit_of(dtype: str | None) -> float:
    """The unit of an element type by numpy's name; that of float32 for any finer or unknown one."""
    return UNITS.get(dtype or "", EPSILON)


def unit_named(arithmetic: str) -> float:
    """The unit of an :func:`arithmetic`."""
    return STEP if arithmetic in ("int8", "int4") else unit_of(arithmetic)


def types_of(graph: Graph, ops: Iterable[int]) -> set[str]:
    """The element types of the values and parameters of some ops, as far as the file tells."""
    found: set[str | None] = set()
    for op in map(graph.op, ops):
        for name in (*op.inputs, *op.outputs):
            known = graph.parameters.get(name)
            found.add(known.dtype if known else graph.value(name).dtype)
    return {dtype for dtype in found if dtype}


def arithmetic(graph: Graph) -> str:
    """The coarsest type that a model computes in: ``float32`` (or finer), ``float16``, …, or ``int8``; and
    ``int4`` where nothing but weights is quantised, and to four bits."""
    kept = {how.dtype for name, how in graph.quantised.items() if name in graph.parameters}
    if any(word in op.type and op.type not in DEQUANTIZE for op in graph.ops for word in INTEGER_OPS):
        return "int8"
    if kept:
        return "int4" if kept <= {"int4", "uint4"} else "int8"
    types = types_of(graph, (op.index for op in graph.ops))
    coarsest = max(types, key=unit_of, default="float32")
    return coarsest if unit_of(coarsest) > EPSILON else "float32"


def rounded(graph: Graph, ops: Iterable[int], dtype: str) -> bool:
    """Whether ops in float32 have parameters that went through float16: those of a file that was made so."""
    if dtype != "float16":
        return False
    names = {name for op in map(graph.op, ops) for name in op.inputs if name in graph.parameters}
    arrays = [graph.parameters[name].load() for name in names if graph.parameters[name].dtype == "float32"]
    with np.errstate(over="ignore"):
        halves = [(array, array.astype(np.float16).astype(np.float32)) for array in arrays]
    return any(np.array_equal(a, b) and not np.array_equal(a, np.rint(a)) for a, b in halves)


def unit_of_model(graph: Graph) -> float:
    """The unit of the coarsest type that a model computes in."""
    if arithmetic(graph) in ("int8", "int4"):
        return STEP
    return max(map(unit_of, types_of(graph, (op.index for op in graph.ops))), default=EPSILON)


LOST = 0.1
"""Share of a tensor (of its L2 norm) that is gone where a type is said not to hold it."""


def held(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether a type holds an array: it is neither too large for it, nor all but nothing in it."""
    if dtype.name not in LARGEST or array.dtype.kind != "f" or array.dtype.itemsize <= dtype.itemsize:
        return True
    with np.errstate(over="ignore"):
        stored = array.astype(dtype).astype(array.dtype).reshape(-1)
    flat = array.reshape(-1)
    if not np.array_equal(np.isfinite(stored), np.isfinite(flat)):
        return False
    flat, stored = (np.where(np.isfinite(each), each, 0) for each in (flat, stored))
    return float(np.linalg.norm(stored - flat)) <= LOST * float(np.linalg.norm(flat))


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
        size = np.where(np.isfinite(part), np.abs(part), 0)  # infinity less infinity is no number
        moved = part + signs[: part.size] * np.where(size > 0, np.maximum(2 * unit * size, SMALLEST_STEP), 0)
        edge = np.isfinite(part) & (np.abs(moved) > LARGEST["float16"])
        out[start : start + PATTERN] = np.where(edge, part, moved)
    return out.reshape(array.shape)
