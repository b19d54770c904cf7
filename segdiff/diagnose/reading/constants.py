"""What is in a tensor that no image changes? Parameters, and the few ops that spell out constants."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Graph, Op, Parameter

_DEPTH = 8
"""Ops on constants that are followed; converters and exporters write chains of two or three."""


def value(graph: Graph, name: str, depth: int = _DEPTH) -> Array | None:
    """The content of a parameter, or of what some op makes of constants; None where it is computed."""
    if name in graph.parameters:
        try:
            return loaded(graph.parameters[name])
        except ModelError:
            return None
    op = graph.producer.get(name)
    if op is None or depth == 0:
        return None
    if op.type in _SPELT:
        return _spelt(op)
    if op.type in _KEEPING and op.inputs:
        return value(graph, op.inputs[0], depth - 1)
    if op.type in _GATHERING:
        parts = [value(graph, part, depth - 1) for part in op.inputs]
        if parts and all(part is not None and part.size == 1 for part in parts):
            return np.array([part.reshape(-1)[0] for part in parts if part is not None])
    return None


LARGE = 1 << 20
"""Bytes from which a parameter is held once, however many ask for it."""

_held: dict[int, tuple[weakref.ref[Parameter], weakref.ref[Array]]] = {}


def loaded(parameter: Parameter) -> Array:
    """A parameter's content; of a large one the same array, read-only, as long as somebody holds it.

    Raises ModelError where its file is damaged.
    """
    known = _held.get(id(parameter))
    owner = known[1]() if known and known[0]() is parameter else None
    if owner is not None:
        return owner.reshape(-1).view(parameter.dtype).reshape(parameter.shape)
    array = parameter.load()
    owner = array if array.base is None else array.base  # what every view of it holds
    if array.nbytes >= LARGE and isinstance(owner, np.ndarray) and _holds(owner, array):
        array.flags.writeable = owner.flags.writeable = False
        key = id(parameter)
        _held[key] = weakref.ref(parameter), weakref.ref(owner, lambda _: _held.pop(key, None))
    return array


def _holds(owner: Array, array: Array) -> bool:
    """Whether an array is all that its owner holds, in the same order."""
    return owner.nbytes == array.nbytes and owner.flags.c_contiguous and array.flags.c_contiguous


def number(graph: Graph, name: str) -> float | None:
    """The one number that fills a tensor, also one whose shape is another's; None where there are several."""
    op = graph.producer.get(name)
    if op is not None and kind_of(op) == "fill_like":
        fills = {"ones_like": 1.0, "zeros_like": 0.0, "fill_zeros_like": 0.0, "fill_zeros_like2": 0.0}
        if "value" in op.slots:
            return number(graph, op.inputs[op.slots.index("value")])
        found = op.attributes.get("value", fills.get(op.type))
        return float(found) if isinstance(found, int | float) else None
    array = value(graph, name)
    if array is None or array.size == 0 or array.dtype.kind not in "fiub":
        return None
    first = array.reshape(-1)[:1]
    return float(first[0]) if np.array_equal(array.reshape(-1), np.broadcast_to(first, array.size)) else None


_SPELT = frozenset({"full", "full_int_array", "fill_constant", "assign_value", "assign_value_"})
_KEEPING = frozenset({"Identity", "assign", "cast", "Cast", "share_data", "Unsqueeze", "Squeeze", "Reshape"})
_GATHERING = frozenset({"stack", "builtin.combine"})


def _spelt(op: Op) -> Array | None:
    """The tensor that an op without inputs writes down."""
    attributes = op.attributes
    if op.inputs and op.type not in ("assign_value", "assign_value_"):  # PIR's writes over another tensor
        return None
    for key in ("value", "str_value", "values", "fp32_values", "int32_values", "int64_values", "bool_values"):
        found: Any = attributes.get(key)
        if found is None or found in ("", []):
            continue
        try:
            array = np.asarray(float(found) if isinstance(found, str) else found)
        except ValueError:
            return None
        shape = attributes.get("shape")
        if op.type == "full_int_array" or shape is None:
            return array.reshape(-1)
        return np.full(shape, array) if array.size == 1 else array.reshape(shape)
    return None
