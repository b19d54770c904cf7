"""Concat, Split, Gather, Where, Flatten, Squeeze: which part goes where.

Nothing is computed here, so a wrong node shows whole slices in the wrong place. Paddle: ``concat`` and
``stack``, ``split`` (sections or a number of parts), ``gather`` / ``index_select``, ``where``. ONNX: Split
takes its sizes as an operand from opset 13, Squeeze and Unsqueeze their axes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Array, Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.settings import (
    changed,
    first,
    integer,
    integers,
    numbers,
    paired,
    places,
    setting,
    source,
    spelt,
    their_integers,
)

MOST = 30
"""Suspects of one node and kind."""

SAME = 1e-6
"""Slices whose elements differ by less than this share are the same slice, computed in another order."""


@family("Concat")
def concat(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The reference's order of the parts and its axis; then two parts exchanged."""
    partner = partner_of(case, op, "concat", "stack")
    shapes = [case.shape(name) for name in op.inputs]
    wanted = _their_parts(case, op, partner)
    if wanted and wanted != list(op.inputs):
        yield _reordered(op, wanted, expected=True)
    rank = len(shapes[0] or ())
    now, asked = int(op.attributes.get("axis", 1)), their_integers(case, partner, 1, "axis", "AxisTensor")
    goal = places(asked, rank) if asked else []
    for axis in sorted(range(rank), key=lambda axis: axis not in goal):
        if axis != now % rank and (axis in goal or len(set(shapes)) == 1):
            yield setting(op, "concat.axis", "axis", now % rank, axis, expected=axis in goal)
    for one, other in first(itertools.combinations(range(len(op.inputs)), 2), MOST):
        names = list(op.inputs)
        names[one], names[other] = names[other], names[one]
        if names not in (wanted, list(op.inputs)):
            yield _reordered(op, names, expected=False)


def _their_parts(case: Case, op: Op, partner: Op | None) -> list[str] | None:
    """The candidate's parts in the reference's order; None where some of them are not paired."""
    if partner is None:
        return None
    ours = paired(case, case.inputs)
    mine = {source(case.candidate, name): name for name in op.inputs}
    last = _last_concat(case, partner)
    found = [mine.get(ours.get(source(case.reference, name), ""), "") for name in _joined(case, last)]
    return found if sorted(found) == sorted(op.inputs) else None


def _last_concat(case: Case, op: Op) -> Op:
    """The concat behind this one that joins what it gives with more parts; itself where there is none."""
    inside = {other.index for other in case.reference_ops}
    seen = {op.index}
    while op.type in _JOINING:
        readers = [r for name in op.outputs for r in case.reference.consumers.get(name, ())]
        behind = [r for r in readers if r.type in _JOINING and r.index in inside - seen]
        if len(readers) != 1 or not behind:
            break
        op = behind[0]
        seen.add(op.index)
    return op


def _joined(case: Case, op: Op) -> list[str]:
    """The parts of a concat; those of a concat along the same axis that is one of its parts in its place."""
    graph = case.reference
    inside = {other.index for other in case.reference_ops}
    vector = graph.producer.get(op.inputs[0])
    listed = vector if vector is not None and vector.type == "builtin.combine" else op
    parts: list[str] = []
    for name, slot in zip(listed.inputs, listed.slots, strict=True):
        maker = graph.producer.get(source(graph, name))
        nested = maker is not None and maker.type in _JOINING and maker.index in inside
        if maker is not None and nested and _axis_of(case, maker) == _axis_of(case, op):
            parts += _joined(case, maker)
        elif slot not in _AXIS:
            parts.append(name)
    return parts


def _axis_of(case: Case, op: Op) -> list[int] | None:
    return their_integers(case, op, 1, "axis", "AxisTensor")


_JOINING = ("concat", "Concat")


_AXIS = ("axis", "AxisTensor")


def _reordered(op: Op, names: list[str], *, expected: bool) -> Hypothesis:
    moved = {place: name for place, name in enumerate(names) if name != op.inputs[place]}
    why = (
        "where the reference has them in another order" if expected else "but agrees when they are exchanged"
    )
    text = f"Concat joins its parts {', '.join(map(str, moved))} {why}"
    return Hypothesis("concat.order", text, (Edit(op.outputs[0], inputs=moved),), expected)


