"""What does an operator use, besides the values it computes on? Its parameters, as evidence for a pair."""

from __future__ import annotations

from segdiff.align.kinds import kind_of
from segdiff.align.view import View
from segdiff.core.graph import Op

ELEMENTWISE = frozenset({"add", "sub", "mul", "div"})
"""Kinds whose parameter is a bias or a factor: for each channel, or for all of the tensor."""


def adds_parameter(view: View, op: Op) -> bool:
    """Whether an op adds a parameter to one value: a bias."""
    return kind_of(op) == "add" and len(view.reads[op.index]) == 1 and bool(view.parameters_of[op.index])


def one_is_a_scalar(ours: tuple[View, Op], theirs: tuple[View, Op]) -> bool:
    """Whether one op adds or multiplies by one number, and the other by one for each channel.

    They are no two forms of one op, however much alike their places are.
    """
    if kind_of(ours[1]) not in ELEMENTWISE:
        return False
    left, right = _sizes(*ours), _sizes(*theirs)
    return len(left) == len(right) == 1 and (left[0] == 1) != (right[0] == 1)


def _sizes(view: View, op: Op) -> list[int]:
    """How many elements the parameters have that an op reads as they are in the file."""
    names = [name for name in view.parameters_of[op.index] if name in op.inputs]
    return [view.graph.parameters[name].size for name in names]
