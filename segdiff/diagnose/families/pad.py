"""Pad: how much at which end of which axis, filled with what.

Paddle's ``pad3d`` and ``pad2d`` name the amounts per spatial axis (``pad3d``: left, right, top, bottom,
front, back, so the last axis first; ``pad2d``: top, bottom, left, right), ``pad`` in pairs from the first
axis; ONNX lists all beginnings and then all ends. ``replicate`` is ONNX's edge and ``circular`` its wrap,
which exists from opset 19 and is made of slices before. ONNX: attributes up to opset 10, operands from 11.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.settings import changed, first, integers, numbers, setting, spelt

MOST = 24
"""Suspects among the amounts."""

WRAPS = 19
"""The opset from which Pad knows ``wrap``."""

_MODES = {
    "constant": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "edge": "edge",
    "circular": "wrap",
}
_MODES["wrap"] = "wrap"
_PADDLE = ("pad3d", "pad2d", "pad")


@family("Pad")
def pad(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Mode, amounts and value that the reference asks for; then every other mode, 0 and 1, moved amounts."""
    shape, amounts = case.shape(case.operand(op, 0)), integers(case, op, "pads", 1)
    if not shape or "3" in op.slots:
        return
    partner = partner_of(case, op)
    partner = partner if partner is not None and partner.type in (*_PADDLE, "Pad") else None
    yield from _modes(case, op, partner, amounts)
    if amounts is not None and len(amounts) == 2 * len(shape):
        yield from _amounts(case, op, partner, amounts)
    yield from _values(case, op, partner)


def _modes(case: Case, op: Op, partner: Op | None, amounts: list[int] | None) -> Iterator[Hypothesis]:
    now = str(op.attributes.get("mode", "constant"))
    wanted = _MODES.get(str(case.asked(partner, "mode", default="constant"))) if partner is not None else None
    for mode in sorted(("constant", "reflect", "edge", "wrap"), key=lambda mode: mode != wanted):
        if mode == now:
            continue
        if mode != "wrap" or case.opset >= WRAPS:
            yield setting(op, "pad.mode", "mode", now, mode, expected=mode == wanted)
        elif amounts is not None and min(amounts) >= 0:
            edit = _wrapped(case, op, amounts)
            yield changed(op, "pad.mode", "mode", now, mode, edit, mode == wanted)


def _wrapped(case: Case, op: Op, amounts: list[int]) -> Edit:
    """The opposite ends of every padded axis sliced off and put on."""
    output, rank = op.outputs[0], len(amounts) // 2
    padded = [axis for axis in range(rank) if amounts[axis] or amounts[axis + rank]]
    nodes: list[Node] = []
    here = op.inputs[0]
    for axis in padded:
        after = output if axis == padded[-1] else f"{output}.wrapped{axis}"
        parts: list[str] = []
        for amount, end, word in ((amounts[axis], True, "tail"), (amounts[axis + rank], False, "head")):
            if amount:
                name = f"{after}.{word}"
                nodes.append(_end_of(case, here, name, axis, amount, last=end))
                parts.append(name)
        at = 1 if amounts[axis] else 0
        nodes.append(Node("Concat", (*parts[:at], here, *parts[at:]), (after,), {"axis": axis}))
        here = after
    return Edit(output, nodes=tuple(nodes) or (Node("Identity", (here,), (output,)),))


def _end_of(case: Case, source: str, name: str, axis: int, amount: int, *, last: bool) -> Node:
    start, end = (-amount, 2**31 - 1) if last else (0, amount)
    if case.opset < 10:
        return Node("Slice", (source,), (name,), {"starts": [start], "ends": [end], "axes": [axis]})
    operands = [np.asarray([value], np.int64) for value in (start, end, axis)]
    return Node("Slice", (source, *operands), (name,))


