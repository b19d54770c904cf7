"""Softmax and LogSoftmax: the axis, the semantics before opset 13, the operator itself.

Up to opset 12 ONNX flattens all axes from ``axis`` on (default 1); from 13 it works along one (default -1),
as Paddle does. ONNX: operators Softmax-1, Softmax-13.
"""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.diagnose.case import Case
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.edit import Edit, Node
from segdiff.graph import Op

ALONG_ONE_AXIS = 13
"""The opset from which Softmax works along a single axis."""


@family("Softmax", "LogSoftmax")
def softmax(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The axis that the reference asks for, any other; then the other operator of the two."""
    shape = case.shape(case.operand(op, 0))
    if shape is None:
        return
    wanted = expected_axis(case, case.partner(op), len(shape))
    now = axis_of(op, case.opset) % len(shape)
    order = [axis for axis in range(len(shape)) if axis != wanted]
    for axis in [wanted, *order] if wanted is not None else order:
        flattening = case.opset < ALONG_ONE_AXIS and axis != len(shape) - 1
        if axis == now and not flattening:
            continue
        where = "where the reference's is" if axis == wanted else "and agrees with"
        yield Hypothesis(
            "softmax.axis",
            f"{op.type} works along axis {now} {where} {axis}",
            (along(op, axis, len(shape)) if flattening else Edit(op.outputs[0], attributes={"axis": axis}),),
            expected=axis == wanted,
        )
    other = "LogSoftmax" if op.type == "Softmax" else "Softmax"
    yield Hypothesis(
        "softmax.operator", f"the candidate has {op.type} for {other}", (Edit(op.outputs[0], op_type=other),)
    )


def expected_axis(case: Case, partner: Op | None, rank: int) -> int | None:
    """The axis of the reference's softmax, from 0; None where its op is no softmax."""
    if partner is None or partner.type not in ("softmax", "log_softmax", "Softmax", "LogSoftmax"):
        return None
    if partner.type[0].isupper():
        return axis_of(partner, case.reference.opset) % rank
    return int(case.asked(partner, "axis", default=-1)) % rank


def axis_of(op: Op, opset: int) -> int:
    """The axis of an ONNX node, its default following the opset."""
    return int(op.attributes.get("axis", -1 if opset >= ALONG_ONE_AXIS else 1))


def along(op: Op, axis: int, rank: int) -> Edit:
    """A softmax along one axis in an old opset: the axis is moved last and back."""
    perm = [place for place in range(rank) if place != axis] + [axis]
    back = [perm.index(place) for place in range(rank)]
    output = op.outputs[0]
    return Edit(
        output,
        nodes=(
            Node("Transpose", (op.inputs[0],), (f"{output}.moved",), {"perm": perm}),
            Node(op.type, (f"{output}.moved",), (f"{output}.soft",), {"axis": rank - 1}),
            Node("Transpose", (f"{output}.soft",), (output,), {"perm": back}),
        ),
    )
