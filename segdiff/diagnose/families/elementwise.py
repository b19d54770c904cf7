"""Arithmetic, element by element: which operator, in which order, how broadcast; exponents, scale, Mod.

Paddle's ``elementwise_*`` lay the second operand along ``axis`` (a ``.pdmodel`` only; -1 aligns the last
axes, as ONNX does); ``scale`` adds its bias after the factor or before (``bias_after_scale``); the remainder
has the sign of the divisor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import dtype_of, partner_of, plain, same, scalar

ARITHMETIC = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "max": "Max",
    "min": "Min",
    "pow": "Pow",
}
MISTAKEN = {
    "Add": ("Sub", "Mul", "Max"),
    "Sub": ("Add",),
    "Mul": ("Add", "Div"),
    "Div": ("Mul",),
    "Max": ("Min", "Add"),
    "Min": ("Max",),
}
"""What may really be meant."""

OPPOSITE = ("Add", "Sub")
"""One with a constant is the other with its sign turned."""

CHOOSING = ("Max", "Min")
"""They hand one operand on where that is the larger by nature: any operator that is too many then agrees."""

CHOOSERS = frozenset({"max", "min", "relu", "clip"})
"""Kinds of the reference that a Max or a Min can stand for."""

ORDERED = ("Sub", "Div", "Pow")
POWERS = ("pow", "square", "sqrt", "rsqrt", "layer_norm", "norm", "gelu", "reciprocal")
"""Kinds of the reference that a Pow can stand for."""

EXPONENTS = (2.0, 3.0, 0.5, -0.5, 1.0, -1.0)


@family(*ARITHMETIC.values())
def arithmetic(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The operator, the order of its operands, and how a constant is laid along the axes."""
    first, second = case.operand(op, 0), case.operand(op, 1)
    if first is None or second is None or len(op.inputs) != 2:
        return
    partner = partner_of(case, op, *ARITHMETIC)
    wanted = ARITHMETIC[kind_of(partner)] if partner is not None else None
    if wanted is not None and wanted != op.type and partner is not None and _both_spell(case):
        text = f"the candidate has {op.type} where the reference has {partner.type}"
        yield Hypothesis("elementwise.operator", text, (Edit(op.outputs[0], wanted),), expected=True)
    yield from _exchanged(case, op, partner, first, second)
    yield from _broadcast(case, op, partner)
    turned = list(_turned(case, op)) if wanted == op.type else []
    yield from turned
    theirs = {kind_of(each) for each in case.reference_ops}
    for other in MISTAKEN.get(op.type, ()):
        if other in CHOOSING and not theirs & CHOOSERS:
            continue
        if other != wanted and not (turned and other in OPPOSITE):
            text = f"the candidate has {op.type} and agrees with {other}"
            yield Hypothesis("elementwise.operator", text, (Edit(op.outputs[0], other),))


def _turned(case: Case, op: Op) -> Iterator[Hypothesis]:
    """A constant with the other sign, where the operator is the reference's: no other one was meant."""
    for position in (0, 1) if op.type == "Add" else (1,) if op.type == "Sub" else ():
        constant = case.operand_constant(op, position)
        if constant is not None and np.issubdtype(constant.dtype, np.floating):
            text = f"{op.type} agrees with the sign of its constant turned"
            yield Hypothesis("parameter.sign", text, (Edit(op.outputs[0], inputs={position: -constant}),))


def _both_spell(case: Case) -> bool:
    """Whether both sides have as many arithmetic operators, so that their places tell something."""
    ours = [other for other in case.reference_ops if kind_of(other) in ARITHMETIC]
    return len(ours) == len([other for other in case.ops if kind_of(other) in ARITHMETIC])


def _exchanged(case: Case, op: Op, partner: Op | None, first: str, second: str) -> Iterator[Hypothesis]:
    if op.type not in ORDERED or first == second:
        return
    expected = False
    if partner is not None and kind_of(partner) == kind_of(op) and len(partner.inputs) == 2:
        theirs = dict(case.inputs)
        mine = {theirs.get(name) for name in partner.inputs}
        place = [theirs.get(_operand(partner, p)) for p in (0, 1)]
        expected = {first, second} == mine and place == [second, first]
    words = "takes its operands in the other order than the reference" if expected else "agrees the other way"
    text = f"{op.type} {words}" + ("" if expected else " round, with its operands exchanged")
    edit = Edit(op.outputs[0], inputs={0: second, 1: first})
    yield Hypothesis("elementwise.order", text, (edit,), expected)


def _operand(op: Op, position: int) -> str:
    """An operand of the reference: X and Y, x and y, or by number."""
    names = (("X", "x", "0"), ("Y", "y", "1"))[position]
    slot = next((slot for slot in names if slot in op.slots), None)
    return op.inputs[op.slots.index(slot) if slot else position]


@family("PRelu")
def slope(case: Case, op: Op) -> Iterator[Hypothesis]:
    """PRelu's slope along another axis."""
    yield from _broadcast(case, op, partner_of(case, op, "prelu"))


def _broadcast(case: Case, op: Op, partner: Op | None) -> Iterator[Hypothesis]:
    """A constant with a value per channel laid along another axis of the same length."""
    for position in (0, 1):
        constant, shape = case.operand_constant(op, position), case.shape(case.operand(op, 1 - position))
        if constant is None or shape is None or constant.size < 2 or constant.ndim > len(shape):
            continue
        if constant.size != max(constant.shape) or (op.type == "PRelu" and position == 0):
            continue
        full = (1,) * (len(shape) - constant.ndim) + constant.shape
        home, wanted = full.index(constant.size), _asked_axis(case, partner, len(shape))
        axes = [axis for axis, size in enumerate(shape) if size == constant.size and axis != home]
        for axis in axes if wanted is None else [wanted] if wanted in axes else []:
            laid = constant.reshape([constant.size if a == axis else 1 for a in range(len(shape))])
            words = "and agrees along" if wanted is None else "where the reference's lies along"
            text = f"the constant of {op.type} lies along axis {home} {words} {axis}"
            edit = Edit(op.outputs[0], inputs={position: laid})
            yield Hypothesis("elementwise.broadcast", text, (edit,), expected=wanted is not None)


