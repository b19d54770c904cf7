"""Which op of the reference stands where a candidate's node of another operator does?

``Case.partner`` pairs ops of one kind. A wrong operator has no partner of its kind; it is found by its place
among the ops of its class (all activations, all pools).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Node, Operand
from segdiff.core.graph import Array, Op
from segdiff.diagnose.reading.case import Case

SAME = 1e-6
"""Relative difference below which two numbers of an attribute are one: float32 written as double and back."""


def counterpart(case: Case, op: Op, kinds: Collection[str]) -> Op | None:
    """The reference's op of one of these kinds that stands in a node's place.

    As many on both sides are paired in order. Otherwise those of one kind are, and what is left over in
    order; a reference's only op of the class is everybody's counterpart, since it may be written out.
    """
    theirs = [other for other in case.ops if kind_of(other) in kinds]
    ours = [other for other in case.reference_ops if kind_of(other) in kinds]
    place = next((n for n, other in enumerate(theirs) if other is op), None)
    if place is None or not ours:
        return None
    if len(ours) == len(theirs) or len(ours) == 1:
        return ours[min(place, len(ours) - 1)]
    if any(kind_of(other) == kind_of(op) for other in ours):
        return case.partner(op)
    present = {kind_of(other) for other in theirs}
    left = [other for other in ours if kind_of(other) not in present] or ours
    return left[min(place * len(left) // len(theirs), len(left) - 1)]


def same(first: float, second: float) -> bool:
    """Whether two numbers are one up to the rounding of float32."""
    return abs(first - second) <= SAME * max(abs(first), abs(second))


def plain(value: Any) -> str:
    """A number, word or list as a person writes it."""
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}"
    if isinstance(value, list | tuple | np.ndarray):
        return "[" + ", ".join(plain(item) for item in value) + "]"
    return str(value)


def scalar(array: Array | None) -> float | None:
    """The number in a constant of one element; None for any other."""
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def dtype_of(case: Case, op: Op) -> np.dtype[Any]:
    """The element type that a node computes in: that of its first operand."""
    name = case.operand(op, 0) or ""
    form = case.forms.get(name)
    if form is None and name in case.candidate.parameters:
        return np.dtype(case.candidate.parameters[name].dtype)
    return np.dtype(form[0]) if form else np.dtype(np.float32)


def copied(op: Op, renamed: dict[str, str]) -> Node:
    """A node as it stands, some of its tensors renamed."""
    places = {int(slot): name for slot, name in zip(op.slots, op.inputs, strict=True)}
    inputs: list[Operand] = [None] * (max(places, default=-1) + 1)
    for place, name in places.items():
        inputs[place] = renamed.get(name, name)
    domain, _, op_type = op.type.rpartition(".")
    outputs = tuple(renamed.get(name, name) for name in op.outputs)
    return Node(op_type, tuple(inputs), outputs, dict(op.attributes), domain)
