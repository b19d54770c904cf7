"""Comparisons, logic, roundings, casts and dropout: what decides, cuts off or lets through.

Paddle rounds halves away from zero (measured: 2.6.2) or to even (3.3.1), ONNX to even; both cut off towards
zero in a cast to integers. Paddle's ``dropout`` multiplies by 1-p at inference where it is
``downgrade_in_infer``, and does nothing where it is ``upscale_in_train``; ONNX's never does anything then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Graph, Op
from segdiff.diagnose.hypothesis import ANY, Hypothesis, family
from segdiff.diagnose.reading import constants
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import copied, dtype_of, partner_of, plain, same, scalar

COMPARISONS = {
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "GreaterOrEqual": "GreaterOrEqual",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "LessOrEqual": "LessOrEqual",
    "equal": "Equal",
}
OR_EQUAL_SINCE = 12
EQUAL_FLOATS_SINCE = 11
ROUNDINGS = {"floor": "Floor", "ceil": "Ceil", "round": "Round"}
ROUND_SINCE = 11
LOGIC = {
    "logical_and": "And",
    "And": "And",
    "logical_or": "Or",
    "Or": "Or",
    "logical_xor": "Xor",
    "Xor": "Xor",
}


@family(*dict.fromkeys(COMPARISONS.values()))
def comparison(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Strict or not, the other direction."""
    order = ["GreaterOrEqual", "LessOrEqual", "Greater", "Less"]
    if op.type.startswith("Less") or op.type == "LessOrEqual":
        order = ["LessOrEqual", "Less", "GreaterOrEqual", "Greater"]
    allowed = [name for name in order if case.opset >= OR_EQUAL_SINCE or not name.endswith("Equal")]
    yield from _others(case, op, COMPARISONS, allowed, "comparison.operator")


