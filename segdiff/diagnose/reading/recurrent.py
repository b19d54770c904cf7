"""What should a recurrent node of ONNX hold? The reference's weights and settings, as ONNX writes them.

Paddle's ``rnn`` has all layers in one op: a list of weights, ``W`` and ``R`` of every layer and direction,
then of both biases. Its gates are input, forget, cell, output (LSTM) and reset, update, candidate (GRU); ONNX
has input, output, forget, cell and update, reset, hidden. Its GRU applies the reset gate behind the matrix
product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segdiff.core.graph import Array, Graph, Op
from segdiff.diagnose.reading import weights
from segdiff.diagnose.reading.case import Case

RECURRENT = ("LSTM", "GRU", "RNN")

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}

FROM_PADDLE = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "RNN": [0]}
"""Where each of ONNX's gates lies in Paddle's order."""

DEFAULTS: Mapping[str, Any] = {
    "direction": "forward",
    "linear_before_reset": 0,
    "input_forget": 0,
    "clip": None,
    "activations": None,
    "activation_alpha": None,
    "activation_beta": None,
}
"""What an attribute is where a node does not say; the shapes are told by the weights."""

W, R, B, LENGTHS, STATE, CELL = 1, 2, 3, 4, 5, 6
"""Input positions of a recurrent node."""

USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
"""Activations of one direction where a node does not say."""

SIDES = {"forward": 1, "reverse": 1, "bidirectional": 2}


@dataclass(frozen=True)
class Rows:
    """A computed tensor by the candidate's name, and which of its rows are meant: all of them where None."""

    name: str
    rows: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Recurrence:
    """A node as it should be: one layer, or one direction of it.

    ``settings`` are attributes; ``constants`` the content of inputs by their position, None for an input that
    is not there; ``tensors`` the inputs that are computed. A position that is in neither cannot be told.
    """

    settings: Mapping[str, Any]
    constants: Mapping[int, Array | None]
    tensors: Mapping[int, Rows]


@dataclass(frozen=True, eq=False)
class Side:
    """One direction of one layer of the reference.

    Like a :class:`Recurrence`, without the axis of directions in its constants; of ``tensors`` the row that
    is meant, and how many there are. ``layer`` is shared by both directions of one.
    """

    settings: Mapping[str, Any]
    constants: Mapping[int, Array | None]
    tensors: Mapping[int, tuple[str, int, int]]
    layer: tuple[str, int]


