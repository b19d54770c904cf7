"""Softmax and LogSoftmax: the axis, the semantics before opset 13, the operator itself.

Up to opset 12 ONNX flattens all axes from ``axis`` on (default 1); from 13 it works along one (default -1),
as Paddle does. ONNX: operators Softmax-1, Softmax-13.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.settings import integer, numbers

ALONG_ONE_AXIS = 13
"""The opset from which Softmax works along a single axis."""


@family("Softmax", "LogSoftmax")
def softmax(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The operator and the axis that the reference asks for; then any other axis, and the other operator."""
    shape = case.shape(case.operand(op, 0))
    if not shape:
        return
    partner = partner_of(case, op, "softmax", "log_softmax")
    other = "LogSoftmax" if op.type == "Softmax" else "Softmax"
    asked = partner is not None and ("log" in partner.type.lower()) != (op.type == "LogSoftmax")
    where = f"the reference has {other}" if asked else f"{other} gives the reference's tensor"
    text = f"the candidate has {op.type} where {where}"
    yield Hypothesis("softmax.operator", text, (Edit(op.outputs[0], op_type=other),), asked)
    yield from _axes(case, op, partner, shape)


def _axes(case: Case, op: Op, partner: Op | None, shape: tuple[int, ...]) -> Iterator[Hypothesis]:
    rank, old = len(shape), case.opset < ALONG_ONE_AXIS
    wanted = expected_axis(case, partner, rank)
    if wanted is not None:
        wanted = _behind_transpose(case, op, wanted, rank)
    now = axis_of(op, case.opset) % rank
    mine = _words(now, shape, flattening=old)
    if wanted is not None and partner is not None and _flattens(case, partner, wanted, shape):
        if not (old and now == wanted):
            text = (
                f"{op.type} works along {mine} where the reference's works along axis {wanted} and all behind"
            )
            yield Hypothesis("softmax.axis", text, (flattened(op, wanted, old),), expected=True)
        wanted = None
    order = [axis for axis in range(rank) if axis != wanted]
    for axis in [wanted, *order] if wanted is not None else order:
        behind = int(np.prod(shape[axis + 1 :]))
        if axis == now and not (old and behind > 1):
            continue
        single = (
            along(op, axis, rank) if old and behind > 1 else Edit(op.outputs[0], attributes={"axis": axis})
        )
        end = (
            f"where the reference's works along axis {axis}"
            if axis == wanted
            else f"and agrees along axis {axis}"
        )
        yield Hypothesis("softmax.axis", f"{op.type} works along {mine} {end}", (single,), axis == wanted)
    if old:  # several axes at once, which only these opsets have
        for axis in range(1, rank - 1):
            if axis != now and int(np.prod(shape[axis + 1 :])) > 1:
                text = f"{op.type} works along {mine} and agrees along axis {axis} and all behind"
                yield Hypothesis("softmax.axis", text, (Edit(op.outputs[0], attributes={"axis": axis}),))


def _words(axis: int, shape: tuple[int, ...], *, flattening: bool) -> str:
    several = flattening and int(np.prod(shape[axis + 1 :])) > 1
    return f"axis {axis} and all behind" if several else f"axis {axis}"


def expected_axis(case: Case, partner: Op | None, rank: int) -> int | None:
    """The axis of the reference's softmax, from 0; None where its op is no softmax."""
    if partner is None or partner.type not in ("softmax", "log_softmax", "Softmax", "LogSoftmax"):
        return None
    if partner.type[0].isupper():
        return axis_of(partner, case.reference.opset) % rank
    return integer(case.asked(partner, "axis"), -1) % rank


def axis_of(op: Op, opset: int) -> int:
    """The axis of an ONNX node, its default following the opset."""
    return int(op.attributes.get("axis", -1 if opset >= ALONG_ONE_AXIS else 1))


def _behind_transpose(case: Case, op: Op, axis: int, rank: int) -> int:
    """Where the axis is when the candidate transposes ahead of its softmax and the reference does not.

    Converters for old opsets move the axis to the end and back.
    """
    ahead = next((node for node in case.nodes if op.inputs[0] in node.outputs), None)
    if (
        ahead is None
        or ahead.type != "Transpose"
        or any("transpose" in o.type.lower() for o in case.reference_ops)
    ):
        return axis
    perm = numbers(ahead.attributes.get("perm")) or list(reversed(range(rank)))
    return perm.index(axis) if axis in perm else axis


def _flattens(case: Case, partner: Op, axis: int, shape: tuple[int, ...]) -> bool:
    """Whether the reference's is an ONNX softmax over several axes at once."""
    onnx = partner.type[0].isupper()
    return onnx and case.reference.opset < ALONG_ONE_AXIS and int(np.prod(shape[axis + 1 :])) > 1


def flattened(op: Op, axis: int, old: bool) -> Edit:
    """A softmax over all axes from one on; from opset 13 the tensor is flattened and shaped back."""
    output = op.outputs[0]
    if old:
        return Edit(output, attributes={"axis": axis})
    return Edit(
        output,
        nodes=(
            Node("Flatten", (op.inputs[0],), (f"{output}.flat",), {"axis": axis}),
            Node(op.type, (f"{output}.flat",), (f"{output}.soft",), {"axis": 1}),
            Node("Shape", (op.inputs[0],), (f"{output}.shape",)),
            Node("Reshape", (f"{output}.soft", f"{output}.shape"), (output,)),
        ),
    )


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
