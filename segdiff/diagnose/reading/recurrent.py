"""What should a recurrent node of ONNX hold? The reference's weights and settings, as ONNX writes them.

Paddle's ``rnn`` has all layers in one op: a list of weights, ``W`` and ``R`` of every layer and direction,
then of both biases. Its gates are input, forget, cell, output (LSTM) and reset, update, candidate (GRU); ONNX
has input, output, forget, cell and update, reset, hidden. Its GRU applies the reset gate behind the matrix
product.
"""

from __future__ import annotations

from collections.abc import Mapping
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

SIDES = {"forward": 1, "reverse": 1, "bidirectional": 2}


@dataclass(frozen=True, eq=False)
class Recurrence:
    """One layer as it should be.

    ``settings`` are attributes; ``constants`` the content of inputs by their position, None for an input that
    is not there; ``tensors`` the candidate's names of inputs that are computed. A position that is in neither
    cannot be told.
    """

    settings: Mapping[str, Any]
    constants: Mapping[int, Array | None]
    tensors: Mapping[int, str]


def held(graph: Graph, name: str) -> Array | None:
    """The content of a tensor that hangs on parameters alone, also where nodes cut and join them.

    paddle2onnx 1.x leaves it to nodes to put a weight's gates in order.
    """
    found = weights.constant(graph, name)
    op = graph.producer.get(name)
    if found is not None or op is None or op.type not in ("Concat", "Slice"):
        return found
    parts = [held(graph, part) for part in op.inputs]
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
    nodes = [other for other in case.nodes if other.type in RECURRENT]
    place = next(number for number, other in enumerate(nodes) if other is op)
    theirs = [other for other in case.reference_ops if other.type == op.type]
    if theirs:
        return _of_onnx(case, theirs[min(place, len(theirs) - 1)])
    for paddle in (other for other in case.reference_ops if other.type == "rnn"):
        layers = int(paddle.attributes.get("num_layers", 1))
        if place < layers:
            return _of_paddle(case, op, paddle, place)
        place -= layers
    return None


def _of_onnx(case: Case, op: Op) -> Recurrence:
    given = dict(zip(op.slots, op.inputs, strict=True))
    partner = {r: c for r, c in case.inputs if r}
    constants: dict[int, Array | None] = {}
    tensors: dict[int, str] = {}
    for position in (W, R, B, LENGTHS, STATE, CELL):
        name = given.get(str(position))
        if name is None:
            constants[position] = None
        elif (array := held(case.reference, name)) is not None:
            constants[position] = array
        elif name in partner:
            tensors[position] = partner[name]
    return Recurrence(settings_of(op), constants, tensors)


def _of_paddle(case: Case, node: Op, op: Op, layer: int) -> Recurrence | None:
    mode = str(op.attributes.get("mode", "LSTM"))
    kind = "RNN" if mode.startswith("RNN") else mode
    if kind != node.type:
        return None
    sides = 2 if op.attributes.get("is_bidirec") else 1
    names = _listed(case, op, "weight_list", "WeightList")
    found = [weights.constant(case.reference, name) for name in names]
    if any(array is None for array in found):
        return None
    arrays = [array for array in found if array is not None]
    settings = {**DEFAULTS, "direction": "bidirectional" if sides == 2 else "forward"}
    settings["linear_before_reset"] = int(kind == "GRU")
    if kind == "RNN":
        settings["activations"] = [mode.removeprefix("RNN_").capitalize()] * sides
    constants: dict[int, Array | None] = _stacked(arrays, kind, layer, sides)
    tensors: dict[int, str] = {}
    _lengths(case, op, constants, tensors)
    states = _listed(case, op, "pre_state", "PreState")
    for position, name in zip((STATE, CELL) if kind == "LSTM" else (STATE,), states, strict=False):
        whole = case.reference_constant(name)
        if whole is not None:
            constants[position] = whole[layer * sides : (layer + 1) * sides]
    return Recurrence(settings, constants, tensors)


def _listed(case: Case, op: Op, *slots: str) -> list[str]:
    """The names in a list: of a slot that repeats, or of the op that gathers them."""
    found = [name for slot, name in zip(op.slots, op.inputs, strict=True) if slot in slots]
    spread = [case.reference.producer.get(name) for name in found]
    return [
        item
        for name, maker in zip(found, spread, strict=True)
        for item in (maker.inputs if maker and maker.type == "builtin.combine" else (name,))
    ]


def _stacked(arrays: list[Array], kind: str, layer: int, sides: int) -> dict[int, Array | None]:
    """``W``, ``R`` and ``B`` of one layer: both directions stacked, gates in ONNX's order."""
    first, half = layer * sides * 2, len(arrays) // 2
    w, r = (np.stack([_gates(arrays[first + 2 * n + k], kind) for n in range(sides)]) for k in (0, 1))
    if len(arrays) % 4 or half < first + 2 * sides:  # no biases
        return {W: w, R: r, B: None}
    b = [
        np.concatenate([_gates(arrays[half + first + 2 * n + k], kind) for k in (0, 1)]) for n in range(sides)
    ]
    return {W: w, R: r, B: np.stack(b)}


def _gates(array: Array, kind: str) -> Array:
    """A weight's or bias's gates, from Paddle's order to ONNX's."""
    return np.concatenate([np.split(array, GATES[kind])[gate] for gate in FROM_PADDLE[kind]])


def _lengths(case: Case, op: Op, constants: dict[int, Array | None], tensors: dict[int, str]) -> None:
    """The lengths of the sequences, as ONNX wants them: int32."""
    names = _listed(case, op, "sequence_length", "SequenceLength")
    partner = {r: c for r, c in case.inputs if r}
    if not names:
        constants[LENGTHS] = None
    elif (array := case.reference_constant(names[0])) is not None:
        constants[LENGTHS] = array.astype(np.int32)
    elif names[0] in partner:
        tensors[LENGTHS] = partner[names[0]]
