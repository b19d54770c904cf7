"""LSTM, GRU and RNN: gates, directions, biases, activations, initial states, lengths of sequences.

A node's weights hold one block a gate. Frameworks order the gates otherwise, join or keep apart the two
biases, and apply a GRU's reset gate before or behind the matrix product; each is a fault of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Array, Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.differences import difference, same
from segdiff.diagnose.reading.partner import plain
from segdiff.diagnose.reading.recurrent import (
    CELL,
    GATES,
    LENGTHS,
    RECURRENT,
    SIDES,
    STATE,
    USUAL,
    B,
    R,
    Recurrence,
    Rows,
    W,
    constant_content,
    joined,
    recurrence,
    settings_of,
    sides_of,
)

NAMES = {
    "LSTM": ("input", "output", "forget", "cell"),
    "GRU": ("update", "reset", "hidden"),
    "RNN": ("input",),
}

WORDS = {
    "direction": ("recurrent.direction", "runs {}", "runs {}"),
    "linear_before_reset": ("recurrent.linear_before_reset", "has linear_before_reset {}", "has {}"),
    "input_forget": ("recurrent.input_forget", "has input_forget {}", "has {}"),
    "clip": ("recurrent.clip", "clips at {}", "has {}"),
    "activations": ("recurrent.activations", "has the activations {}", "has {}"),
    "activation_alpha": ("recurrent.activations", "has activation_alpha {}", "has {}"),
    "activation_beta": ("recurrent.activations", "has activation_beta {}", "has {}"),
}


@family(*RECURRENT)
def recurrent(case: Case, op: Op) -> Iterator[Hypothesis]:
    """All that the reference asks of a recurrent node and it does not have."""
    wanted = recurrence(case, op)
    if wanted is None:
        return
    yield from _settings(op, wanted)
    yield from _weights(case, op, wanted)
    yield from _states(case, op, wanted)


def _settings(op: Op, wanted: Recurrence) -> Iterator[Hypothesis]:
    have = settings_of(op)
    for name, (kind, ours, theirs) in WORDS.items():
        now, then = have[name], wanted.settings[name]
        if now == then or (name == "activations" and _usual(op, now) == _usual(op, then)):
            continue
        told = [_told(_spelt(op, each) if name == "activations" else each) for each in (now, then)]
        text = f"{op.type} {ours.format(told[0])} where the reference {theirs.format(told[1])}"
        yield Hypothesis(kind, text, (Edit(op.outputs[0], attributes={name: then}),), expected=True)


def _usual(op: Op, activations: Any) -> list[str]:
    """Activations as they are compared: spelled out, in small letters."""
    return [str(name).lower() for name in _spelt(op, activations)]


def _spelt(op: Op, activations: Any) -> list[str]:
    """Activations spelled out, the usual ones where nothing is said."""
    sides = SIDES.get(str(op.attributes.get("direction", "forward")), 1)
    return list(activations or USUAL[op.type] * sides)


def _told(value: Any) -> str:
    return "none" if value is None else plain(value)


def _weights(case: Case, op: Op, wanted: Recurrence) -> Iterator[Hypothesis]:
    """W, R and B: gates or directions exchanged in all of them, or each on its own."""
    have = {place: _constant(case, op, place) for place in (W, R, B)}
    want = {place: wanted.constants.get(place) for place in (W, R, B)}
    computed = {p for p in (W, R, B) if have[p] is None and case.operand(op, p) is not None}
    known = set(wanted.constants) - computed  # of what is computed from the input nothing can be said
    unlike = [place for place in (W, R, B) if place in known and _differ(have[place], want[place])]
    if not unlike:
        return
    pairs = {place: (have[place], want[place]) for place in unlike}
    changes: dict[int, Operand] = {place: want[place] for place in unlike}
    edits = (Edit(op.outputs[0], inputs=changes),)
    both = {place: (h, w) for place, (h, w) in pairs.items() if h is not None and w is not None}
    if len(both) == len(pairs):
        if order := _gate_order(both, op.type):
            told = ", ".join(NAMES[op.type][gate] for gate in order)
            text = (
                f"the gates of {op.type} stand in the order {told} where ONNX has {', '.join(NAMES[op.type])}"
            )
            yield Hypothesis("recurrent.gates", text, edits, expected=True)
        elif all(h.shape[0] == 2 and same(h, w[::-1]) for h, w in both.values()):
            text = f"{op.type} has the weights of its two directions exchanged"
            yield Hypothesis("recurrent.direction", text, edits, expected=True)
        elif W in both and R in both and _exchanged(both[W], both[R]):
            text = f"{op.type} has W, the weights of its input, and R, those of its state, exchanged"
            yield Hypothesis("recurrent.weights", text, edits, expected=True)
        elif whose := _of_another(case, op, {place: h for place, (h, _) in both.items()}):
            text = f"{op.type} has the weights of {whose}"
            yield Hypothesis("recurrent.weights", text, edits, expected=True)
    for place in unlike:
        one = (Edit(op.outputs[0], inputs={place: want[place]}),)
        yield Hypothesis(*_unlike(op, place, have[place], want[place]), one, expected=True)


def _exchanged(first: tuple[Array, Array], second: tuple[Array, Array]) -> bool:
    """Whether each of two constants holds what the other should."""
    return same(first[0], second[1]) and same(second[0], first[1])


def _of_another(case: Case, op: Op, have: dict[int, Array]) -> str | None:
    """Which other layer or direction of the reference has exactly these constants; None where none does."""
    count = SIDES.get(str(op.attributes.get("direction", "forward")), 1)
    for other in case.reference.ops:
        if other.type != op.type and other.type != "rnn":
            continue
        sides = sides_of(case, other, op.type)
        for place in range(len(sides) - count + 1):
            asked = joined(op.type, sides[place : place + count])
            constants = asked.constants if asked else {}
            if asked and all(not _differ(array, constants.get(position)) for position, array in have.items()):
                layer = sides[place].layer[1] + 1
                return f"layer {layer} of the reference's {other.type} {other.outputs[0]!r}"
    return None


def _unlike(op: Op, place: int, have: Array | None, want: Array | None) -> tuple[str, str]:
    """Kind and words for one weight that is another."""
    name = {W: "W", R: "R", B: "B"}[place]
    if have is None or want is None:
        has, lacks = ("has", "has none") if want is None else ("lacks", "has one")
        return "recurrent.bias", f"{op.type} {has} the bias {name} where the reference {lacks}"
    if have.shape != want.shape:
        return "parameter.value", f"{name} of {op.type} has another shape than the reference's weights give"
    if place == B:
        halves = np.split(have, 2, axis=1), np.split(want, 2, axis=1)
        if same(halves[0][0], halves[1][1]) and same(halves[0][1], halves[1][0]):
            return "recurrent.bias", f"{op.type} has the two halves of its bias exchanged"
        if same(halves[0][0] + halves[0][1], halves[1][0] + halves[1][1]):
            return "recurrent.bias", f"{op.type} has its two biases added into one half"
        for half, part in zip((0, 1), ("input", "recurrent"), strict=True):
            if same(halves[0][1 - half], halves[1][1 - half]) and not halves[0][half].any():
                return "recurrent.bias", f"{op.type} has lost the {part} half of its bias"
    if order := _gate_order({place: (have, want)}, op.type):
        told = ", ".join(NAMES[op.type][gate] for gate in order)
        return "recurrent.gates", f"the gates in {name} of {op.type} stand in the order {told}"
    kind, how = difference(have, want, (1,))
    return kind, f"{name} of {op.type} is that of the reference {how}"


def _gate_order(pairs: dict[int, tuple[Array, Array]], op_type: str) -> tuple[int, ...] | None:
    """The one order of gates that makes all the wanted weights those there are; None where none does."""
    gates = GATES[op_type]
    for order in itertools.permutations(range(gates)):
        if list(order) != sorted(order) and all(
            h.shape == w.shape and same(h, _reordered(w, place, order)) for place, (h, w) in pairs.items()
        ):
            return order
    return None


def _reordered(array: Array, place: int, order: tuple[int, ...]) -> Array:
    """The blocks of the gates in another order; a bias has two rows of them."""
    rows = 2 if place == B else 1
    blocks = np.split(array, rows * len(order), axis=1)
    return np.concatenate([blocks[row * len(order) + gate] for row in range(rows) for gate in order], axis=1)


def _states(case: Case, op: Op, wanted: Recurrence) -> Iterator[Hypothesis]:
    """The initial states, and the lengths of the sequences."""
    kinds = {
        STATE: ("recurrent.initial_state", "initial state"),
        CELL: ("recurrent.initial_state", "initial cell state"),
        LENGTHS: ("recurrent.sequence_lens", "lengths of its sequences"),
    }
    for place, (kind, what) in kinds.items():
        then = wanted.tensors.get(place)
        if place not in wanted.constants and then is None:
            continue
        array = wanted.constants.get(place)
        name = case.operand(op, place)
        now = _constant(case, op, place)
        if then is not None and _reads(case, name, then):
            continue
        if then is None and not _other_state(name, now, array):
            continue
        other = "other" if place == LENGTHS else "another"
        lost = f"does not have the reference's {what}"
        text = f"{op.type} {lost if name is None else f'has {other} {what} than the reference'}"
        operand, before = _operand(op, place, then) if then is not None else (array, ())
        edit = Edit(op.outputs[0], inputs={place: operand}, before=before)
        yield Hypothesis(kind, text, (edit,), expected=True)


def _reads(case: Case, name: str | None, then: Rows) -> bool:
    """Whether a node's input is the tensor, or may be the rows of it."""
    if then.rows is None or name is None:
        return name == then.name
    maker = case.candidate.producer.get(name)
    return maker is not None and then.name in maker.inputs


def _operand(op: Op, place: int, then: Rows) -> tuple[Operand, tuple[Node, ...]]:
    """A computed tensor as an operand; some of its rows are cut out of it in front."""
    if then.rows is None:
        return then.name, ()
    ends = [np.array([row], np.int64) for row in then.rows]
    name = f"{op.outputs[0]}.{place}.rows"
    return name, (Node("Slice", (then.name, *ends, np.array([0], np.int64)), (name,)),)


def _other_state(name: str | None, now: Array | None, then: Array | None) -> bool:
    """Whether a constant is another; none at all stands for zeros."""
    if name is not None and now is None:
        return True  # computed where the reference has a constant, or nothing
    return _differ(_none_if_zero(now), _none_if_zero(then))


def _none_if_zero(array: Array | None) -> Array | None:
    return array if array is not None and array.any() else None


def _differ(have: Array | None, want: Array | None) -> bool:
    if have is None or want is None:
        return have is not want
    return have.shape != want.shape or not same(have, want)


def _constant(case: Case, op: Op, place: int) -> Array | None:
    name = case.operand(op, place)
    return None if name is None else constant_content(case.candidate, name)
