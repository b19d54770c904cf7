"""ArgMax, TopK, CumSum and the Reduce operators: along which axis, which extreme, kept or not.

Paddle: ``arg_max`` (first of equal elements), ``top_k_v2``, ``cumsum``, ``reduce_*`` / ``mean`` / ``sum`` /
``max`` / ``min`` / ``prod`` / ``p_norm``. ONNX: ``axes`` is an operand of ReduceSum from opset 13 and of the
others from 18; TopK takes ``k`` as an operand from 10 and ``largest`` from 11.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.settings import (
    changed,
    first,
    integer,
    integers,
    is_attribute,
    places,
    setting,
    spelt,
    their_integers,
)

MOST = 30
"""Suspects of one node and kind."""

REDUCTIONS = {
    "reduce_mean": "ReduceMean",
    "reduce_sum": "ReduceSum",
    "reduce_max": "ReduceMax",
    "reduce_min": "ReduceMin",
    "reduce_prod": "ReduceProd",
    "mean": "ReduceMean",
    "sum": "ReduceSum",
    "max": "ReduceMax",
    "amax": "ReduceMax",
    "min": "ReduceMin",
    "amin": "ReduceMin",
    "prod": "ReduceProd",
    "frobenius_norm": "ReduceL2",
    "logsumexp": "ReduceLogSumExp",
}
_KINDS = ("reduce_mean", "reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "norm", "logsumexp")
_SUSPECTS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceL1", "ReduceProd")


@family("ArgMax", "ArgMin")
def arg_extreme(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Operator, axis, which of equal elements, and whether the axis is kept."""
    partner = partner_of(case, op, "arg_max", "arg_min")
    other = "ArgMin" if op.type == "ArgMax" else "ArgMax"
    asked = partner is not None and (partner.type.lower().replace("_", "") == other.lower())
    yield _operator(op, "argmax.operator", other, Edit(op.outputs[0], op_type=other), asked)
    yield from _axis(case, op, partner, "argmax.axis", 0)
    yield from _flag(op, partner, "argmax.select", "select_last_index", 0, (), 12, case.opset)
    yield from _flag(op, partner, "argmax.keepdims", "keepdims", 1, ("keepdims", "keepdim"), 1, case.opset)


