"""An operator that takes the channels first where the reference has them last: transposes around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Op
from segdiff.diagnose.families.pool import adapted
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.paddle_op import ints
from segdiff.diagnose.reading.partner import copied, dtype_of, partner_of
from segdiff.diagnose.reading.schema import snake

LAYOUTS = ("NHWC", "NLC", "NWC", "NDHWC")

SIZES = 11
"""The opset from which a Resize takes sizes."""

SIZES_ALONE = 13
"""The opset from which it needs neither regions nor scales beside them; before, they may be empty."""


@family("AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "Conv", "ConvTranspose", "Resize")
@family("InstanceNormalization", "BatchNormalization", "LRN", "PRelu")
def channels_last(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The node between two transposes, where the reference says that its channels are the last axis."""
    other = partner_of(case, op)
    if other is None or len(op.outputs) != 1 or not op.inputs:
        return
    layout = other.attributes.get("data_format") or other.attributes.get("data_layout")
    shape, out = case.shape(op.inputs[0]), op.outputs[0]
    if layout not in LAYOUTS or shape is None or len(shape) != len(layout):
        return
    last = len(shape) - 1
    first, back = [0, last, *range(1, last)], [0, *range(2, last + 1), 1]
    node = copied(op, {op.inputs[0]: f"{out}.first", out: f"{out}.turned"})
    inner: tuple[Node, ...] = (node,)
    if op.type == "Resize":
        if case.opset < SIZES or out not in case.truth:
            return
        sizes = ints([case.truth[out].shape[axis] for axis in first])
        absent = None if case.opset >= SIZES_ALONE else np.zeros(0, np.float32)
        inner = (replace(node, inputs=(node.inputs[0], absent, absent, sizes)),)
    elif other.attributes.get("adaptive"):
        turned = replace(op, inputs=(f"{out}.first",), outputs=(f"{out}.turned",))
        space = tuple(shape[axis] for axis in first[2:])
        inner = adapted(turned, space, case.asked(other, "ksize", "kernel_size"), dtype_of(case, op))
    nodes = (
        Node("Transpose", (op.inputs[0],), (f"{out}.first",), {"perm": first}),
        *inner,
        Node("Transpose", (f"{out}.turned",), (out,), {"perm": back}),
    )
    text = f"{op.type} takes axis 1 for the channels where the reference's {other.type} is {layout}"
    yield Hypothesis(f"{snake(op.type)}.layout", text, (Edit(out, nodes=nodes),), expected=True)