def _amounts(case: Case, op: Op, partner: Op | None, now: list[int]) -> Iterator[Hypothesis]:
    wanted = _their_amounts(case, partner, len(now) // 2)
    tried = [now]
    for amounts in first(([wanted] if wanted else []) + list(_moved(now)), MOST):
        if amounts not in tried:
            tried.append(amounts)
            edit = spelt(case, op, pads=(1, amounts))
            yield changed(op, "pad.amount", "pads", now, amounts, edit, amounts == wanted)


def _their_amounts(case: Case, partner: Op | None, rank: int) -> list[int] | None:
    """The reference's amounts as ONNX lists them; None where they are computed or for another rank."""
    said = numbers(case.asked(partner, "paddings", "Paddings", "pads", "1"))
    if partner is None or said is None:
        return None
    if partner.type == "Pad":
        return said if len(said) == 2 * rank else None
    pairs = [(said[place], said[place + 1]) for place in range(0, len(said) - 1, 2)]
    layout = str(partner.attributes.get("data_format", "NCHW"))
    if partner.type == "pad":
        axes = list(range(len(pairs)))
        if partner.attributes.get("pad_from_left_axis") is False:
            axes = list(range(rank))[::-1]
    else:
        spatial = list(range(1, rank - 1)) if layout.endswith("C") else list(range(2, rank))
        axes = spatial if partner.type == "pad2d" else spatial[::-1]
        if any(pair != (0, 0) for pair in pairs[len(axes) :]):
            return None  # pads an axis that the candidate's tensor does not have
    begin, end = [0] * rank, [0] * rank
    for axis, pair in zip(axes, pairs, strict=False):
        if axis < rank:
            begin[axis], end[axis] = pair
    return begin + end


def _moved(now: list[int]) -> Iterator[list[int]]:
    """Ends exchanged, one framework's order taken for the other's, one row moved, axes exchanged."""
    rank = len(now) // 2
    begin, end = now[:rank], now[rank:]
    yield end + begin
    pairs = [value for pair in zip(begin, end, strict=True) for value in pair]
    yield pairs
    yield now[::2] + now[1::2]
    for axis in range(rank):
        for source, sink in ((axis, axis + rank), (axis + rank, axis)):
            if now[source] > 0:
                moved = list(now)
                moved[source] -= 1
                moved[sink] += 1
                yield moved
    for one in range(rank):
        for other in range(one + 1, rank):
            swapped = list(now)
            for half in (0, rank):
                swapped[one + half], swapped[other + half] = now[other + half], now[one + half]
            yield swapped


def _values(case: Case, op: Op, partner: Op | None) -> Iterator[Hypothesis]:
    """What a constant padding is filled with."""
    if str(op.attributes.get("mode", "constant")) != "constant":
        return
    now = _now(case, op)
    wanted: float | None = None
    if partner is not None:
        said = case.asked(partner, "pad_value", "value", "2")
        wanted = float(np.asarray(said).reshape(-1)[0]) if said is not None and np.size(said) else 0.0
    form = case.forms.get(op.inputs[0])
    if now is None or form is None:
        return
    suspects = [value for value in (0.0, 1.0, float("-inf")) if value != wanted]
    for value in ([] if wanted is None else [wanted]) + suspects:
        if value == now or (not np.isfinite(value) and not form[0].startswith("float")):
            continue
        edit = _filled(case, op, value, form[0])
        yield changed(op, "pad.value", "value", now, value, edit, value == wanted)


def _now(case: Case, op: Op) -> float | None:
    """The present value; None where it is computed."""
    if case.opset < 11:
        return float(op.attributes.get("value", 0.0))
    if "2" not in op.slots:
        return 0.0
    said = case.operand_constant(op, 2)
    return float(said.reshape(-1)[0]) if said is not None and said.size else None


def _filled(case: Case, op: Op, value: float, dtype: str) -> Edit:
    if case.opset < 11:
        return Edit(op.outputs[0], attributes={"value": value})
    operand: Operand = np.asarray(value, np.dtype(dtype))
    return Edit(op.outputs[0], inputs={2: operand})
