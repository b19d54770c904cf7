"""How does a family read a setting on both sides, and write the one that the candidate lacks?

Operators took their integers (axes, pads, starts) as attributes in old opsets and as operands in newer ones;
Paddle passes them as attributes in a ``.pdmodel`` and often as inputs in PIR. The families do not care.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from segdiff.align.kinds import is_identity
from segdiff.core.edit import Edit
from segdiff.core.graph import Graph, Op
from segdiff.diagnose.hypothesis import Hypothesis
from segdiff.diagnose.reading.case import Case


def source(graph: Graph, name: str) -> str:
    """The value that a name is another name of, behind identities."""
    op = graph.producer.get(name)
    while op is not None and op.inputs and is_identity(op):
        name = op.inputs[0]
        op = graph.producer.get(name)
    return name


def paired(case: Case, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Reference's value -> candidate's, of pairs of a case, both behind identities."""
    return {source(case.reference, ours): source(case.candidate, theirs) for ours, theirs in pairs if ours}


def numbers(value: Any) -> list[int] | None:
    """A list of plain integers of whatever said them; None where nothing did, or no integers."""
    if value is None or isinstance(value, str):
        return None
    array = np.asarray(value).reshape(-1)
    if array.dtype.kind == "f" and np.isfinite(array).all() and np.array_equal(array, np.trunc(array)):
        array = array.astype(np.int64)
    return [int(item) for item in array] if array.dtype.kind in "iub" else None


def integer(value: Any, default: int) -> int:
    """One plain integer of whatever said it."""
    found = numbers(value)
    return found[0] if found else default


def places(axes: Iterable[int], rank: int) -> list[int]:
    """Axes counted from the front; those beyond the rank are left out."""
    return [axis % rank for axis in axes if -rank <= axis < rank]


@cache
def is_attribute(op_type: str, name: str, opset: int) -> bool:
    """Whether an operator of the default domain takes this setting as an attribute in that opset."""
    from onnx import defs

    try:
        return name in defs.get_schema(op_type, opset).attributes
    except defs.SchemaError:
        return True


def integers(case: Case, op: Op, name: str, position: int) -> list[int] | None:
    """What a candidate's node says, as an attribute or as a constant operand; None if computed or absent."""
    return numbers(_said(case.candidate, case.operand_constant(op, position), op, name))


def their_integers(case: Case, op: Op | None, position: int, *names: str) -> list[int] | None:
    """What the reference's op says: attribute, named input or (of an ONNX reference) operand position."""
    return numbers(case.asked(op, *names, str(position)))


def _said(graph: Graph, operand: Any, op: Op, name: str) -> Any:
    return operand if operand is not None else op.attributes.get(name)


def spelt(case: Case, op: Op, **settings: tuple[int, Sequence[int]]) -> Edit:
    """The edit that gives a node integers: ``name=(operand position, values)``, in the form of its opset."""
    attributes: dict[str, Any] = {}
    operands: dict[int, Any] = {}
    for name, (position, values) in settings.items():
        if is_attribute(op.type, name, case.opset):
            attributes[name] = [int(value) for value in values]
        else:
            operands[position] = np.asarray(values, _dtype(case, op, position))
    return Edit(op.outputs[0], attributes=attributes, inputs=operands)


def _dtype(case: Case, op: Op, position: int) -> Any:
    before = case.operand_constant(op, position)
    return before.dtype if before is not None and before.dtype.kind == "i" else np.int64


def setting(op: Op, kind: str, name: str, now: Any, value: Any, *, expected: bool) -> Hypothesis:
    """One attribute set to another value."""
    return changed(op, kind, name, now, value, Edit(op.outputs[0], attributes={name: value}), expected)


def changed(
    op: Op, kind: str, name: str, now: Any, value: Any, edit: Edit, expected: bool, what: str = ""
) -> Hypothesis:
    """A hypothesis about one setting, in the words of all families: both sides named."""
    end = f"the reference has {value}" if expected else f"{value} gives the reference's tensor"
    where = "where" if expected else "but"
    return Hypothesis(kind, f"{op.type} has {what or name} {now} {where} {end}", (edit,), expected)


def first(values: Iterable[Any], limit: int) -> list[Any]:
    """The first few, so that one node does not use up all trials."""
    return [value for value, _ in zip(values, range(limit), strict=False)]
