"""The thresholds of a detector's NMS: from when on boxes count as one, as found, and how many are kept.

Paddle's ``multiclass_nms3`` and its kin say all of it in attributes. ONNX has NonMaxSuppression, which knows
three of them, and keeps the best of all classes by a TopK whose K is the smaller of a constant and the count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segdiff.core.edit import Edit
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import plain, same

PADDLE = ("multiclass_nms3", "multiclass_nms2", "multiclass_nms", "matrix_nms")

SETTINGS = (
    ("iou_threshold", 3, "nms_threshold"),
    ("score_threshold", 4, "score_threshold"),
    ("max_output_boxes_per_class", 2, "nms_top_k"),
)
"""ONNX's name, the position of the operand, and Paddle's name."""


def partner(case: Case) -> Op | None:
    """The reference's NMS."""
    return next((op for op in case.reference_ops if op.type in PADDLE), None)


@family("NonMaxSuppression")
def thresholds(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Every threshold that is not the reference's."""
    theirs = partner(case)
    for name, place, word in SETTINGS:
        wanted = case.asked(theirs, word)
        held = case.operand_constant(op, place)
        if theirs is None or wanted is None or held is None or held.size != 1:
            continue
        now, value = float(held.reshape(-1)[0]), float(np.asarray(wanted).reshape(-1)[0])
        if same(now, value) or (place == 2 and value < 0):  # -1: all of them
            continue
        text = f"NonMaxSuppression has {name} {plain(now)} where the reference has {word} {plain(value)}"
        edit = Edit(op.outputs[0], inputs={place: np.full(held.shape, value, held.dtype)})
        yield Hypothesis(f"non_max_suppression.{name}", text, (edit,), expected=True)


@family("ReduceMin")
def kept_in_all(case: Case, op: Op) -> Iterator[Hypothesis]:
    """How many boxes of all classes are kept: the constant beside their count."""
    theirs = partner(case)
    joined = case.candidate.producer.get(op.inputs[0])
    wanted = case.asked(theirs, "keep_top_k")
    if theirs is None or wanted is None or joined is None or joined.type != "Concat":
        return
    value = int(np.asarray(wanted).reshape(-1)[0])
    for place, _ in enumerate(joined.inputs):
        held = case.operand_constant(joined, place)
        if (
            value < 0
            or held is None
            or held.dtype.kind != "i"
            or held.size != 1
            or int(held.reshape(-1)[0]) == value
        ):
            continue
        text = f"the candidate keeps {int(held[0])} boxes in all where the reference has keep_top_k {value}"
        edit = Edit(joined.outputs[0], inputs={place: np.full(held.shape, value, held.dtype)})
        yield Hypothesis("non_max_suppression.keep_top_k", text, (edit,), expected=True)
