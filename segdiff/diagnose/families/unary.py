"""Functions of one number that are no activation: another one stands in the place of what is meant."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of

FUNCTIONS = {
    **{"abs": "Abs", "neg": "Neg", "sign": "Sign", "reciprocal": "Reciprocal"},
    **{"exp": "Exp", "log": "Log", "sqrt": "Sqrt", "erf": "Erf"},
    **{"sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan"},
    **{"sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh"},
}
"""By kind; the node takes one operand and has no attributes."""

SINCE = {"Sign": 9, "Erf": 9, "Sinh": 9, "Cosh": 9, "Asinh": 9, "Acosh": 9, "Atanh": 9}
"""Opsets; the others are older than any that is read."""

MISTAKEN = ("Abs", "Neg", "Exp", "Log", "Sqrt", "Reciprocal")
"""What may be meant where the reference does not say: converters write other operators out in these."""


@family(*FUNCTIONS.values())
def function(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The function of the reference's operator in this place; then what converters write with."""
    partner = partner_of(case, op, *FUNCTIONS)
    wanted = FUNCTIONS[kind_of(partner)] if partner is not None else None
    if partner is not None and wanted is not None and wanted != op.type and known_to_opset(case, wanted):
        text = f"the candidate has {op.type} where the reference has {partner.type}"
        yield Hypothesis("elementwise.function", text, (Edit(op.outputs[0], wanted),), expected=True)
    if wanted == op.type:
        return
    for other in MISTAKEN:
        if other not in (op.type, wanted):
            text = f"the candidate has {op.type} and agrees with {other}"
            yield Hypothesis("elementwise.function", text, (Edit(op.outputs[0], other),))


def known_to_opset(case: Case, op_type: str) -> bool:
    """Whether the model's opset knows the operator."""
    return case.opset >= SINCE.get(op_type, 1)
