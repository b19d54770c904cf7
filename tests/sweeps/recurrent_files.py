"""How else may a recurrent network of the sweep be written in ONNX, and how may it be wrong?

``by_hand`` writes a network from its weights, with one node a layer or one a direction: simple RNNs and
lengths of sequences, too, which paddle2onnx leaves out. ``faults`` are what converters get wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segdiff.diagnose.reading.recurrent import FROM_PADDLE, GATES
from tests.models import Array, copied
from tests.sweeps.recurrent_specs import BATCH, LENGTHS, SHAPE, STEPS, Layer

Arrays = Mapping[str, Array]

ONNX = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}


class Pen:
    """Nodes and constants of a graph, as they are written."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, array: Any, kind: Any = np.float32) -> str:
        name = f"constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, kind), name))
        return name

    def node(self, kind: str, *inputs: str, count: int = 1, **settings: Any) -> list[str]:
        names = [f"{kind}.{len(self.nodes)}.{place}" for place in range(count)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **settings))
        return names


def by_hand(layer: Layer, weights: Arrays, *, apart: bool) -> ModelProto:
    """The network, a direction in a node of its own if ``apart``."""
    pen = Pen()
    kernel = pen.constant(weights["conv.weight"]), pen.constant(weights["conv.bias"])
    y = pen.node("Conv", "x", *kernel, strides=[2, 2], pads=[1, 1, 1, 1])[0]
    y = pen.node("ReduceMean", pen.node("Relu", y)[0], axes=[2], keepdims=0)[0]
    rows = pen.node("Transpose", y, perm=[2, 0, 1])[0]
    starts = _starts(pen, layer, weights, y)
    last = ""
    for number in range(layer.layers):
        rows, last = _layer(pen, layer, weights, number, rows, starts, apart=apart)
    if not layer.time_major:
        rows = pen.node("Transpose", rows, perm=[1, 0, 2])[0]
    product = pen.node("MatMul", rows, pen.constant(weights["head.weight"]))[0]
    out = pen.node("Add", product, pen.constant(weights["head.bias"]))[0]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (out, last)]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(SHAPE))
    graph = helper.make_graph(pen.nodes, "by_hand", [given], ends, pen.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)


def _starts(pen: Pen, layer: Layer, weights: Arrays, y: str) -> list[str | Array]:
    """The initial states: of all layers and directions, or the name of one that is computed."""
    names = ("h", "c") if layer.kind == "LSTM" else ("h",)
    if layer.states == "constant":
        return [weights[name] for name in names]
    if layer.states is None:
        return []
    mean = pen.node("ReduceMean", y, axes=[2], keepdims=0)[0]
    found: list[str | Array] = []
    for name in names:
        product = pen.node("MatMul", mean, pen.constant(weights[f"make_{name}.weight"]))[0]
        state = pen.node("Add", product, pen.constant(weights[f"make_{name}.bias"]))[0]
        found.append(pen.node("Unsqueeze", state, pen.constant([0], np.int64))[0])
    return found


def _layer(
    pen: Pen,
    layer: Layer,
    weights: Arrays,
    number: int,
    rows: str,
    starts: list[str | Array],
    *,
    apart: bool,
) -> tuple[str, str]:
    """All steps of one layer, and its last state of the last direction."""
    kind, sides = ONNX[layer.kind], range(layer.sides)
    held = [_weights(weights, kind, number, side) for side in sides]
    groups = [[side] for side in sides] if apart else [list(sides)]
    made, last = [], ""
    for group in groups:
        operands = [
            rows,
            *(pen.constant(np.stack([held[side][part] for side in group])) for part in range(3)),
        ]
        operands.append(pen.constant(LENGTHS, np.int32) if layer.lengths else "")
        first = number * layer.sides + group[0]
        operands += [
            start if isinstance(start, str) else pen.constant(start[first : first + len(group)])
            for start in starts
        ]
        direction = "bidirectional" if len(group) == 2 else "reverse" if group == [1] else "forward"
        more: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
        if layer.activation != "tanh":
            more["activations"] = [layer.activation.capitalize()] * len(group)
        got = pen.node(kind, *operands, count=2, hidden_size=layer.hidden, direction=direction, **more)
        turned = pen.node("Transpose", got[0], perm=[0, 2, 1, 3])[0]
        size = pen.constant([STEPS, BATCH, len(group) * layer.hidden], np.int64)
        made.append(pen.node("Reshape", turned, size)[0])
        last = pen.node("Gather", got[1], pen.constant(len(group) - 1, np.int64), axis=0)[0]
    return (pen.node("Concat", *made, axis=2)[0] if len(made) > 1 else made[0]), last


def _weights(weights: Arrays, kind: str, layer: int, side: int) -> tuple[Array, Array, Array]:
    """``W``, ``R`` and ``B`` of one direction, gates in ONNX's order."""
    end = f"_l{layer}{'_reverse' if side else ''}"

    def gates(stem: str) -> Array:
        parts = np.split(weights[f"recurrent.{stem}{end}"], GATES[kind])
        return np.concatenate([parts[gate] for gate in FROM_PADDLE[kind]])

    return gates("weight_ih"), gates("weight_hh"), np.concatenate([gates("bias_ih"), gates("bias_hh")])