@family("Split")
def split(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Axis and sizes that the reference asks for, then the order of the parts."""
    shape = case.shape(case.operand(op, 0))
    if not shape:
        return
    partner = partner_of(case, op, "split")
    asking = partner if partner is None or partner.type != "builtin.split" else _behind(case, partner)
    now = int(op.attributes.get("axis", 0)) % len(shape)
    axis = places([integer(case.asked(asking, "axis", "AxisTensor"), now)], len(shape)) or [now]
    if axis[0] != now:
        yield setting(op, "split.axis", "axis", now, axis[0], expected=True)
    sizes, wanted = integers(case, op, "split", 1), _their_sizes(case, asking, shape[axis[0]])
    if wanted and sizes and wanted != sizes and len(wanted) == len(op.outputs):
        edit = spelt(case, op, split=(1, wanted))
        yield changed(op, "split.sizes", "sizes", sizes, wanted, edit, True)
    for other in range(len(shape)):
        if other not in (now, axis[0]) and shape[other] == shape[now]:
            yield setting(op, "split.axis", "axis", now, other, expected=False)
    order = _their_outputs(case, op, partner)
    if order and order != op.outputs:
        yield _parts_exchanged(op, order, expected=True)
    for one, other in first(itertools.combinations(range(len(op.outputs)), 2), MOST):
        names = list(op.outputs)
        names[one], names[other] = names[other], names[one]
        if tuple(names) != order and case.shape(names[one]) == case.shape(names[other]):
            yield _parts_exchanged(op, tuple(names), expected=False)


def _behind(case: Case, op: Op) -> Op:
    """The op that splits, of the PIR op that only takes its list of results apart."""
    return case.reference.producer.get(op.inputs[0], op)


def _their_sizes(case: Case, partner: Op | None, length: int) -> list[int] | None:
    if partner is None or partner.type not in ("split", "split_with_num", "Split"):
        return None
    sizes = numbers(case.asked(partner, "sections", "split", "1"))
    if partner.type == "split_with_num" or not sizes:
        count = integer(case.asked(partner, "num", "num_outputs"), len(partner.outputs))
        return [length // count] * count if count and length % count == 0 else None
    rest = length - sum(size for size in sizes if size >= 0)
    return [rest if size < 0 else size for size in sizes]


def _their_outputs(case: Case, op: Op, partner: Op | None) -> tuple[str, ...] | None:
    """The candidate's outputs in the reference's order; None where some of them are not paired."""
    if partner is None:
        return None
    apart = (reader for name in partner.outputs for reader in case.reference.consumers.get(name, ()))
    listed = next((reader for reader in apart if reader.type == "builtin.split"), partner)
    ours = dict(case.outputs)
    found = tuple(ours.get(name, "") for name in listed.outputs)
    return found if sorted(found) == sorted(op.outputs) else None


def _parts_exchanged(op: Op, names: tuple[str, ...], *, expected: bool) -> Hypothesis:
    moved = [place for place, name in enumerate(names) if name != op.outputs[place]]
    why = (
        "where the reference has them in another order" if expected else "but agrees when they are exchanged"
    )
    text = f"Split hands out its parts {', '.join(map(str, moved))} {why}"
    node = Node("Split", operands(op), names, dict(op.attributes))
    return Hypothesis("split.order", text, (Edit(op.outputs[0], nodes=(node,)),), expected)


def operands(op: Op) -> tuple[Operand, ...]:
    """The operands of an ONNX node by position, None where one is left out."""
    named = {int(slot): name for name, slot in zip(op.inputs, op.slots, strict=True) if slot.isdigit()}
    return tuple(named.get(place) for place in range(max(named, default=-1) + 1))


@family("Gather", "GatherElements")
def gather(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Index and axis that the reference asks for; then the slice that the reference has; then a neighbour."""
    shape, indices = case.shape(case.operand(op, 0)), case.operand_constant(op, 1)
    if not shape:
        return
    partner = partner_of(case, op, "gather")
    now = int(op.attributes.get("axis", 0)) % len(shape)
    asked = case.asked(partner, "axis", "dim", "Axis")
    fallback = 0 if partner is not None else now
    goal = places([integer(asked, fallback)], len(shape)) or [now]
    for axis in sorted(range(len(shape)), key=lambda axis: axis != goal[0]):
        if axis != now and partner is not None and axis == goal[0]:
            yield setting(op, "gather.axis", "axis", now, axis, expected=True)
        elif axis != now and shape[axis] == shape[now]:
            yield setting(op, "gather.axis", "axis", now, axis, expected=False)
    if indices is not None and indices.dtype.kind == "i":
        yield from _indices(case, op, partner, indices, now)


def _indices(case: Case, op: Op, partner: Op | None, indices: Array, axis: int) -> Iterator[Hypothesis]:
    theirs = case.asked(partner, "index", "Index", "1")
    wanted = np.asarray(theirs) if theirs is not None else None
    size = (case.shape(case.operand(op, 0)) or ())[axis]
    tried = [indices, indices % size]
    if wanted is not None and wanted.dtype.kind == "i" and wanted.size == indices.size:
        wanted = wanted.astype(indices.dtype).reshape(indices.shape)
        yield from _indexed(op, indices, wanted, tried, expected=True)
    seen = _seen(case, op, indices, axis) if op.type == "Gather" else None
    if seen is not None:
        yield from _indexed(op, indices, seen, tried, expected=False)
    for place, shift in first(itertools.product(range(indices.size), (-1, 1)), MOST):
        moved = indices.copy()
        moved.reshape(-1)[place] = (int(indices.reshape(-1)[place]) + shift) % size
        yield from _indexed(op, indices, moved, tried, expected=False)


def _indexed(op: Op, now: Array, value: Array, tried: list[Array], *, expected: bool) -> Iterator[Hypothesis]:
    if any(np.array_equal(value, other) for other in tried):
        return
    tried.append(value)
    place = int(np.flatnonzero((value != now).reshape(-1))[0])
    before, after = (int(array.reshape(-1)[place]) for array in (now, value))
    edit = Edit(op.outputs[0], inputs={1: value})
    yield changed(op, "gather.index", "index", before, after, edit, expected, f"at place {place} the index")


def _seen(case: Case, op: Op, indices: Array, axis: int) -> Array | None:
    """The indices of the slices that the reference's tensor is made of; None unless each is found once."""
    name, truth = case.operand(op, 0) or "", case.truth.get(op.outputs[0])
    data = case.feeds.get(name, case.constant(name))
    if data is None or truth is None:
        return None
    expected = data.shape[:axis] + indices.shape + data.shape[axis + 1 :]
    if truth.shape != expected or not indices.size or data.dtype.kind not in "fiu":
        return None
    rows = np.moveaxis(data, axis, 0).reshape(data.shape[axis], -1)
    before = int(np.prod(data.shape[:axis], dtype=np.int64))
    parts = np.moveaxis(truth.reshape(before, indices.size, -1), 1, 0).reshape(indices.size, -1)
    if rows.shape[1] < 2:
        return None  # one number can be equal by chance
    found = []
    for part in parts:
        likely = np.flatnonzero(np.isclose(rows[:, 0], part[0], rtol=SAME, atol=0))
        fitting = [row for row in likely if np.allclose(rows[row], part, rtol=SAME, atol=0)]
        if len(fitting) != 1:
            return None
        found.append(fitting[0])
    return np.asarray(found, indices.dtype).reshape(indices.shape)


@family("Where")
def where(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The two branches exchanged."""
    yes, no = case.operand(op, 1), case.operand(op, 2)
    if yes is None or no is None or yes == no:
        return
    ours, partner = paired(case, case.inputs), partner_of(case, op, "where")
    theirs = {} if partner is None else dict(zip(partner.slots, partner.inputs, strict=True))
    named = [theirs.get(word, theirs.get(word.lower(), theirs.get(place, ""))) for word, place in _BRANCHES]
    wanted = [ours.get(source(case.reference, name), "") for name in named]
    mine = [source(case.candidate, name) for name in (yes, no)]
    expected = (wanted[0] == mine[1] or wanted[1] == mine[0]) and wanted != mine
    text = "Where takes its second operand where the condition holds and the reference its third"
    yield Hypothesis("where.order", text, (Edit(op.outputs[0], inputs={1: no, 2: yes}),), expected)


_BRANCHES = (("X", "1"), ("Y", "2"))


@family("Flatten")
def flatten(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Where the first of the two dimensions ends."""
    shape, truth = case.shape(case.operand(op, 0)), case.truth.get(op.outputs[0])
    if not shape:
        return
    now = int(op.attributes.get("axis", 1)) % (len(shape) + 1)
    partner = partner_of(case, op)
    wanted = None
    if partner is not None and partner.type == "Flatten":
        wanted = int(partner.attributes.get("axis", 1)) % (len(shape) + 1)
    for axis in range(len(shape) + 1):
        fits = truth is not None and truth.shape == (int(np.prod(shape[:axis])), int(np.prod(shape[axis:])))
        if axis != now:
            yield setting(op, "flatten.axis", "axis", now, axis, expected=axis == wanted or fits)


@family("Squeeze", "Unsqueeze")
def squeeze(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The axes that are dropped or put in."""
    shape, now = case.shape(case.operand(op, 0)), integers(case, op, "axes", 1)
    if shape is None or not now:
        return
    kind, partner = f"{op.type.lower()}.axes", partner_of(case, op)
    wanted = None
    if partner is not None and partner.type.lower().startswith(op.type.lower()):
        wanted = their_integers(case, partner, 1, "axes", "axis")
    rank = len(shape) + (len(now) if op.type == "Unsqueeze" else 0)
    here = places(now, rank)
    goal = places(wanted, rank) if wanted and len(wanted) == len(now) else None
    if goal and sorted(goal) != sorted(here):
        yield changed(op, kind, "axes", here, goal, spelt(case, op, axes=(1, goal)), True)
    for axes in first(itertools.combinations(range(rank), len(here)), MOST):
        fits = op.type == "Unsqueeze" or all(shape[axis] == 1 for axis in axes)
        if fits and list(axes) not in (sorted(here), sorted(goal or [])):
            yield changed(op, kind, "axes", here, list(axes), spelt(case, op, axes=(1, axes)), False)
