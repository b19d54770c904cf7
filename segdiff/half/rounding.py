"""What does a type of half the width make of a number? In numpy for constants, as nodes for activations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper

from segdiff.core.graph import Array
from segdiff.half.targets import How
from segdiff.readers.dtypes import numpy_dtype

TYPE = {"fp16": "float16", "bf16": "bfloat16"}
"""numpy's name of each type."""

LARGEST = {"fp16": 65504.0, "bf16": (2 - 2.0**-7) * 2.0**127}
"""The largest number of each type."""

SMALLEST_NORMAL = {"fp16": 2.0**-14, "bf16": 2.0**-126}
"""The smallest number of each type that has all its digits."""

UNIT = {"fp16": 2.0**-11, "bf16": 2.0**-8}
"""The relative error of one rounding, at most."""

SPLIT = 2.0**16 + 1
"""Veltkamp's factor: it splits the last 16 of 24 bits off, which leaves the 8 of bfloat16."""

MAY_BE_NAN = frozenset({"Div", "Log", "Sqrt", "Pow", "Reciprocal", "BatchNormalization", "Softmax", "Mod"})
"""Ops that make NaN of finite numbers; elsewhere nothing of a saturating target is NaN."""


def stored(array: Array, how: How) -> Array:
    """The numbers that a target stores for a constant, float32, rounded once from the file's own width.

    >>> stored(np.array([1e5, 1.0001]), How(overflow="saturate")).tolist()
    [65504.0, 1.0]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        half = np.asarray(array).astype(numpy_dtype(TYPE[how.precision]))
        found = half.astype(np.float32)
    if how.overflow == "saturate":
        found = np.nan_to_num(found, nan=0.0, posinf=LARGEST[how.precision], neginf=-LARGEST[how.precision])
    if how.subnormals == "flushed":
        found = np.where(np.abs(found) < SMALLEST_NORMAL[how.precision], np.float32(0), found)
    return np.ascontiguousarray(found, np.float32)


class Maker:
    """Makes nodes for a graph, and their names, which no other value has."""

    def __init__(self, prefix: str) -> None:
        self.prefix, self.count = prefix, 0

    def fresh(self, stem: str) -> str:
        """A name that nothing has yet."""
        self.count += 1
        return f"{self.prefix}{stem}_{self.count}"


def rounding(
    source: str,
    into: str,
    how: How,
    opset: int,
    maker: Maker,
    *,
    width: int = TensorProto.FLOAT,
    op: str = "",
) -> Iterator[onnx.NodeProto]:
    """Nodes that store ``source`` in half precision and read it back as ``into``.

    onnxruntime keeps such pairs of Casts at every level of its optimisation. ``op`` is the type of what wrote
    the value, ``width`` the element type that it has in the file.
    """
    if how.overflow == "saturate":
        if op in MAY_BE_NAN:
            nan, zero, checked = (maker.fresh(stem) for stem in ("nan", "zero", "number"))
            yield helper.make_node("IsNaN", [source], [nan])
            yield constant(zero, 0.0, width)
            yield helper.make_node("Where", [nan, zero, source], [checked])
            source = checked
        low, high, clipped = (maker.fresh(stem) for stem in ("low", "high", "clipped"))
        if opset >= 11:
            yield constant(low, -LARGEST[how.precision], width)
            yield constant(high, LARGEST[how.precision], width)
            yield helper.make_node("Clip", [source, low, high], [clipped])
        else:
            top = LARGEST[how.precision]
            yield helper.make_node("Clip", [source], [clipped], min=-top, max=top)
        source = clipped
    last = maker.fresh("wide") if how.subnormals == "flushed" else into
    if how.precision == "bf16" and opset < 13:  # Cast knows no bfloat16 yet
        yield from _split(source, last, width, maker)
    else:
        half = maker.fresh("half")
        narrow = TensorProto.FLOAT16 if how.precision == "fp16" else TensorProto.BFLOAT16
        yield helper.make_node("Cast", [source], [half], to=narrow)
        yield helper.make_node("Cast", [half], [last], to=width)
    if how.subnormals == "flushed":
        size, limit, small, zero = (maker.fresh(stem) for stem in ("size", "limit", "small", "zero"))
        yield helper.make_node("Abs", [last], [size])
        yield constant(limit, SMALLEST_NORMAL[how.precision], width)
        yield helper.make_node("Less", [size, limit], [small])
        yield constant(zero, 0.0, width)
        yield helper.make_node("Where", [small, zero, last], [into])


def _split(source: str, into: str, width: int, maker: Maker) -> Iterator[onnx.NodeProto]:
    """``c = x * (2^16 + 1); x = c - (c - x)``: the nearest number of eight bits."""
    factor, product, rest = (maker.fresh(stem) for stem in ("factor", "product", "rest"))
    yield constant(factor, SPLIT, width)
    yield helper.make_node("Mul", [source, factor], [product])
    yield helper.make_node("Sub", [product, source], [rest])
    yield helper.make_node("Sub", [product, rest], [into])


def constant(name: str, value: float, width: int) -> onnx.NodeProto:
    """A scalar of an element type."""
    return helper.make_node("Constant", [], [name], value=helper.make_tensor(name, width, [], [value]))
