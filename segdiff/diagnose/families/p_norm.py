"""The norms that are no powers: the largest, the smallest, the number of elements that are not zero.

Paddle's ``p_norm`` takes ``porder`` inf, -inf and 0 as what they are the limits of. A converter that writes
them as Abs, Pow, ReduceSum, Pow like any other order raises to the power of infinity.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Op
from segdiff.diagnose.families.reduce import reduction_as
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import dtype_of, partner_of
from segdiff.diagnose.reading.settings import integers, places


@family("ReduceSum")
def limit(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The sum of powers, written as the reference's norm."""
    partner = partner_of(case, op, "norm", "reduce_sum")
    shape = case.shape(case.operand(op, 0))
    if partner is None or partner.type not in ("p_norm", "norm") or not shape:
        return
    order = float(partner.attributes.get("porder", 2.0))
    raised = case.candidate.producer.get(op.inputs[0])
    root = next((o for o in case.candidate.consumers.get(op.outputs[0], ()) if o.type == "Pow"), None)
    if raised is None or root is None or raised.type != "Pow" or not (math.isinf(order) or order == 0.0):
        return
    one = np.array(1, dtype_of(case, raised))
    plain_root = Edit(root.outputs[0], inputs={1: one})
    if order == 0.0:
        counted = Node("Sign", (raised.inputs[0],), raised.outputs[:1])
        edits: tuple[Edit, ...] = (Edit(raised.outputs[0], nodes=(counted,)), plain_root)
        what = "counts the elements that are not zero"
    else:
        axes = sorted(places(integers(case, op, "axes", 1) or range(len(shape)), len(shape)))
        extreme = reduction_as(case, op, "ReduceMax" if order > 0 else "ReduceMin", axes)
        edits = (Edit(raised.outputs[0], inputs={1: one}), extreme, plain_root)
        what = "takes the largest" if order > 0 else "takes the smallest"
    text = f"the candidate raises to the power of {order:g} where the reference's {partner.type} {what}"
    yield Hypothesis("norm.order", text, edits, expected=True)
