"""The same operator with another attribute or constant: the reference's, one by one and then together.

For every operator, known to a family or not. ONNX against ONNX by name and position, defaults and the
spelling of the opset respected; a Paddle op through what it means in ONNX. What a family knows of an operator
comes first: it names the cause better.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import GENERAL, Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.graph_difference import (
    difference,
    one_constant,
    same_operator,
    unlike_settings,
)
from segdiff.diagnose.reading.partner import partner_of, plain
from segdiff.diagnose.reading.pieces import between, candidate_pieces, spelt
from segdiff.diagnose.reading.schema import input_name, operand_at, setting_kind

SHOWN = 8
"""Numbers of a constant that a sentence holds."""


@family(GENERAL)
def other_setting(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Every setting of a node in which the reference's node of that operator differs."""
    theirs = next((piece.node for piece in candidate_pieces(case) if piece.op is op), None)
    if theirs is None:
        return
    tried: list[Node] = []
    for ours in _same_operator(case, op, theirs):
        if not any(_one(ours, other, case.opset) for other in tried):
            tried.append(ours)
            yield from _settings(case, op, ours, theirs)


def _same_operator(case: Case, op: Op, theirs: Node) -> Iterator[Node]:
    """The reference's node in a node's place: by the graphs' difference, then by the order of the ops."""
    found = difference(case)
    if found is not None:
        yield from (ours.node for ours, other in found.unlike if other.op is op)
    other = _in_its_place(case, op) or partner_of(case, op)
    pieces = spelt(case, other) if other is not None else None
    own = [piece.node for piece in pieces or () if same_operator(piece.node, theirs)]
    if len(own) == 1:
        yield own[0]


def _in_its_place(case: Case, op: Op) -> Op | None:
    """The reference's op of that type in a node's place, by order, where a node only prepares a size or a
    condition: no such op is the segment's own."""
    if op in case.ops:
        return None
    ours = [each for each in between(case) or () if each.type == op.type]
    theirs = [each for each in case.nodes if each.type == op.type]
    return ours[theirs.index(op)] if len(ours) == len(theirs) else None


def _one(ours: Node, other: Node, opset: int) -> bool:
    """Whether two nodes ask for the same settings."""
    if unlike_settings(ours, other, opset) or len(ours.inputs) != len(other.inputs):
        return False
    return all(a is b or one_constant(a, b) for a, b in zip(ours.inputs, other.inputs, strict=True))


def _settings(case: Case, op: Op, ours: Node, theirs: Node) -> Iterator[Hypothesis]:
    single = [*_attributes(case, op, ours, theirs), *_operands(case, op, ours, theirs)]
    yield from single
    if len(single) > 1:
        joined = single[0]
        for each in single[1:]:
            joined = joined.joined(each)
        yield joined


def _attributes(case: Case, op: Op, ours: Node, theirs: Node) -> Iterator[Hypothesis]:
    for name, (wanted, now) in unlike_settings(ours, theirs, case.opset).items():
        text = f"{op.type} has {name} {said(now)} where the reference has {said(wanted)}"
        edit = Edit(op.outputs[0], attributes={name: wanted})
        yield Hypothesis(setting_kind(op.type, name), text, (edit,), expected=True, general=True)


def _operands(case: Case, op: Op, ours: Node, theirs: Node) -> Iterator[Hypothesis]:
    for place in range(max(len(ours.inputs), len(theirs.inputs))):
        wanted, now = operand_at(ours, place), operand_at(theirs, place)
        if isinstance(wanted, str) or isinstance(now, str) or one_constant(wanted, now):
            continue
        name = input_name(theirs, place, case.opset)
        text = f"{op.type} has {name} {said(now)} where the reference has {said(wanted)}"
        edit = Edit(op.outputs[0], inputs={place: wanted})
        yield Hypothesis(setting_kind(op.type, name), text, (edit,), expected=True, general=True)


def said(value: Operand | Any) -> str:
    """A setting as a sentence holds it: a short constant by its numbers, a long one by its shape."""
    if value is None:
        return "left out"
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return plain(value.item())
        if value.size > SHOWN:
            return f"a tensor of {'x'.join(map(str, value.shape))}, mean {plain(_mean(value))}"
        return plain(value.reshape(-1).tolist())
    return plain(value)


def _mean(value: Any) -> float:
    return float(np.mean(value)) if value.dtype.kind in "fiub" else float("nan")
