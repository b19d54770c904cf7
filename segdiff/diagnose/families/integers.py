"""Arithmetic on integers: how a quotient is rounded, and whether a factor keeps its fraction.

Paddle's ``floor_divide`` rounds down (since 2.5; towards zero before), ONNX's Div of integers towards zero.
Paddle's ``scale`` computes in the type of its input, so on integers its factor and its bias lose their
fraction (phi/kernels/cpu/scale_kernel.cc).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import dtype_of, partner_of, plain, scalar

MOD_SINCE = 10


@family("Div")
def quotient(case: Case, op: Op) -> Iterator[Hypothesis]:
    """A division of integers that rounds towards zero where the reference rounds down."""
    x, y, dtype = case.operand(op, 0), case.operand(op, 1), dtype_of(case, op)
    if x is None or y is None or dtype.kind not in "iu":
        return
    partner = partner_of(case, op, "floor_div", "div")
    expected = partner is not None and partner.type in ("elementwise_floordiv", "floor_divide")
    words = f"where the reference's {partner.type} rounds" if expected and partner else "and agrees rounded"
    text = f"Div of integers rounds towards zero {words} down"
    edit = Edit(op.outputs[0], nodes=_rounded_down(x, y, op.outputs[0], case.opset, dtype))
    yield Hypothesis("floor_divide.rounding", text, (edit,), expected)


def _rounded_down(x: str, y: str, output: str, opset: int, dtype: np.dtype[np.generic]) -> tuple[Node, ...]:
    """(x - x mod y) / y, whose remainder has the sign of y; before Mod, one less where the signs differ."""

    def inner(word: str) -> str:
        return f"{output}.{word}"

    if opset >= MOD_SINCE:
        return (
            Node("Mod", (x, y), (inner("rest"),)),
            Node("Sub", (x, inner("rest")), (inner("whole"),)),
            Node("Div", (inner("whole"), y), (output,)),
        )
    from onnx import helper

    return (
        Node("Div", (x, y), (inner("cut"),)),
        Node("Mul", (inner("cut"), y), (inner("part"),)),
        Node("Sub", (x, inner("part")), (inner("rest"),)),
        Node("Sign", (inner("rest"),), (inner("above"),)),
        Node("Sign", (y,), (inner("below"),)),
        Node("Mul", (inner("above"), inner("below")), (inner("sign"),)),
        Node("Less", (inner("sign"), np.array(0, dtype)), (inner("negative"),)),
        Node("Cast", (inner("negative"),), (inner("one"),), {"to": helper.np_dtype_to_tensor_dtype(dtype)}),
        Node("Sub", (inner("cut"), inner("one")), (output,)),
    )


@family("Mul", "Add")
def fraction(case: Case, op: Op) -> Iterator[Hypothesis]:
    """A factor or an offset with a fraction, which the reference's scale of integers does not have."""
    partner = next((other for other in case.reference_ops if other.type == "scale"), None)
    ends = {theirs for ours, theirs in case.outputs if partner is not None and ours in partner.outputs}
    if partner is None or not any(
        name in case.truth and case.truth[name].dtype.kind in "iu" for name in ends
    ):
        return
    for position in (0, 1):
        constant = case.operand_constant(op, position)
        now = scalar(constant)
        if constant is None or now is None or not math.isfinite(now) or now == math.trunc(now):
            continue
        word = "the factor" if op.type == "Mul" else "the offset"
        text = f"{op.type} has {word} {plain(now)} where the reference's scale, on integers, has "
        text += plain(math.trunc(now))
        edit = Edit(op.outputs[0], inputs={position: np.trunc(constant)})
        yield Hypothesis("scale.integer", text, (edit,), expected=True)