def _asked_axis(case: Case, partner: Op | None, rank: int) -> int | None:
    """The axis along which the reference lays its vector; None where it does not say."""
    if partner is None:
        return None
    if partner.type == "prelu":
        return 1 if partner.attributes.get("mode") == "channel" else None
    arrays = [case.reference_constant(name) for name in partner.inputs]
    array = next((a for a in arrays if a is not None and a.size > 1 and a.size == max(a.shape)), None)
    axis = int(partner.attributes.get("axis", -1))
    if array is None:
        return None
    place = array.shape.index(array.size)
    return axis + place if axis >= 0 else rank - array.ndim + place


@family("Pow")
def exponent(case: Case, op: Op) -> Iterator[Hypothesis]:
    """A constant exponent: what the reference's op raises to, else the customary ones."""
    constant = case.operand_constant(op, 1)
    now = scalar(constant)
    if constant is None or now is None:
        return
    partner = partner_of(case, op, *POWERS)
    asked = _asked_exponents(case, partner) if partner is not None else ()
    for value in dict.fromkeys((*asked, *(() if asked else EXPONENTS))):
        if not same(now, value):
            words = "where the reference asks for" if asked else "and agrees with"
            edit = Edit(op.outputs[0], inputs={1: np.full_like(constant, value)})
            text = f"Pow has the exponent {plain(now)} {words} {plain(value)}"
            yield Hypothesis("pow.exponent", text, (edit,), expected=bool(asked))


def _asked_exponents(case: Case, partner: Op) -> tuple[float, ...]:
    known = {"square": 2.0, "sqrt": 0.5, "rsqrt": -0.5, "layer_norm": 2.0, "gelu": 3.0, "reciprocal": -1.0}
    if kind_of(partner) in known:
        return (known[kind_of(partner)],)
    if partner.type == "p_norm":
        order = float(partner.attributes.get("porder", 2.0))
        return (order, 1 / order) if order else ()
    value = case.asked(partner, "factor", "FactorTensor", "Y", "y", "1")
    number = scalar(np.asarray(value)) if value is not None else None
    return () if number is None else (number,)


@family("Mod")
def modulo(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The sign of the remainder: that of the dividend (fmod) or, as in Paddle, of the divisor."""
    x, y = case.operand(op, 0), case.operand(op, 1)
    if x is None or y is None:
        return
    now, floating = int(op.attributes.get("fmod", 0)), dtype_of(case, op).kind == "f"
    partner = partner_of(case, op, "mod")
    paddle = partner is not None and not partner.type[0].isupper()
    if not floating:
        text = f"Mod has fmod {now} and agrees with {1 - now}"
        edit = Edit(op.outputs[0], attributes={"fmod": 1 - now})
        yield Hypothesis("mod.fmod", text, (edit,), expected=paddle and now == 1)
    elif now:
        output = op.outputs[0]
        text = "Mod has the sign of the dividend (fmod) where the reference's has that of the divisor"
        made = (
            Node("Div", (x, y), (f"{output}.ratio",)),
            Node("Floor", (f"{output}.ratio",), (f"{output}.whole",)),
            Node("Mul", (f"{output}.whole", y), (f"{output}.part",)),
            Node("Sub", (x, f"{output}.part"), (output,)),
        )
        yield Hypothesis("mod.fmod", text, (Edit(output, nodes=made),), expected=paddle)


@family("Mul", "Add")
def scale(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Paddle's scale, or any factor and offset: the offset added before the factor, or behind it."""
    position = next((p for p in (0, 1) if scalar(case.operand_constant(op, p)) is not None), None)
    offset = None if position is None else case.operand_constant(op, position)
    other = None if position is None else case.operand(op, 1 - position)
    if op.type != "Add" or position is None or offset is None or other is None or scalar(offset) == 0:
        return
    partner = next((o for o in case.reference_ops if o.type == "scale"), None)
    asked_after = None if partner is None else bool(partner.attributes.get("bias_after_scale", True))
    before = case.candidate.producer.get(other)
    behind = case.candidate.consumers.get(op.outputs[0], ())
    factor: float | None = None
    if before is not None and before.type == "Mul" and before in case.ops:
        factor = next((v for p in (0, 1) if (v := scalar(case.operand_constant(before, p)))), None)
        if factor and asked_after is not True:
            yield _offset(op, position, offset, factor, "behind", "before", asked_after is False)
    for reader in behind:
        if reader.type == "Mul" and reader in case.ops and asked_after is not False:
            factor = next((v for p in (0, 1) if (v := scalar(case.operand_constant(reader, p)))), None)
            if factor:
                yield _offset(op, position, offset, 1 / factor, "before", "behind", asked_after is True)


def _offset(
    op: Op, position: int, offset: Any, factor: float, now: str, wanted: str, expected: bool
) -> Hypothesis:
    """The offset times what it would have been multiplied by on the other side of the factor."""
    text = f"the candidate adds its offset {now} the factor where the reference adds it {wanted}"
    changed: Operand = (offset * factor).astype(offset.dtype)
    return Hypothesis("scale.order", text, (Edit(op.outputs[0], inputs={position: changed}),), expected)
