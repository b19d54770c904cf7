"""If and Loop: how many iterations, whether it starts at all, which branch.

:mod:`segdiff.finding.inside` looks into the blocks; here is what decides on them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Array, Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case

TRIPS, CONDITION = 0, 1
"""Inputs of a Loop."""

DECIDES = frozenset({"loop.trip_count", "loop.condition", "if.branches"})
"""Kinds of what is wrong with an op around a block, and not in it."""

NO_LIMIT = np.iinfo(np.int64).max
"""Iterations at most, where a Loop does not say."""


@family("Loop")
def loop(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Another number of iterations, or another condition to begin with, than the reference's Loop."""
    nodes = [other for other in case.nodes if other.type == "Loop"]
    ours = [other for other in case.reference_ops if other.type == "Loop"]
    if len(nodes) != len(ours):
        return
    other = ours[nodes.index(op)]
    now, then = _limit(case, op), _reference_limit(case, other)
    if now is not None and then is not None and now != then:
        text = f"Loop turns {_times(now)} where the reference's turns {_times(then)}"
        edit = Edit(op.outputs[0], inputs={TRIPS: np.array(then, np.int64)})
        yield Hypothesis("loop.trip_count", text, (edit,), expected=True)
    starts, should = _start(case, op), _reference_start(case, other)
    if starts is not None and should is not None and starts != should:
        text = f"Loop {'begins' if starts else 'never begins'} where the reference's {_begins(should)}"
        edit = Edit(op.outputs[0], inputs={CONDITION: np.array(should)})
        yield Hypothesis("loop.condition", text, (edit,), expected=True)


@family("If")
def branches(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The branch that is not taken is the right one: they were exchanged, or the condition turned round."""
    condition = case.operand(op, 0)
    if condition is None:
        return
    name = f"{op.outputs[0]}.other"
    edit = Edit(op.outputs[0], inputs={0: name}, before=(Node("Not", (condition,), (name,)),))
    yield Hypothesis("if.branches", "If takes the other branch than the reference", (edit,))


def _limit(case: Case, op: Op) -> int | None:
    if case.operand(op, TRIPS) is None:
        return NO_LIMIT
    return _number(case.operand_constant(op, TRIPS))


def _reference_limit(case: Case, op: Op) -> int | None:
    if str(TRIPS) not in op.slots:
        return NO_LIMIT
    return _number(case.reference_constant(op.inputs[op.slots.index(str(TRIPS))]))


def _start(case: Case, op: Op) -> bool | None:
    if case.operand(op, CONDITION) is None:
        return True
    return _starts(case.operand_constant(op, CONDITION))


def _reference_start(case: Case, op: Op) -> bool | None:
    if str(CONDITION) not in op.slots:
        return True
    return _starts(case.reference_constant(op.inputs[op.slots.index(str(CONDITION))]))


def _number(array: Array | None) -> int | None:
    return None if array is None or array.size != 1 else int(array.reshape(-1)[0])


def _starts(array: Array | None) -> bool | None:
    return None if array is None or array.size != 1 else bool(array.reshape(-1)[0])


def _times(count: int) -> str:
    return "without a limit" if count == NO_LIMIT else "once" if count == 1 else f"{count} times"


def _begins(starts: bool) -> str:
    return "begins" if starts else "never begins"