@family("Equal")
def truncated(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Floats compared as integers: Equal takes floats from opset 11 on, and a converter casts before that."""
    wide = _before_casts(case, op)
    if wide is None:
        return
    (x, y), output = wide, op.outputs[0]
    above, below, apart = (f"{output}.{word}" for word in ("above", "below", "apart"))
    made: tuple[Node, ...] = (Node("Equal", (x, y), (output,)),)
    if case.opset < EQUAL_FLOATS_SINCE:
        made = (
            Node("Greater", (x, y), (above,)),
            Node("Less", (x, y), (below,)),
            Node("Or", (above, below), (apart,)),
            Node("Not", (apart,), (output,)),
        )
    text = "Equal compares floats after a cast to integers where the reference compares them as they are"
    expected = any(kind_of(other) in ("equal", "not_equal") for other in case.reference_ops)
    yield Hypothesis("comparison.truncated", text, (Edit(output, nodes=made),), expected)


def _before_casts(case: Case, op: Op) -> tuple[Operand, Operand] | None:
    """Both operands of an Equal before they were cast from floats; of a constant that a converter has cast by
    itself, the number that the reference compares with."""
    makers = [case.candidate.producer.get(name) for name in op.inputs]
    casts = [op if op is not None and op.type == "Cast" else None for op in makers]
    wide: list[Operand] = [cast.inputs[0] for cast in casts if cast and dtype_of(case, cast).kind == "f"]
    if len(casts) == 2 and len(wide) == 1 and None in casts:
        place, partner = casts.index(None), partner_of(case, op, "equal", "not_equal")
        numbers = [constants.number(case.reference, name) for name in (partner.inputs if partner else ())]
        known = [number for number in numbers if number is not None]
        if case.constant(op.inputs[place]) is not None and len(known) == 1:
            wide.insert(place, np.array(known[0], np.float32))
    return (wide[0], wide[1]) if len(casts) == len(wide) == 2 else None


@family("Round", "Floor", "Ceil")
def rounding(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Another rounding; halves the other way, or decimals."""
    allowed = [name for name in ("Floor", "Ceil", "Round") if name != "Round" or case.opset >= ROUND_SINCE]
    yield from _others(case, op, ROUNDINGS, allowed, "round.operator")
    if op.type != "Round":
        return
    partner = partner_of(case, op, *ROUNDINGS)
    decimals = int(case.asked(partner, "decimals", default=0)) if partner is not None else 0
    if decimals and partner is not None and kind_of(partner) == "round":
        text = f"Round rounds to whole numbers where the reference's keeps {decimals} decimals"
        made = _to_decimals(case, op, decimals)
        yield Hypothesis("round.decimals", text, (Edit(op.outputs[0], nodes=made),), expected=True)
    text = "Round takes halves to the even number and agrees with halves away from zero"
    yield Hypothesis("round.halves", text, (Edit(op.outputs[0], nodes=_away_from_zero(case, op)),))


def _to_decimals(case: Case, op: Op, decimals: int) -> tuple[Node, ...]:
    factor, output = np.array(10.0**decimals, dtype_of(case, op)), op.outputs[0]
    larger, whole = f"{output}.larger", f"{output}.whole"
    return (
        Node("Mul", (op.inputs[0], factor), (larger,)),
        Node("Round", (larger,), (whole,)),
        Node("Div", (whole, factor), (output,)),
    )


def _away_from_zero(case: Case, op: Op) -> tuple[Node, ...]:
    """The whole part, and one more where the rest is not below a half; then the sign again."""
    x, output, dtype = op.inputs[0], op.outputs[0], dtype_of(case, op)
    size, whole, rest, below, kept, grown, sign = (
        f"{output}.{word}" for word in ("size", "whole", "rest", "below", "kept", "grown", "sign")
    )
    return (
        Node("Abs", (x,), (size,)),
        Node("Floor", (size,), (whole,)),
        Node("Sub", (size, whole), (rest,)),
        Node("Less", (rest, np.array(0.5, dtype)), (below,)),
        Node("Where", (below, np.array(0.0, dtype), np.array(1.0, dtype)), (kept,)),
        Node("Add", (whole, kept), (grown,)),
        Node("Sign", (x,), (sign,)),
        Node("Mul", (grown, sign), (output,)),
    )


@family("And", "Or", "Xor")
def logic(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Another logical operator."""
    yield from _others(case, op, LOGIC, ["And", "Or", "Xor"], "logical.operator")


def _others(case: Case, op: Op, names: dict[str, str], allowed: list[str], kind: str) -> Iterator[Hypothesis]:
    """The operator of the same class that the reference has; where it has none of them, all the others."""
    partner = partner_of(case, op, *names)
    wanted = names[kind_of(partner)] if partner is not None else None
    for other in [wanted] if wanted else allowed:
        if other != op.type:
            words = f"where the reference has {partner.type}" if partner else f"and agrees with {other}"
            text = f"the candidate has {op.type} {words}"
            yield Hypothesis(kind, text, (Edit(op.outputs[0], other),), expected=wanted is not None)


# --- casts


@family("Cast")
def cast(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Another type; or a rounding before the fraction is cut off."""
    name, output = case.operand(op, 0), op.outputs[0]
    form, now = case.forms.get(name or ""), np.dtype(case.forms.get(output, ("float32", ()))[0])
    if name is None or form is None or name in case.candidate.parameters:
        return
    partner = partner_of(case, op, "cast")
    wanted = _asked_type(case.reference, partner)
    if wanted is not None and wanted != now:
        text = f"Cast makes {now} where the reference's makes {wanted}"
        edit = Edit(output, attributes={"to": _onnx_type(wanted)})
        yield Hypothesis("cast.type", text, (edit,), expected=True)
    if np.dtype(form[0]).kind != "f" or now.kind not in "iu":
        return
    ours = [kind_of(other) for other in case.reference_ops if kind_of(other) in ROUNDINGS]
    theirs = [kind_of(other) for other in case.ops if kind_of(other) in ROUNDINGS]
    lost = [ROUNDINGS[kind] for kind in ours if kind not in theirs]
    for op_type in lost or ["Floor", "Round"]:
        if op_type == "Round" and case.opset < ROUND_SINCE:
            continue
        words = "where the reference has" if lost else "and agrees after"
        text = f"Cast cuts the fraction off {words} {op_type}"
        rounded = f"{output}.rounded"
        made = (Node(op_type, (name,), (rounded,)), copied(op, {name: rounded}))
        yield Hypothesis("cast.rounding", text, (Edit(output, nodes=made),), expected=bool(lost))


def _asked_type(graph: Graph, partner: Op | None) -> np.dtype[Any] | None:
    """The type of what the reference's cast writes."""
    dtype = graph.value(partner.outputs[0]).dtype if partner is not None else None
    try:
        return None if dtype is None else np.dtype(dtype)
    except TypeError:
        return None  # bfloat16 and its like


def _onnx_type(dtype: np.dtype[Any]) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(dtype))


# --- dropout


@family("Dropout")
def training(case: Case, op: Op) -> Iterator[Hypothesis]:
    """A Dropout that was left in training mode."""
    constant = case.operand_constant(op, 2)
    if constant is not None and bool(constant.any()):
        text = "Dropout is in training mode where the reference's only trains with it"
        yield Hypothesis("dropout.training_mode", text, (Edit(op.outputs[0], inputs={2: None}),), True)


@family("Mul")
def factor_kept(case: Case, op: Op) -> Iterator[Hypothesis]:
    """A factor 1-p where the reference's dropout does nothing at inference."""
    position = next((p for p in (0, 1) if scalar(case.operand_constant(op, p)) is not None), None)
    constant = None if position is None else case.operand_constant(op, position)
    now = scalar(constant)
    if position is None or constant is None or now is None or any(map(_scales, case.reference_ops)):
        return
    around = {name for pair in (*case.inputs, *case.outputs) for name in pair[:1]}
    around |= {name for other in case.reference_ops for name in (*other.inputs, *other.outputs)}
    for name in sorted(around):
        for dropout in case.reference.consumers.get(name, ()):
            if dropout.type == "dropout" and same(now, kept(case, dropout)):
                text = f"Mul has the factor {plain(now)} of a dropout where the reference's does nothing"
                edit = Edit(op.outputs[0], inputs={position: np.ones_like(constant)})
                yield Hypothesis("dropout.scale", text, (edit,), expected=True)
                return


@family(ANY)
def factor_lost(case: Case, op: Op) -> Iterator[Hypothesis]:
    """No factor 1-p where the reference's dropout multiplies by it."""
    if op.type in ("If", "Loop", "Scan", "Constant"):
        return
    for dropout in filter(_scales, case.reference_ops):
        factor = np.array(kept(case, dropout), dtype_of(case, op))
        if any(_multiplies(case, other, float(factor)) for other in case.ops):
            continue
        text = (
            f"the reference's dropout multiplies by {plain(float(factor))} where the candidate's does nothing"
        )
        for end in {c for r, c in case.outputs if r in dropout.outputs} & set(op.outputs):
            made = (copied(op, {end: f"{end}.whole"}), Node("Mul", (f"{end}.whole", factor), (end,)))
            yield Hypothesis("dropout.scale", text, (Edit(op.outputs[0], nodes=made),), expected=True)
        for start in {c for r, c in case.inputs if r in dropout.inputs} & set(op.inputs):
            less = f"{op.outputs[0]}.less"
            made = (Node("Mul", (start, factor), (less,)), copied(op, {start: less}))
            yield Hypothesis("dropout.scale", text, (Edit(op.outputs[0], nodes=made),), expected=True)


def _scales(op: Op) -> bool:
    """Whether this is a dropout that works at inference (one that does not is no compute op)."""
    return op.type == "dropout"


def kept(case: Case, dropout: Op) -> float:
    """1-p."""
    return 1.0 - float(np.asarray(case.asked(dropout, "dropout_prob", "p", default=0.5)).reshape(-1)[0])


def _multiplies(case: Case, op: Op, factor: float) -> bool:
    numbers = [scalar(case.operand_constant(op, place)) for place in (0, 1)]
    return op.type == "Mul" and any(number is not None and same(number, factor) for number in numbers)
