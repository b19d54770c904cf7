"""What becomes of a NaN? Frameworks agree on numbers and disagree on this.

Measured on processors (paddle 2.6.2 and 3.2.2, onnxruntime 1.31.1): Paddle's relu makes 0 of a NaN and
onnxruntime's hands it on; Paddle's maximum over an axis is NaN where any element is, onnxruntime's leaves the
NaN out; Paddle's argmax passes NaNs over, onnxruntime's takes one that stands first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Op
from segdiff.diagnose.families.reduce import reduction_as
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import copied, dtype_of
from segdiff.diagnose.reading.settings import integers, places, source

ELEMENTWISE = ("Relu", "Clip", "HardSigmoid", "HardSwish", "ThresholdedRelu")
REDUCTIONS = ("ReduceMax", "ReduceMin")
INDICES = ("ArgMax", "ArgMin")


@family(*ELEMENTWISE)
def elementwise(case: Case, op: Op) -> Iterator[Hypothesis]:
    """0 for a NaN, or the NaN."""
    end = op.outputs[0]
    if not _differs(case, end):
        return
    for kind, value, words in (
        ("nan.kept", 0.0, "hands a NaN on and agrees with 0 in its place"),
        ("nan.lost", np.nan, "makes a number of a NaN and agrees with the NaN handed on"),
    ):
        plain, broken = f"{end}.plain", f"{end}.broken"
        made = (
            copied(op, {end: plain}),
            Node("IsNaN", (op.inputs[0],), (broken,)),
            Node("Where", (broken, np.array(value, dtype_of(case, op)), plain), (end,)),
        )
        yield Hypothesis(kind, f"{op.type} {words}", (Edit(end, nodes=made),))


@family(*REDUCTIONS)
def extreme(case: Case, op: Op) -> Iterator[Hypothesis]:
    """NaN where any element is NaN: one is added that is NaN there and 0 elsewhere."""
    end, shape = op.outputs[0], case.shape(case.operand(op, 0))
    if not _differs(case, end) or not shape:
        return
    axes = sorted(places(integers(case, op, "axes", 1) or range(len(shape)), len(shape)))
    whole = reduction_as(case, op, "ReduceSum", axes)
    plain, broken, zero, none = (f"{end}.{word}" for word in ("plain", "broken", "zero", "none"))
    dtype, operands = dtype_of(case, op), (*op.inputs[1:], *whole.inputs.values())
    made = (
        copied(op, {end: plain}),
        Node("IsNaN", (op.inputs[0],), (broken,)),
        Node("Where", (broken, np.array(np.nan, dtype), np.array(0, dtype)), (zero,)),
        Node("ReduceSum", (zero, *operands), (none,), {**op.attributes, **whole.attributes}),
        Node("Add", (plain, none), (end,)),
    )
    text = f"{op.type} leaves NaNs out and agrees with NaN where any element is"
    yield Hypothesis("nan.lost", text, (Edit(end, nodes=made),))


@family(*INDICES)
def place(case: Case, op: Op) -> Iterator[Hypothesis]:
    """NaNs passed over: they become what is chosen last."""
    operand, end = op.inputs[0], op.outputs[0]
    origin = source(case.candidate, operand)
    read = case.feeds.get(origin, case.got.get(origin))
    if read is None or read.dtype.kind != "f" or not np.isnan(read).any():
        return
    broken, plain = f"{end}.broken", f"{end}.plain"
    last = np.array(-np.inf if op.type == "ArgMax" else np.inf, dtype_of(case, op))
    made = (
        Node("IsNaN", (operand,), (broken,)),
        Node("Where", (broken, last, operand), (plain,)),
    )
    text = f"{op.type} takes a NaN that stands first and agrees where NaNs are passed over"
    yield Hypothesis("nan.kept", text, (Edit(end, inputs={0: plain}, before=made),))


def _differs(case: Case, end: str) -> bool:
    """Whether one side of this output, and one only, is NaN somewhere."""
    truth, got = case.truth.get(end), case.got.get(end)
    if truth is None or got is None or truth.size != got.size:
        return False
    if truth.dtype.kind != "f" or got.dtype.kind != "f":
        return False
    return bool((np.isnan(truth.reshape(-1)) != np.isnan(got.reshape(-1))).any())