def with_lengths(model: ModelProto) -> ModelProto:
    """The file with the lengths that paddle2onnx leaves out."""
    copy = copied(model)
    copy.graph.initializer.append(numpy_helper.from_array(np.array(LENGTHS, np.int32), "lengths"))
    for node in recurrent_nodes(copy):
        _put(node, 4, "lengths")
    return copy


def recurrent_nodes(model: ModelProto) -> list[NodeProto]:
    """The recurrent nodes, in order."""
    return [node for node in model.graph.node if node.op_type in GATES]


@dataclass(frozen=True)
class Fault:
    """A wrong file: what the fault is called, what the ``node`` writes, the kinds that its cause may have."""

    name: str
    kinds: tuple[str, ...]
    node: tuple[str, ...]
    model: ModelProto


Change = Callable[[ModelProto, NodeProto, dict[int, Array]], "tuple[str, ...] | None"]
"""Spoils the node (its constants by position); the kinds that may be told, None where it does not apply."""


def faults(model: ModelProto) -> Iterator[Fault]:
    """Every fault that a file can have, one after the other, at its last recurrent node."""
    count = len(recurrent_nodes(model))
    for name, change in CHANGES.items():
        copy = copied(model)
        node = recurrent_nodes(copy)[count - 1]
        kinds = change(copy, node, _constants(model, node))
        if kinds is not None:
            touched = (node.output[0],)
            yield Fault(name, kinds, touched, copy)


def _constants(model: ModelProto, node: NodeProto) -> dict[int, Array]:
    """The operands of a node that hang on constants alone, by position: computed, where nodes make them."""
    found: dict[int, Array] = {}
    makers = {name: each for each in model.graph.node for name in each.output}
    for place, name in enumerate(node.input):
        if place and name and not _fed(makers, name):
            copy = copied(model)
            del copy.graph.output[:]
            copy.graph.output.append(helper.make_empty_tensor_value_info(name))
            held = [tensor for tensor in copy.graph.initializer if tensor.name == name]
            found[place] = numpy_helper.to_array(held[0]) if held else _value(copy, name)
    return found


def _fed(makers: Mapping[str, NodeProto], name: str) -> bool:
    return name == "x" or (name in makers and any(_fed(makers, each) for each in makers[name].input if each))


def _value(model: ModelProto, name: str) -> Array:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made: Array = session.run([name], {"x": np.zeros(SHAPE, np.float32)})[0]
    return made


def _put(node: NodeProto, place: int, name: str) -> None:
    names = [*node.input, *[""] * (place + 1 - len(node.input))]
    names[place] = name
    del node.input[:]
    node.input.extend(names)


def _write(model: ModelProto, node: NodeProto, place: int, array: Array) -> None:
    """Another constant in a place."""
    name = f"spoilt.{place}"
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
    _put(node, place, name)


def _set(node: NodeProto, **settings: Any) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name not in settings]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in settings.items())])


def _has(node: NodeProto, name: str) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)


def _sides(held: Mapping[int, Array]) -> int:
    return len(held[1])


def _turned(array: Array, gates: int, rows: int) -> Array:
    """The gates in Paddle's order, or the first two exchanged."""
    blocks = np.split(array, rows * gates, axis=1)
    order = [1, 0, *range(2, gates)]
    return np.concatenate([blocks[row * gates + gate] for row in range(rows) for gate in order], axis=1)


