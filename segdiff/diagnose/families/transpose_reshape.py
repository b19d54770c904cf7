"""Transpose, Reshape, DepthToSpace, SpaceToDepth, Einsum, Expand, Tile: the order of axes and channels.

Paddle: ``transpose2`` (``axis``, in PIR ``perm``), ``reshape2``, ``pixel_shuffle`` (channels are ordered
C, r, r: ONNX calls that CRD), ``pixel_unshuffle`` (C, r, r again, where ONNX SpaceToDepth has r, r, C).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Array, Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.settings import changed, first, integer, integers, setting, their_integers

MOST = 30
"""Suspects of one node and kind."""

RANK = 6
"""Of a transpose all of whose orders are looked through (720)."""


@family("Transpose")
def transpose(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The reference's order; then every order that gives the same shape, the nearest first."""
    shape = case.shape(case.operand(op, 0))
    if not shape or len(shape) > RANK:
        return
    rank = len(shape)
    now = integers(case, op, "perm", -1) or list(reversed(range(rank)))
    partner = partner_of(case, op, "transpose")
    asked = their_integers(case, partner, -1, "perm", "axis")
    wanted = [place % rank for place in asked] if asked and len(asked) == rank else None
    if asked is None and partner is not None and partner.type == "Transpose":
        wanted = list(reversed(range(rank)))
    if wanted and wanted != now:
        yield setting(op, "transpose.perm", "perm", now, wanted, expected=True)
    truth = case.truth.get(op.outputs[0])
    goal = truth.shape if truth is not None and truth.ndim == rank else tuple(shape[place] for place in now)
    orders = sorted(itertools.permutations(range(rank)), key=lambda order: _moved(order, now))
    fitting = (list(order) for order in orders if tuple(shape[place] for place in order) == goal)
    for order in first((order for order in fitting if order not in (now, wanted)), MOST):
        yield setting(op, "transpose.perm", "perm", now, order, expected=False)


def _moved(order: Sequence[int], now: Sequence[int]) -> int:
    """How many places two orders differ in."""
    return sum(one != other for one, other in zip(order, now, strict=True))


