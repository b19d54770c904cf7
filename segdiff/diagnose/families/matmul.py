"""MatMul and Gemm: which operand comes first, which one is turned over, by what the product is multiplied.

Paddle: ``matmul_v2`` and PIR's ``matmul`` turn an operand over by ``trans_x`` / ``transpose_x`` (and y);
``matmul`` of old programs also has ``alpha``; ``addmm`` is ``beta * input + alpha * x @ y``.
ONNX: operators MatMul, Gemm. What a constant operand holds is asked in ``parameters``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading import weights
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.differences import same
from segdiff.diagnose.reading.partner import partner_of

_FLAGS = ("transA", "transB")
_FIRST, _SECOND = ("X", "x", "0"), ("Y", "y", "1")


@family("Gemm", "com.microsoft.FusedMatMul", "com.microsoft.FusedGemm")
def gemm(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The factors, then the transpositions."""
    partner = _product(case, op)
    for name in ("alpha", "beta") if op.type != "com.microsoft.FusedMatMul" else ("alpha",):
        yield from _factor(case, op, partner, name)
    wanted = [flag for flag in _FLAGS if _wrong_flag(case, op, partner, flag)]
    for flag in [*wanted, *(flag for flag in _FLAGS if flag not in wanted)]:
        shape = case.shape(case.operand(op, _FLAGS.index(flag)))
        if flag in wanted or (shape and len(shape) >= 2 and shape[-1] == shape[-2]):
            now = int(op.attributes.get(flag, 0))
            text = f"{op.type} has {flag} {now} where the reference asks for {1 - now}"
            if flag not in wanted:
                text = f"{op.type} has {flag} {now} and agrees with {1 - now}"
            edit = Edit(op.outputs[0], attributes={flag: 1 - now})
            yield Hypothesis("matmul.transpose", text, (edit,), expected=flag in wanted)


@family("MatMul")
def matmul(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The order of the operands, then a square one turned over."""
    first, second = op.inputs[:2]
    expected = _exchanged(case, op, _product(case, op))
    if first != second:
        said = "where the reference has the other" if expected else "and agrees with the other"
        text = f"MatMul takes its operands in one order {said}"
        edit = Edit(op.outputs[0], inputs={0: second, 1: first})
        yield Hypothesis("matmul.order", text, (edit,), expected=expected)
    for position in (0, 1):
        shape = case.shape(op.inputs[position])
        if (
            shape
            and len(shape) >= 2
            and shape[-1] == shape[-2]
            and case.operand_constant(op, position) is None
        ):
            yield _turned(op, position, len(shape))


def _product(case: Case, op: Op) -> Op | None:
    partner = partner_of(case, op)
    return partner if partner is not None and kind_of(partner) == "matmul" else None


def _exchanged(case: Case, op: Op, partner: Op | None) -> bool:
    """Whether the reference's first operand is seen at the second place, or the other way round."""
    if partner is None or partner.type == "addmm":
        return False
    ours: dict[str, str] = {r: c for r, c in case.inputs if r}
    places = [ours.get(name) for name in _operands(partner)]
    if len(places) != 2 or places[0] == places[1]:
        return False
    swapped = (places[1], places[0])
    pairs = list(zip(swapped, op.inputs[:2], strict=True))
    known = [(wanted, got) for wanted, got in pairs if wanted is not None]
    return bool(known) and all(wanted == got for wanted, got in known)


def _operands(partner: Op) -> list[str]:
    """The first and the second operand of a reference's product."""
    by_slot = dict(zip(partner.slots, partner.inputs, strict=True))
    found = [next((by_slot[s] for s in names if s in by_slot), None) for names in (_FIRST, _SECOND)]
    return [name for name in found if name is not None]


def _turned(op: Op, position: int, rank: int) -> Hypothesis:
    """The operand of a MatMul transposed first."""
    perm = [*range(rank - 2), rank - 1, rank - 2]
    output = op.outputs[0]
    inputs: list[Any] = list(op.inputs[:2])
    inputs[position] = f"{output}.turned"
    edit = Edit(
        output,
        nodes=(
            Node("Transpose", (op.inputs[position],), (f"{output}.turned",), {"perm": perm}),
            Node("MatMul", tuple(inputs), (output,)),
        ),
    )
    which = ("first", "second")[position]
    return Hypothesis("matmul.transpose", f"MatMul agrees with its {which} operand transposed", (edit,))


def _factor(case: Case, op: Op, partner: Op | None, name: str) -> Iterator[Hypothesis]:
    """The factor of the product (alpha) or of what is added (beta)."""
    now = float(op.attributes.get(name, 1.0))
    wanted = _factors(case, partner, name)
    for place, value in enumerate(wanted):
        if not np.isclose(now, value, rtol=1e-6):
            edit = Edit(op.outputs[0], attributes={name: value})
            text = f"{op.type} has {name} {now:g} where the reference asks for {value:g}"
            yield Hypothesis("gemm.factor", text, (edit,), expected=place == 0)


def _factors(case: Case, partner: Op | None, name: str) -> list[float]:
    """The factor that the op names, or 1; for the product also that of a scale behind it."""
    found = case.asked(partner, name, name.capitalize())
    factors = [1.0 if found is None else float(np.asarray(found).reshape(-1)[0])]
    if name == "alpha":
        scales = [op for op in case.reference_ops if op.type == "scale"]
        asked = [case.asked(op, "scale", "ScaleTensor", default=1.0) for op in scales]
        factors += [float(np.asarray(value).reshape(-1)[0]) * factors[0] for value in asked]
    return list(dict.fromkeys(factors))


def _wrong_flag(case: Case, op: Op, partner: Op | None, flag: str) -> bool:
    """Whether a constant operand, or the reference's own flag, asks for the other transposition."""
    if partner is None:
        return False
    position = _FLAGS.index(flag)
    now = bool(op.attributes.get(flag, 0))
    names = _operands(partner)
    if len(names) != 2:
        return False
    held = case.operand_constant(op, position)
    slot = partner.slots[partner.inputs.index(names[position])]
    turned = weights.transposed(partner, slot)
    if held is None:
        inputs = {r: c for r, c in case.inputs if r}
        same_tensor = inputs.get(names[position]) == case.operand(op, position)
        return same_tensor and turned != now
    theirs = weights.constant(case.reference, names[position])
    if theirs is None or theirs.ndim != 2 or held.ndim != 2:
        return False
    plain, other = (a.shape == held.shape and same(held, a) for a in (theirs, theirs.T))
    return plain != other and (turned if plain else not turned) != now
