"""Norms: epsilon, order of the parameters, groups, axis; as one node or written out.

Paddle's ``batch_norm``, ``instance_norm``, ``group_norm`` (epsilon 1e-5, written out by converters as an
InstanceNormalization of the groups) and ``layer_norm`` (over all axes from ``begin_norm_axis`` on, written
out as ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div). ONNX: operators of these names, LRN.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Array, Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import dtype_of, partner_of, plain, same, scalar

KINDS = ("batch_norm", "instance_norm", "group_norm", "layer_norm")
SLOTS = {1: ("Scale", "scale", "1"), 2: ("Bias", "bias", "2"), 3: ("Mean", "mean", "3")}
SLOTS[4] = ("Variance", "variance", "4")
NAMES = {1: "scale", 2: "bias", 3: "mean", 4: "variance"}

EPSILON = 1e-5
"""What ONNX and Paddle take where nobody says anything."""

CUSTOMARY_EPSILONS = (1e-5, 1e-3, 1e-6, 1e-12, 1e-4, 1e-8, 0.0)
LARGEST_EPSILON = 0.1

GROUPED = 21
"""The opset from which GroupNormalization has a scale for each channel."""


@family("BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization")
def norm(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Epsilon, the order of the parameters, then what only one of the norms has."""
    partner = partner_of(case, op, *KINDS)
    yield from _epsilon(case, op, partner)
    yield from _order(case, op, partner)
    if op.type == "GroupNormalization":
        yield from _groups(case, op, partner)
    if op.type == "InstanceNormalization" and partner is not None and kind_of(partner) == "group_norm":
        yield from _groups_of_reshape(case, op, partner)
    if op.type == "LayerNormalization":
        yield from _axis(case, op, partner)
    if op.attributes.get("training_mode"):
        yield from _training(op, partner)


def _training(op: Op, partner: Op | None) -> Iterator[Hypothesis]:
    """A batch norm left in training, in which it may give out the statistics that it has moved, too."""
    text = f"{op.type} takes the statistics of the batch where the reference has its own"
    attributes = {name: value for name, value in op.attributes.items() if name != "training_mode"}
    made = [Node("BatchNormalization", op.inputs, op.outputs[:1], attributes)]
    made += [
        Node("Identity", (old,), (new,))
        for old, new in zip(op.inputs[3:], op.outputs[1:], strict=False)
        if new
    ]
    edit = Edit(op.outputs[0], nodes=tuple(made))
    yield Hypothesis("batch_norm.training_mode", text, (edit,), expected=partner is not None)


def _family(op: Op) -> str:
    """The first half of the kind: ``batch_norm``."""
    return kind_of(op)


def asked_epsilon(case: Case, partner: Op | None) -> float | None:
    """The epsilon of the reference's norm; None where it is no norm."""
    if partner is None or kind_of(partner) not in KINDS:
        return None
    return float(case.asked(partner, "epsilon", default=EPSILON))


def _epsilon(case: Case, op: Op, partner: Op | None) -> Iterator[Hypothesis]:
    now, wanted = float(op.attributes.get("epsilon", EPSILON)), asked_epsilon(case, partner)
    kind, output = f"{_family(op)}.epsilon", op.outputs[0]
    if wanted is not None and partner is not None:
        if not same(now, wanted):
            text = (
                f"{op.type} has epsilon {plain(now)} where the reference's {partner.type} has {plain(wanted)}"
            )
            yield Hypothesis(kind, text, (Edit(output, attributes={"epsilon": wanted}),), expected=True)
        return
    for value in CUSTOMARY_EPSILONS:
        if not same(now, value):
            text = f"{op.type} has epsilon {plain(now)} and agrees with {plain(value)}"
            yield Hypothesis(kind, text, (Edit(output, attributes={"epsilon": value}),))


