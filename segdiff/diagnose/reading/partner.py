"""Which op of the reference stands where a candidate's node does?

One rule, for a *class* of kinds that may be taken for one another (all activations, argmax and argmin); a
node's own kind where none is named. The nodes of a class on one side and the ops of that class on the other:

1. as many on both sides are paired in program order;
2. a reference's only op of the class is everybody's partner: the candidate may have written it out;
3. where the reference has the node's own kind, nodes and ops of that kind are paired in order, the last op
   standing for all that follow;
4. otherwise what is left over, kinds that the candidate has too left out, is paired in order, evenly.

Where the class is the node's own kind and the reference has none, its only op is the partner, if it has but
one: a wrong operator then stands in its place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Node, Operand
from segdiff.core.graph import Array, Op
from segdiff.diagnose.reading.case import Case

SAME = 1e-6
"""Relative difference below which two numbers of an attribute are one: float32 written as double and back."""


def partner_of(case: Case, op: Op, *kinds: str) -> Op | None:
    """The reference's op that stands in a node's place, among those of these kinds; None where there is none.

    Without ``kinds`` the class is the node's own kind.
    """
    known = kinds or (kind_of(op),)
    theirs = [other for other in case.nodes if kind_of(other) in known]
    ours = [other for other in case.reference_ops if kind_of(other) in known]
    place = next((number for number, other in enumerate(theirs) if other is op), None)
    if place is None:
        return None
    if not ours:
        return case.reference_ops[0] if not kinds and len(case.reference_ops) == 1 else None
    if len(ours) == len(theirs) or len(ours) == 1:
        return ours[min(place, len(ours) - 1)]
    own = [other for other in ours if kind_of(other) == kind_of(op)]
    if own:
        alike = [other for other in theirs if kind_of(other) == kind_of(op)]
        return own[min(next(n for n, other in enumerate(alike) if other is op), len(own) - 1)]
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