def constant_content(graph: Graph, name: str) -> Array | None:
    """The content of a tensor that hangs on parameters alone, also where nodes cut and join them.

    paddle2onnx 1.x leaves it to nodes to put a weight's gates in order.
    """
    found = weights.constant(graph, name)
    op = graph.producer.get(name)
    if found is not None or op is None or op.type not in ("Concat", "Slice"):
        return found
    parts = [constant_content(graph, part) for part in op.inputs]
    arrays = [part for part in parts if part is not None]
    if len(arrays) < len(parts):
        return None
    if op.type == "Concat":
        return np.concatenate(arrays, axis=int(op.attributes["axis"]))
    given = dict(zip(op.slots, arrays, strict=True))
    if "1" not in given or "2" not in given:
        return None
    starts, ends = given["1"].tolist(), given["2"].tolist()
    axes = given["3"].tolist() if "3" in given else range(len(starts))
    steps = given["4"].tolist() if "4" in given else [1] * len(starts)
    window = [slice(None)] * arrays[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        window[axis] = slice(start, end, step)
    return arrays[0][tuple(window)]


def settings_of(op: Op) -> dict[str, Any]:
    """The settings of an ONNX node, defaults filled in."""
    found = {name: op.attributes.get(name, default) for name, default in DEFAULTS.items()}
    return {name: list(v) if isinstance(v, list | tuple | np.ndarray) else v for name, v in found.items()}


def recurrence(case: Case, op: Op) -> Recurrence | None:
    """What the reference asks of a node; None where it has no op that could be meant."""
    nodes = [other for other in case.nodes if other.type == op.type]
    sides = [side for other in case.reference_ops for side in sides_of(case, other, op.type)]
    found = _shared_out(nodes, sides).get(op.outputs[0])
    return joined(op.type, found) if found else None


def sides_of(case: Case, op: Op, kind: str) -> list[Side]:
    """The directions of all layers of one op of the reference, where it is of this kind of ONNX's."""
    if op.type == kind:
        return _of_onnx(case, op)
    return _of_paddle(case, op, kind) if op.type == "rnn" else []


def _shared_out(nodes: list[Op], sides: list[Side]) -> dict[str, list[Side]]:
    """Which directions each node stands for, by what it writes: in order, one or two a node.

    Of two nodes that share a layer, the one that runs backwards stands for the direction that does.
    """
    found: dict[str, list[Side]] = {}
    place = 0
    for number, node in enumerate(nodes):
        count = SIDES.get(str(node.attributes.get("direction", "forward")), 1)
        if count > len(sides):
            continue
        place = min(place, len(sides) - count)
        mine = sides[place : place + count]
        pair = sides[place : place + 2]
        if count == 1 and len(pair) == 2 and pair[0].layer == pair[1].layer:
            ways = [str(each.attributes.get("direction", "forward")) for each in nodes[number : number + 2]]
            if ways == ["reverse", "forward"]:
                sides = [*sides[:place], pair[1], pair[0], *sides[place + 2 :]]
                mine = [pair[1]]
        found[node.outputs[0]] = mine
        place += count
    return found


def joined(kind: str, sides: Sequence[Side]) -> Recurrence | None:
    """One or two directions as one node has them; None where they are of different sizes, as two layers may
    be."""
    first = sides[0]
    for position in (W, R, B):
        shapes = {array.shape for side in sides if (array := side.constants.get(position)) is not None}
        if len(shapes) > 1:
            return None
    settings = dict(first.settings)
    if len(sides) == 2:
        settings["direction"] = "bidirectional"
    if any(side.settings["activations"] for side in sides):
        settings["activations"] = [
            name for side in sides for name in side.settings["activations"] or USUAL[kind]
        ]
    for name in ("activation_alpha", "activation_beta"):
        if all(side.settings[name] for side in sides):
            settings[name] = [number for side in sides for number in side.settings[name]]
    constants: dict[int, Array | None] = {}
    tensors: dict[int, Rows] = {}
    for position in (W, R, B, LENGTHS, STATE, CELL):
        if all(position in side.constants for side in sides):
            arrays = [side.constants[position] for side in sides]
            constants[position] = arrays[0] if position == LENGTHS else _stacked(arrays)
        elif all(position in side.tensors for side in sides):
            name, row, count = first.tensors[position]
            part = position != LENGTHS and len(sides) < count
            tensors[position] = Rows(name, (row, row + len(sides)) if part else None)
    return Recurrence(settings, constants, tensors)


def _stacked(arrays: Sequence[Array | None]) -> Array | None:
    """Both directions in one constant; zeros for one that is not there."""
    like = next((array for array in arrays if array is not None), None)
    if like is None:
        return None
    return np.stack([np.zeros_like(like) if array is None else array for array in arrays])


def _of_onnx(case: Case, op: Op) -> list[Side]:
    given = dict(zip(op.slots, op.inputs, strict=True))
    partner = {r: c for r, c in case.inputs if r}
    whole = settings_of(op)
    count = SIDES.get(str(whole["direction"]), 1)
    found = []
    for side in range(count):
        settings = dict(whole)
        if count == 2:
            settings["direction"] = ("forward", "reverse")[side]
        for name in ("activations", "activation_alpha", "activation_beta"):
            listed = whole[name]
            settings[name] = list(np.array_split(np.array(listed), count)[side].tolist()) if listed else None
        constants: dict[int, Array | None] = {}
        tensors: dict[int, tuple[str, int, int]] = {}
        for position in (W, R, B, LENGTHS, STATE, CELL):
            operand = given.get(str(position))
            if operand is None:
                constants[position] = None
            elif (array := constant_content(case.reference, operand)) is not None:
                constants[position] = array if position == LENGTHS else array[side]
            elif operand in partner:
                tensors[position] = (partner[operand], side, count)
        found.append(Side(settings, constants, tensors, (op.outputs[0], 0)))
    return found


def _of_paddle(case: Case, op: Op, kind: str) -> list[Side]:
    mode = str(op.attributes.get("mode", "LSTM"))
    if kind != ("RNN" if mode.startswith("RNN") else mode):
        return []
    found = [
        weights.constant(case.reference, name) for name in _listed(case, op, "weight_list", "WeightList")
    ]
    arrays = [array for array in found if array is not None]
    count = 2 if op.attributes.get("is_bidirec") else 1
    layers = int(op.attributes.get("num_layers", 1))
    if len(arrays) < len(found) or len(arrays) < 2 * count * layers:
        return []
    shared: dict[int, Array | None] = {}
    lengths: dict[int, tuple[str, int, int]] = {}
    _lengths(case, op, shared, lengths)
    partner = {r: c for r, c in case.inputs if r}
    states = dict(zip((STATE, CELL), _listed(case, op, "pre_state", "PreState"), strict=False))
    sides = []
    for number in range(layers * count):
        settings = {**DEFAULTS, "direction": ("forward", "reverse")[number % count]}
        settings["linear_before_reset"] = int(kind == "GRU")
        if kind == "RNN":
            settings["activations"] = [mode.removeprefix("RNN_").capitalize()]
        constants, tensors = {**shared, **_weights_of(arrays, kind, number, layers * count)}, dict(lengths)
        for position, name in states.items():
            if (whole := case.reference_constant(name)) is not None:
                constants[position] = whole[number].astype(arrays[0].dtype)
            elif name in partner:
                tensors[position] = (partner[name], number, layers * count)
        sides.append(Side(settings, constants, tensors, (op.outputs[0], number // count)))
    return sides


def _listed(case: Case, op: Op, *slots: str) -> list[str]:
    """The names in a list: of a slot that repeats, or of the op that gathers them."""
    found = [name for slot, name in zip(op.slots, op.inputs, strict=True) if slot in slots]
    spread = [case.reference.producer.get(name) for name in found]
    return [
        item
        for name, maker in zip(found, spread, strict=True)
        for item in (maker.inputs if maker and maker.type == "builtin.combine" else (name,))
    ]


def _weights_of(arrays: list[Array], kind: str, number: int, count: int) -> dict[int, Array | None]:
    """``W``, ``R`` and ``B`` of one direction, gates in ONNX's order, of a list of them for ``count``."""
    w, r = (_gates(arrays[2 * number + part], kind) for part in (0, 1))
    if len(arrays) < 4 * count:  # no biases
        return {W: w, R: r, B: None}
    first = 2 * (count + number)
    return {W: w, R: r, B: np.concatenate([_gates(arrays[first + part], kind) for part in (0, 1)])}


def _gates(array: Array, kind: str) -> Array:
    """A weight's or bias's gates, from Paddle's order to ONNX's."""
    return np.concatenate([np.split(array, GATES[kind])[gate] for gate in FROM_PADDLE[kind]])


def _lengths(
    case: Case, op: Op, constants: dict[int, Array | None], tensors: dict[int, tuple[str, int, int]]
) -> None:
    """The lengths of the sequences, as ONNX wants them: int32."""
    names = _listed(case, op, "sequence_length", "SequenceLength")
    partner = {r: c for r, c in case.inputs if r}
    if not names:
        constants[LENGTHS] = None
    elif (array := case.reference_constant(names[0])) is not None:
        constants[LENGTHS] = array.astype(np.int32)
    elif names[0] in partner:
        tensors[LENGTHS] = (partner[names[0]], 0, 1)
