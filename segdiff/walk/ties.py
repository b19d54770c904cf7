"""Do two sides that pick other elements pick equal ones? Then no order of them is wrong."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.graph import Array, Op

PICKING = ("TopK", "ArgMax", "ArgMin")
"""Operators that give the places of elements."""

LAST = "select_last_index"
"""The attribute by which an ArgMax takes the last of equal elements; without it, as in Paddle, the first."""


def takes_another_tie(ours: Iterable[Op], theirs: Iterable[Op]) -> bool:
    """Whether two sides pick elements, and of equal ones one takes the first and the other the last."""
    picks = [
        [bool(op.attributes.get(LAST)) for op in ops if kind_of(op) in ("arg_max", "arg_min")]
        for ops in (ours, theirs)
    ]
    return bool(picks[0]) and len(picks[0]) == len(picks[1]) and picks[0] != picks[1]


def picks_equal(op: Op, data: Array, ours: Array, theirs: Array) -> bool:
    """Whether the elements of ``data`` at two sets of places along an operator's axis are the same numbers.

    >>> op = Op(0, "ArgMax", "", ("x",), ("0",), ("y",), {"axis": 1, "keepdims": 0})
    >>> data = np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 2.0]])
    >>> picks_equal(op, data, np.array([1, 0]), np.array([2, 2]))
    True
    >>> picks_equal(op, data, np.array([1, 0]), np.array([0, 2]))
    False
    """
    axis = int(op.attributes.get("axis", -1 if op.type == "TopK" else 0))
    if ours.ndim == data.ndim - 1:
        ours, theirs = (np.expand_dims(places, axis) for places in (ours, theirs))
    if ours.ndim != data.ndim or ours.shape != theirs.shape or not -data.ndim <= axis < data.ndim:
        return False
    places = [each.astype(np.int64) for each in (ours, theirs)]
    if any(each.size and not 0 <= each.min() <= each.max() < data.shape[axis] for each in places):
        return False
    first, second = (np.take_along_axis(data, each, axis) for each in places)
    return np.array_equal(first, second)