@family("TopK")
def top_k(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The largest or the smallest, in order or not, the axis, how many."""
    partner = partner_of(case, op, "top_k", "sort")
    if case.opset >= 11:
        names = ("largest", "descending")
        yield from _flag(op, partner, "topk.largest", "largest", 1, names, 11, case.opset)
        yield from _flag(op, partner, "topk.sorted", "sorted", 1, (), 11, case.opset)
    else:
        wanted = bool(integer(case.asked(partner, "largest"), 1)) if partner is not None else True
        text = f"TopK of opset {case.opset} gives the largest where the reference has the smallest"
        yield Hypothesis("topk.largest", text, (_smallest(op),), expected=not wanted)
    yield from _axis(case, op, partner, "topk.axis", -1)
    now, wanted_k = integers(case, op, "k", 1), their_integers(case, partner, 1, "k", "K")
    if now and wanted_k and now != wanted_k:
        edit = spelt(case, op, k=(1, wanted_k)) if case.opset >= 10 else None
        edit = edit or Edit(op.outputs[0], attributes={"k": wanted_k[0]})
        yield changed(op, "topk.k", "k", now[0], wanted_k[0], edit, True)


def _smallest(op: Op) -> Edit:
    """TopK of the negative, for opsets in which it knows the largest only."""
    value = op.outputs[0]
    operands = (f"{value}.negative", *op.inputs[1:])
    outputs = (f"{value}.largest", *op.outputs[1:])
    return Edit(
        value,
        nodes=(
            Node("Neg", (op.inputs[0],), (f"{value}.negative",)),
            Node("TopK", operands, outputs, dict(op.attributes)),
            Node("Neg", (f"{value}.largest",), (value,)),
        ),
    )


@family("CumSum")
def cumsum(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Direction, whether an element counts itself, the axis."""
    partner = partner_of(case, op, "cumsum")
    yield from _flag(op, partner, "cumsum.reverse", "reverse", 0, ("reverse",), 11, case.opset)
    yield from _flag(op, partner, "cumsum.exclusive", "exclusive", 0, ("exclusive",), 11, case.opset)
    shape, now = case.shape(case.operand(op, 0)), integers(case, op, "axis", 1)
    if not shape or not now:
        return
    asked = their_integers(case, partner, 1, "axis")
    for axis, expected in _other_axes(now[0], asked[0] if asked else None, len(shape)):
        edit = Edit(op.outputs[0], inputs={1: np.asarray(axis, np.int64)})
        yield changed(op, "cumsum.axis", "axis", now[0] % len(shape), axis, edit, expected)


def _flag(
    op: Op,
    partner: Op | None,
    kind: str,
    name: str,
    default: int,
    theirs: tuple[str, ...],
    since: int,
    opset: int,
) -> Iterator[Hypothesis]:
    """A switch: as the reference has it; turned where the reference does not say."""
    if opset < since:
        return
    now = int(op.attributes.get(name, default))
    wanted: int | None = None
    if partner is not None:
        own = default if partner.type[0].isupper() or not theirs else None
        for word in (name, *theirs):
            if partner.attributes.get(word) is not None:
                own = int(partner.attributes[word])
        wanted = own
    yield setting(op, kind, name, now, 1 - now, expected=wanted == 1 - now)


def _axis(case: Case, op: Op, partner: Op | None, kind: str, default: int) -> Iterator[Hypothesis]:
    """The axis that the reference has, then all others."""
    shape = case.shape(case.operand(op, 0))
    if not shape:
        return
    now = int(op.attributes.get("axis", default))
    wanted: Any = None
    if partner is not None:
        fallback = default if partner.type[0].isupper() else -1
        wanted = integer(case.asked(partner, "axis", "dim"), fallback)
    for axis, expected in _other_axes(now, wanted, len(shape)):
        yield setting(op, kind, "axis", now % len(shape), axis, expected=expected)


def _other_axes(now: int, wanted: int | None, rank: int) -> Iterator[tuple[int, bool]]:
    """Every axis that is not the present one, from 0, the wanted one first; whether it is the wanted one."""
    goal = None if wanted is None or not -rank <= wanted < rank else wanted % rank
    order = sorted(range(rank), key=lambda axis: axis != goal)
    yield from ((axis, axis == goal) for axis in order if axis != now % rank)


def _operator(op: Op, kind: str, other: str, edit: Edit, expected: bool) -> Hypothesis:
    text = f"the candidate has {op.type} where " + (
        f"the reference asks for {other}" if expected else f"{other} gives the reference's tensor"
    )
    return Hypothesis(kind, text, (edit,), expected)


@family("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2")
def reduction(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Axes, kept or not, and the reduction itself; the reference's first, then the suspects."""
    shape = case.shape(case.operand(op, 0))
    if not shape:
        return
    rank, partner = len(shape), partner_of(case, op, *_KINDS)
    now = sorted(places(integers(case, op, "axes", 1) or range(rank), rank))
    norm = None if partner is not None else _norm_axes(case, rank)
    wanted = _their_axes(case, partner, rank) or norm
    for axes in _axes(now, wanted, shape):
        edit = spelt(case, op, axes=(1, axes))
        yield changed(op, "reduce.axes", "axes", now, axes, edit, axes == wanted)
    words = ("keepdims", "keepdim", "keep_dim")
    yield from _flag(op, partner, "reduce.keepdims", "keepdims", 1, words, 1, case.opset)
    goal = "ReduceMean" if norm else _their_reduction(partner)
    for other in sorted(_SUSPECTS, key=lambda word: word != goal):
        if other != op.type:
            edit = reduction_as(case, op, other, now)
            yield _operator(op, "reduce.operator", other, edit, other == goal)


def _axes(now: list[int], wanted: list[int] | None, shape: tuple[int, ...]) -> list[list[int]]:
    """The wanted axes, then as many other ones: of the same sizes first, they leave the shape as it is."""
    sizes = sorted(shape[axis] for axis in now)
    others = [list(axes) for axes in itertools.combinations(range(len(shape)), len(now)) if list(axes) != now]
    others.sort(key=lambda axes: sorted(shape[axis] for axis in axes) != sizes)
    others = [axes for axes in others if axes != wanted]
    return first(([wanted] if wanted and wanted != now else []) + others, MOST)


def _their_axes(case: Case, partner: Op | None, rank: int) -> list[int] | None:
    """The axes of the reference's reduction, from 0; all of them where it says none."""
    if partner is None:
        return None
    if partner.attributes.get("reduce_all"):
        return list(range(rank))
    said = their_integers(case, partner, 1, "axes", "axis", "dim")
    if said is None and any(slot in ("axis", "1") for slot in partner.slots):
        return None  # computed
    return sorted(places(said, rank)) if said else list(range(rank))


def _norm_axes(case: Case, rank: int) -> list[int] | None:
    """The axes of a mean that is part of a normalisation written out."""
    for other in case.reference_ops:
        if other.type == "layer_norm":
            return list(range(integer(other.attributes.get("begin_norm_axis"), 1) % rank, rank))
        if other.type == "LayerNormalization":
            return list(range(integer(other.attributes.get("axis"), -1) % rank, rank))
        if other.type in ("instance_norm", "InstanceNormalization"):
            return list(range(2, rank))
    return None


def _their_reduction(partner: Op | None) -> str | None:
    """The ONNX operator that does what the reference's does."""
    if partner is None:
        return None
    if partner.type in ("p_norm", "norm"):
        return {1.0: "ReduceL1", 2.0: "ReduceL2"}.get(float(partner.attributes.get("porder", 2.0)))
    return partner.type if partner.type in _SUSPECTS else REDUCTIONS.get(partner.type)


def reduction_as(case: Case, op: Op, other: str, axes: list[int]) -> Edit:
    """Another reduction; between opset 13 and 17 only ReduceSum takes its axes as an operand."""
    output = op.outputs[0]
    before, after = (is_attribute(word, "axes", case.opset) for word in (op.type, other))
    if before == after:
        return Edit(output, op_type=other)
    if after:
        return Edit(output, op_type=other, attributes={"axes": axes}, inputs={1: None})
    return Edit(output, op_type=other, attributes={"axes": None}, inputs={1: np.asarray(axes, np.int64)})