def _order(case: Case, op: Op, partner: Op | None) -> Iterator[Hypothesis]:
    """The parameters exchanged: as the reference's say, else every other order, pairs first."""
    operands = {place: case.operand(op, place) for place in SLOTS}
    names = {place: name for place, name in operands.items() if name is not None}
    shapes = {case.shape(name) for name in names.values()}
    if len(names) < 2 or len(shapes) != 1:
        return
    wanted = _by_content(case, partner, names)
    orders = [tuple(wanted[place] for place in names)] if wanted else _orders(tuple(names))
    for order in orders:
        moved = {place: other for place, other in zip(names, order, strict=True) if place != other}
        if not moved:
            continue
        kind = "layer_norm.order" if op.type == "LayerNormalization" else "batch_norm.order"
        words = ", ".join(f"its {NAMES[other]} for its {NAMES[place]}" for place, other in moved.items())
        found = "where the reference has" if wanted else "and agrees with"
        text = f"{op.type} takes its parameters in another order, {found} {words}"
        edit = Edit(op.outputs[0], inputs={place: names[other] for place, other in moved.items()})
        yield Hypothesis(kind, text, (edit,), expected=wanted is not None)


def _orders(places: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every order, those that exchange fewest parameters first."""
    found = list(itertools.permutations(places))
    return sorted(found, key=lambda order: sum(a != b for a, b in zip(order, places, strict=True)))[1:]


def _by_content(case: Case, partner: Op | None, names: dict[int, str]) -> dict[int, int] | None:
    """Which of the candidate's operands holds what belongs in each place; None if content does not tell."""
    if partner is None:
        return None
    held = {place: case.constant(name) for place, name in names.items()}
    found: dict[int, int] = {}
    for place in names:
        theirs = _parameter(case, partner, place)
        equal = [other for other, array in held.items() if _equal(array, theirs)]
        if not equal:
            return None
        found[place] = place if place in equal else equal[0]
    return found if sorted(found.values()) == sorted(names) else None


def _parameter(case: Case, partner: Op, place: int) -> Array | None:
    slot = next((slot for slot in SLOTS[place] if slot in partner.slots), None)
    return None if slot is None else case.reference_constant(partner.inputs[partner.slots.index(slot)])


def _equal(one: Array | None, other: Array | None) -> bool:
    if one is None or other is None or one.size != other.size:
        return False
    return bool(np.allclose(one.reshape(-1), other.reshape(-1), rtol=1e-6, atol=0.0))


def _groups(case: Case, op: Op, partner: Op | None) -> Iterator[Hypothesis]:
    shape = case.shape(case.operand(op, 0))
    now, wanted = int(op.attributes.get("num_groups", 1)), None
    if partner is not None and kind_of(partner) == "group_norm":
        wanted = case.asked(partner, "groups", "num_groups")
    if shape is None or (case.opset < GROUPED and wanted is None):
        return
    divisors = [count for count in range(1, shape[1] + 1) if shape[1] % count == 0]
    for count in divisors if wanted is None else [int(wanted)]:
        if count != now:
            words = "and agrees with" if wanted is None else "where the reference has"
            text = f"{op.type} has {now} groups {words} {count}"
            edit = Edit(op.outputs[0], attributes={"num_groups": count})
            yield Hypothesis("group_norm.groups", text, (edit,), expected=wanted is not None)


def _groups_of_reshape(case: Case, op: Op, partner: Op) -> Iterator[Hypothesis]:
    """A group norm written out: the groups are channels of an InstanceNormalization behind a Reshape."""
    wanted = case.asked(partner, "groups", "num_groups")
    before = case.candidate.producer.get(op.inputs[0])
    shape = case.operand_constant(before, 1) if before is not None and before.type == "Reshape" else None
    if wanted is None or before is None or shape is None or shape.size < 3 or int(shape[1]) == int(wanted):
        return
    changed, dtype = shape.copy(), dtype_of(case, op)
    changed[1] = int(wanted)
    edits = (
        Edit(before.outputs[0], inputs={1: changed}),
        Edit(op.outputs[0], inputs={1: np.ones(int(wanted), dtype), 2: np.zeros(int(wanted), dtype)}),
    )
    text = f"{op.type} works on {int(shape[1])} groups where the reference's group norm has {int(wanted)}"
    yield Hypothesis("group_norm.groups", text, edits, expected=True)


def _axis(case: Case, op: Op, partner: Op | None) -> Iterator[Hypothesis]:
    shape = case.shape(case.operand(op, 0))
    if shape is None:
        return
    now, wanted = int(op.attributes.get("axis", -1)) % len(shape), None
    if partner is not None and kind_of(partner) == "layer_norm":
        default = -1 if partner.type[0].isupper() else 1
        wanted = int(case.asked(partner, "begin_norm_axis", "axis", default=default)) % len(shape)
    for axis in range(1, len(shape)) if wanted is None else [wanted]:
        if axis != now:
            words = "and agrees with" if wanted is None else "where the reference's is"
            text = f"{op.type} starts at axis {now} {words} {axis}"
            edit = Edit(op.outputs[0], attributes={"axis": axis})
            yield Hypothesis("layer_norm.axis", text, (edit,), expected=wanted is not None)


# --- written out


@family("Add")
def written_out(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The constant under the root of a norm written out in nodes."""
    if not any(reader.type == "Sqrt" for reader in case.candidate.consumers.get(op.outputs[0], ())):
        return
    place = next((p for p in (0, 1) if scalar(case.operand_constant(op, p)) is not None), None)
    constant = None if place is None else case.operand_constant(op, place)
    now = scalar(constant)
    if place is None or constant is None or now is None or not 0 <= now <= LARGEST_EPSILON:
        return
    norms = [other for other in case.reference_ops if kind_of(other) in KINDS]
    named = kind_of(norms[0]) if norms else "layer_norm"
    asked = [value for other in norms if (value := asked_epsilon(case, other)) is not None]
    asked = asked or list(_added(case))
    for value in asked or CUSTOMARY_EPSILONS:
        if not same(now, value):
            words = "where the reference has" if asked else "and agrees with"
            text = f"the norm written out in nodes adds {plain(now)} under its root {words} {plain(value)}"
            edit = Edit(op.outputs[0], inputs={place: np.full_like(constant, value)})
            yield Hypothesis(f"{named}.epsilon", text, (edit,), expected=bool(asked))


def _added(case: Case) -> Iterator[float]:
    """Small numbers that the reference's ops add, where its norm is written out, too."""
    for op in case.reference_ops:
        if kind_of(op) == "scale":
            value = case.asked(op, "bias", default=0.0)
        elif kind_of(op) == "add":
            found = [scalar(case.reference_constant(name)) for name in op.inputs]
            value = next((number for number in found if number is not None), None)
        else:
            continue
        if value is not None and 0 < float(value) <= LARGEST_EPSILON:
            yield float(value)


@family("LRN")
def local_response(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The settings of a local response norm; Paddle's alpha is for one channel, ONNX's for all of them."""
    partner = partner_of(case, op, "LRN", "lrn")
    now = {"size": int(op.attributes.get("size", 1)), **_factors(op)}
    if partner is None:
        for size in (now["size"] - 2, now["size"] + 2, 5, 3):
            if size >= 1 and size != now["size"]:
                yield _lrn(op, "size", now["size"], size, "and agrees with", expected=False)
        return
    wanted: dict[str, float]
    if partner.type == "LRN":
        wanted = {"size": int(partner.attributes.get("size", 1)), **_factors(partner)}
    else:
        ask = partner.attributes.get
        size = int(ask("n", 5))
        wanted = {"size": size, "alpha": float(ask("alpha", 1e-4)) * size}
        wanted |= {"beta": float(ask("beta", 0.75)), "bias": float(ask("k", 2.0))}
    for name, value in wanted.items():
        if not same(float(now[name]), float(value)):
            yield _lrn(op, name, now[name], value, "where the reference has", expected=True)


def _factors(op: Op) -> dict[str, float]:
    defaults = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    return {name: float(op.attributes.get(name, value)) for name, value in defaults.items()}


def _lrn(op: Op, name: str, now: float, value: float, words: str, *, expected: bool) -> Hypothesis:
    text = f"LRN has {name} {plain(now)} {words} {plain(value)}"
    return Hypothesis(f"lrn.{name}", text, (Edit(op.outputs[0], attributes={name: value}),), expected)