@family("Reshape")
def reshape(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The shape that the reference asks for; then two of the dimensions exchanged."""
    source, now = case.shape(case.operand(op, 0)), case.shape(op.outputs[0])
    if source is None or now is None:
        return
    partner = partner_of(case, op)
    target = None
    if partner is not None and partner.type.lower().startswith("reshape"):
        said = their_integers(case, partner, 1, "ShapeTensor", "shape")
        target = said if said and "Shape" not in partner.slots else None
    wanted = resolved(target, source) if target else None
    if target and wanted and wanted != now:
        yield _shaped(op, now, target, expected=True)
    for one, other in first(itertools.combinations(range(len(now)), 2), MOST):
        dims = list(now)
        dims[one], dims[other] = dims[other], dims[one]
        if tuple(dims) not in (now, wanted) and 1 not in (dims[one], dims[other]):
            yield _shaped(op, now, dims, expected=False)


def resolved(target: Sequence[int], source: Sequence[int]) -> tuple[int, ...] | None:
    """The shape that a reshape with 0 (as it was) and -1 (the rest) leads to; None where it does not fit."""
    dims = [source[place] if dim == 0 and place < len(source) else dim for place, dim in enumerate(target)]
    size, known = int(np.prod(source)), int(np.prod([dim for dim in dims if dim != -1]))
    if dims.count(-1) == 1 and known > 0 and size % known == 0:
        dims[dims.index(-1)] = size // known
    return tuple(dims) if int(np.prod(dims)) == size else None


def _shaped(op: Op, now: Sequence[int], target: Sequence[int], *, expected: bool) -> Hypothesis:
    edit = Edit(op.outputs[0], inputs={1: np.asarray(target, np.int64)})
    return changed(op, "reshape.shape", "shape", list(now), list(target), edit, expected)


@family("DepthToSpace")
def depth_to_space(case: Case, op: Op) -> Iterator[Hypothesis]:
    """How the channels are ordered; before opset 11 there is one order, so they are put in order first."""
    shape, block = case.shape(case.operand(op, 0)), int(op.attributes.get("blocksize", 0))
    partner = partner_of(case, op)
    paddle = partner is not None and partner.type == "pixel_shuffle"
    now = str(op.attributes.get("mode", "DCR"))
    wanted = "CRD" if paddle else None
    if partner is not None and partner.type == "DepthToSpace":
        wanted = str(partner.attributes.get("mode", "DCR"))
    other = "CRD" if now == "DCR" else "DCR"
    if case.opset >= 11:
        yield setting(op, "depth_to_space.mode", "mode", now, other, expected=wanted == other)
    elif shape and len(shape) == 4 and block and shape[1] % block**2 == 0:
        order = np.arange(shape[1]).reshape(-1, block, block).transpose(1, 2, 0).reshape(-1)
        edit = _with_channels(op, order, before=True)
        yield changed(op, "depth_to_space.mode", "mode", now, other, edit, wanted == other)
    asked = integer(case.asked(partner, "upscale_factor", "blocksize"), block)
    if asked != block:
        yield setting(op, "depth_to_space.blocksize", "blocksize", block, asked, expected=True)


@family("SpaceToDepth")
def space_to_depth(case: Case, op: Op) -> Iterator[Hypothesis]:
    """ONNX has the place in the block outermost in the channels, ``pixel_unshuffle`` innermost."""
    shape, block = case.shape(case.operand(op, 0)), int(op.attributes.get("blocksize", 0))
    if not shape or len(shape) != 4 or not block:
        return
    partner = partner_of(case, op, "space_to_depth")
    order = np.arange(shape[1] * block**2).reshape(block, block, -1).transpose(2, 0, 1).reshape(-1)
    edit = _with_channels(op, order, before=False)
    asked = partner is not None and partner.type == "pixel_unshuffle"
    yield changed(
        op, "space_to_depth.mode", "mode", "DCR", "CRD", edit, asked, "channels in block-major order,"
    )


def _with_channels(op: Op, order: Array, *, before: bool) -> Edit:
    """The node with its channels put in another order, ahead of it or behind it."""
    output = op.outputs[0]
    inner = f"{output}.ordered"
    pick, axis = order.astype(np.int64), {"axis": 1}
    if before:
        gather = Node("Gather", (op.inputs[0], pick), (inner,), axis)
        return Edit(output, nodes=(gather, Node(op.type, (inner,), (output,), dict(op.attributes))))
    node = Node(op.type, (op.inputs[0],), (inner,), dict(op.attributes))
    return Edit(output, nodes=(node, Node("Gather", (inner, pick), (output,), axis)))


@family("Einsum")
def einsum(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The reference's equation; then the letters of the result in another order, of the same shape."""
    now = str(op.attributes.get("equation", "")).replace(" ", "")
    left, arrow, right = now.partition("->")
    partner = partner_of(case, op, "einsum")
    wanted = str(case.asked(partner, "equation", default="")).replace(" ", "")
    if wanted and wanted != now:
        same = sorted(wanted.partition("->")[2]) == sorted(right) and wanted.partition("->")[0] == left
        kind = "einsum.order" if same else "einsum.equation"
        yield setting(op, kind, "equation", repr(now), wanted, expected=True)
    sizes = _letters(left, [case.shape(name) for name in op.inputs])
    if not arrow or "." in now or len(right) > RANK or not all(letter in sizes for letter in right):
        return
    orders = sorted(
        itertools.permutations(right), key=lambda o: sum(a != b for a, b in zip(o, right, strict=True))
    )
    fitting = (o for o in orders if [sizes[letter] for letter in o] == [sizes[letter] for letter in right])
    for order in first(fitting, MOST):
        equation = f"{left}->{''.join(order)}"
        if equation not in (now, wanted):
            yield setting(op, "einsum.order", "equation", repr(now), equation, expected=False)


def _letters(left: str, shapes: Sequence[tuple[int, ...] | None]) -> dict[str, int]:
    """The size of every letter."""
    terms = left.split(",")
    if len(terms) != len(shapes):
        return {}
    return {
        letter: size
        for term, shape in zip(terms, shapes, strict=True)
        if shape is not None and len(term) == len(shape)
        for letter, size in zip(term, shape, strict=True)
    }


@family("Tile", "Expand")
def repeated(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The amounts that the reference asks for."""
    name = "repeats" if op.type == "Tile" else "shape"
    partner, now = partner_of(case, op, "expand"), integers(case, op, name, 1)
    words = ("repeat_times", "RepeatTimes") if op.type == "Tile" else ("shape", "Shape")
    asked = their_integers(case, partner, 1, *words)
    source = case.shape(case.operand(op, 0))
    if (
        partner is None
        or asked is None
        or source is None
        or len(asked) != len(source)
        or "as" in partner.type
    ):
        return
    if any("tensor" in slot for slot in partner.slots):
        return  # partly computed
    if op.type == "Expand":  # Paddle's -1 keeps a dimension, ONNX's 1 does
        asked = [size if want == -1 else want for want, size in zip(asked, source, strict=True)]
    if now is not None and len(now) == len(asked) and now != asked:
        edit = Edit(op.outputs[0], inputs={1: np.asarray(asked, np.int64)})
        yield changed(op, f"{op.type.lower()}.{name}", name, now, asked, edit, True)