def gates(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """Two gates exchanged in all weights."""
    if node.op_type == "RNN":
        return None
    for place in (1, 2, 3):
        _write(model, node, place, _turned(held[place], GATES[node.op_type], 1 + (place == 3)))
    return ("recurrent.gates",)


def gates_of_one(place: int) -> Change:
    """The same in one of the weights."""

    def change(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
        if node.op_type == "RNN":
            return None
        _write(model, node, place, _turned(held[place], GATES[node.op_type], 1 + (place == 3)))
        return ("recurrent.gates",)

    return change


def direction(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """Run the other way, or both directions' weights exchanged."""
    if _sides(held) == 2:
        for place in (1, 2, 3):
            _write(model, node, place, held[place][::-1])
    else:
        now = (_has(node, "direction") or b"forward").decode()
        _set(node, direction="reverse" if now == "forward" else "forward")
    return ("recurrent.direction",)


def biases_of_sides(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """The biases of both directions exchanged."""
    if _sides(held) == 1:
        return None
    _write(model, node, 3, held[3][::-1])
    return ("recurrent.direction", "recurrent.bias")


def reset(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """The reset gate in front of the matrix product."""
    if node.op_type != "GRU":
        return None
    _set(node, linear_before_reset=0)
    return ("recurrent.linear_before_reset",)


def activations(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """Another activation."""
    usual = {"LSTM": ["HardSigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Softsign"], "RNN": ["Softsign"]}
    _set(node, activations=usual[node.op_type] * _sides(held))
    return ("recurrent.activations",)


def clip(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """A bound that the reference does not have."""
    _set(node, clip=0.05)
    return ("recurrent.clip",)


def input_forget(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """Input and forget gate coupled."""
    if node.op_type != "LSTM":
        return None
    _set(node, input_forget=1)
    return ("recurrent.input_forget",)


def state_lost(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """No initial state."""
    places = [place for place in (5, 6) if place < len(node.input) and node.input[place]]
    places = [place for place in places if place not in held or held[place].any()]
    if not places:
        return None
    for place in places:
        _put(node, place, "")
    return ("recurrent.initial_state",)


def cell_lost(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """No initial cell state."""
    if node.op_type != "LSTM" or len(node.input) < 7 or (6 in held and not held[6].any()):
        return None
    _put(node, 6, "")
    return ("recurrent.initial_state",)


def states_exchanged(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """Hidden and cell state exchanged."""
    if node.op_type != "LSTM" or len(node.input) < 7 or (5 in held and not held[5].any()):
        return None
    hidden, cell = node.input[5], node.input[6]
    _put(node, 5, cell)
    _put(node, 6, hidden)
    return ("recurrent.initial_state",)


def state_added(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """An initial state where the reference starts from zeros."""
    if len(node.input) > 5 and node.input[5] and (5 not in held or held[5].any()):
        return None
    _write(model, node, 5, np.full((_sides(held), BATCH, held[2].shape[2]), 0.5, np.float32))
    return ("recurrent.initial_state",)


def lengths_lost(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """The lengths of the sequences lost."""
    if 4 not in held:
        return None
    _put(node, 4, "")
    return ("recurrent.sequence_lens",)


def lengths_added(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """Lengths that the reference does not have."""
    if 4 in held:
        return None
    _write(model, node, 4, np.array([STEPS - 3, STEPS], np.int32))
    return ("recurrent.sequence_lens",)


def bias_lost(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """No biases."""
    _put(node, 3, "")
    return ("recurrent.bias",)


def half_lost(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """One half of the bias lost."""
    half = held[3].copy()
    half[:, half.shape[1] // 2 :] = 0
    _write(model, node, 3, half)
    return ("recurrent.bias",)


def halves_exchanged(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """Both halves of the bias exchanged, which a GRU feels."""
    if node.op_type != "GRU":
        return None
    parts = np.split(held[3], 2, axis=1)
    _write(model, node, 3, np.concatenate([parts[1], parts[0]], axis=1))
    return ("recurrent.bias",)


def halves_added(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """Both halves added into one, which a GRU feels."""
    if node.op_type != "GRU":
        return None
    parts = np.split(held[3], 2, axis=1)
    _write(model, node, 3, np.concatenate([parts[0] + parts[1], 0 * parts[1]], axis=1))
    return ("recurrent.bias",)


def weights_exchanged(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """W in the place of R, and R in that of W."""
    if held[1].shape != held[2].shape:
        return None
    _write(model, node, 1, held[2])
    _write(model, node, 2, held[1])
    return ("recurrent.weights",)


def of_another_layer(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """The weights of the layer in front."""
    first = recurrent_nodes(model)[0]
    other = _constants(model, first)
    if first.output[0] == node.output[0] or any(other[p].shape != held[p].shape for p in (1, 2, 3)):
        return None
    for place in (1, 2, 3):
        _write(model, node, place, other[place])
    return ("recurrent.weights",)


def scaled(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """A weight times 1.5."""
    _write(model, node, 2, held[2] * np.float32(1.5))
    return ("parameter.scale",)


def one_element(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """One number of a weight is another."""
    array = held[1].copy()
    array[0, 1, 2] += 1
    _write(model, node, 1, array)
    return ("parameter.element",)


def half_precision(model: ModelProto, node: NodeProto, held: dict[int, Array]) -> tuple[str, ...] | None:
    """A weight that was rounded through float16."""
    _write(model, node, 1, held[1].astype(np.float16).astype(np.float32))
    return ("parameter.fp16",)


CHANGES: dict[str, Change] = {
    "gates": gates,
    "gates of W": gates_of_one(1),
    "gates of R": gates_of_one(2),
    "gates of B": gates_of_one(3),
    "direction": direction,
    "biases of sides": biases_of_sides,
    "reset": reset,
    "activations": activations,
    "clip": clip,
    "input_forget": input_forget,
    "state lost": state_lost,
    "cell lost": cell_lost,
    "states exchanged": states_exchanged,
    "state added": state_added,
    "lengths lost": lengths_lost,
    "lengths added": lengths_added,
    "bias lost": bias_lost,
    "half lost": half_lost,
    "halves exchanged": halves_exchanged,
    "halves added": halves_added,
    "weights exchanged": weights_exchanged,
    "of another layer": of_another_layer,
    "scaled": scaled,
    "one element": one_element,
    "half precision": half_precision,
}
