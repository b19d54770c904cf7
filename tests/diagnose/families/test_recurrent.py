"""Recurrent nodes against Paddle's rnn op and against ONNX: every setting and every weight has its word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from segdiff.core.graph import Graph
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.recurrent import FROM_PADDLE, GATES
from tests.diagnose.paddle import Asked
from tests.models import Array, Net, copied, find_node, graph_of, hand_made, tensors_of, with_attribute

STEPS, BATCH, SIZE, HIDDEN = 7, 2, 5, 4
FEED = np.random.default_rng(3).standard_normal((STEPS, BATCH, SIZE)).astype(np.float32)
LENGTHS = np.array([7, 4], np.int32)


def network(kind: str, sides: int = 2, size: int = SIZE) -> ModelProto:
    """One layer with everything: both biases, lengths of sequences, initial states."""
    net = Net((STEPS, BATCH, size), seed=5)
    rows = GATES[kind] * HIDDEN
    draw = net.random.standard_normal
    operands = [
        net.constant(draw((sides, rows, size)) / 2, name="W"),
        net.constant(draw((sides, rows, HIDDEN)) / 2, name="R"),
        net.constant(draw((sides, 2 * rows)) / 2, name="B"),
        net.constant(LENGTHS, np.int32, name="L"),
        net.constant(draw((sides, BATCH, HIDDEN)), name="h"),
    ]
    operands += [net.constant(draw((sides, BATCH, HIDDEN)), name="c")] if kind == "LSTM" else []
    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    direction = "bidirectional" if sides == 2 else "forward"
    return net.model(net.node(kind, "x", *operands, hidden_size=HIDDEN, direction=direction, **more))


def arrays(model: ModelProto) -> dict[str, Array]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def paddle(model: ModelProto) -> Graph:
    """The same layer as Paddle's rnn op has it."""
    node, held = model.graph.node[0], arrays(model)
    sides, gates = len(held["W"]), GATES[node.op_type]
    back = np.argsort(FROM_PADDLE[node.op_type])

    def ours(array: Array) -> Array:
        return np.concatenate([np.split(array, gates)[gate] for gate in back])

    parameters = {}
    for side in range(sides):
        halves = np.split(held["B"][side], 2)
        parameters |= {f"w{side}": ours(held["W"][side]), f"r{side}": ours(held["R"][side])}
        parameters |= {f"bw{side}": ours(halves[0]), f"br{side}": ours(halves[1])}
    names = [f"{stem}{side}" for side in range(sides) for stem in "wr"]
    names += [f"b{stem}{side}" for side in range(sides) for stem in "wr"]
    states = [name for name in ("h", "c") if name in held]
    parameters |= {name: held[name] for name in (*states, "L")}
    mode = "RNN_TANH" if node.op_type == "RNN" else node.op_type
    settings = {"mode": mode, "is_bidirec": sides == 2, "num_layers": 1, "hidden_size": HIDDEN}
    graph = hand_made(
        [("rnn", ["x", *states, *names, "L"], ["y"], settings)], outputs=["y"], parameters=parameters
    )
    slots = ("Input", *["PreState"] * len(states), *["WeightList"] * len(names), "SequenceLength")
    return replace(graph, ops=(replace(graph.ops[0], slots=slots),))


def ask(reference: Graph, right: ModelProto, wrong: ModelProto, folder: Path) -> Asked:
    """The question of the wrong file, fed so many numbers as the right one reads."""
    size = right.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    feed = np.ascontiguousarray(FEED[..., :size])
    output = right.graph.output[0].name
    candidate = graph_of(wrong, folder, "wrong")
    values = tensors_of(wrong, {"x": feed})
    case = Case(
        reference=reference,
        candidate=candidate,
        reference_ops=reference.ops,
        ops=candidate.ops,
        nodes=candidate.ops,
        inputs=(("x", "x"),),
        outputs=((reference.outputs[0], output),),
        feeds={"x": feed},
        truth={output: tensors_of(right, {"x": feed})[output]},
        got={output: values[output]},
        forms={name: (str(value.dtype), value.shape) for name, value in values.items()},
    )
    return Asked(case, wrong, feed)


def with_constant(model: ModelProto, name: str, change: Callable[[Array], Array]) -> ModelProto:
    copy = copied(model)
    tensor = next(t for t in copy.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))
    return copy


def without(place: int) -> Callable[[ModelProto], ModelProto]:
    """An input left out."""

    def change(model: ModelProto) -> ModelProto:
        copy = copied(model)
        copy.graph.node[0].input[place] = ""
        return copy

    return change


def constant(name: str, change: Callable[[Array], Array]) -> Callable[[ModelProto], ModelProto]:
    return lambda model: with_constant(model, name, change)


def attribute(**settings: object) -> Callable[[ModelProto], ModelProto]:
    return lambda model: with_attribute(model, model.graph.node[0].op_type, **settings)


def turned(model: ModelProto) -> ModelProto:
    """The first two gates of all weights exchanged, as another framework orders them."""
    gates = GATES[model.graph.node[0].op_type]

    def exchanged(rows: int) -> Callable[[Array], Array]:
        order = [1, 0, *range(2, gates)]

        def change(array: Array) -> Array:
            blocks = np.split(array, rows * gates, axis=1)
            places = [row * gates + gate for row in range(rows) for gate in order]
            return np.concatenate([blocks[place] for place in places], axis=1)

        return change

    for name, rows in (("W", 1), ("R", 1), ("B", 2)):
        model = with_constant(model, name, exchanged(rows))
    return model


def sides_exchanged(model: ModelProto) -> ModelProto:
    for name in "WRB":
        model = with_constant(model, name, lambda array: array[::-1].copy())
    return model


def halves(array: Array) -> list[Array]:
    return np.split(array, 2, axis=1)


FAULTS = [
    ("LSTM", "recurrent.gates", turned),
    ("GRU", "recurrent.gates", turned),
    ("LSTM", "recurrent.gates", lambda model: constant("W", lambda w: turned_rows(w))(model)),
    ("LSTM", "recurrent.direction", sides_exchanged),
    ("GRU", "recurrent.linear_before_reset", attribute(linear_before_reset=0)),
    ("RNN", "recurrent.activations", attribute(activations=["Relu", "Relu"])),
    ("LSTM", "recurrent.activations", attribute(activations=["Sigmoid", "Relu", "Tanh"] * 2)),
    ("LSTM", "recurrent.clip", attribute(clip=0.3)),
    ("LSTM", "recurrent.initial_state", without(5)),
    ("LSTM", "recurrent.initial_state", constant("c", lambda c: c * 0.5)),
    ("GRU", "recurrent.sequence_lens", without(4)),
    ("GRU", "recurrent.bias", constant("B", lambda b: np.concatenate(halves(b)[::-1], axis=1))),
    ("GRU", "recurrent.bias", constant("B", lambda b: np.concatenate([sum(halves(b)), 0 * halves(b)[0]], 1))),
    ("LSTM", "recurrent.bias", constant("B", lambda b: np.concatenate([halves(b)[0], 0 * halves(b)[0]], 1))),
    ("LSTM", "recurrent.bias", without(3)),
    ("LSTM", "parameter.scale", constant("R", lambda r: r * np.float32(1.5))),
]


def turned_rows(weight: Array) -> Array:
    blocks = np.split(weight, 4, axis=1)
    return np.concatenate([blocks[0], blocks[2], blocks[1], blocks[3]], axis=1)


@pytest.mark.parametrize(("kind", "cause", "fault"), FAULTS)
@pytest.mark.parametrize("side", ["paddle", "onnx"])
def test_what_is_wrong_is_named_and_proven(
    side: str, kind: str, cause: str, fault: Callable[[ModelProto], ModelProto], tmp_path: Path
) -> None:
    right = network(kind)
    reference = paddle(right) if side == "paddle" else graph_of(right, tmp_path, "right")
    assert ask(reference, right, fault(right), tmp_path).kind() == cause


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("side", ["paddle", "onnx"])
def test_nothing_is_said_of_a_right_one(side: str, kind: str, tmp_path: Path) -> None:
    right = network(kind)
    reference = paddle(right) if side == "paddle" else graph_of(right, tmp_path, "right")
    said = [each.kind for each in ask(reference, right, right, tmp_path).proven() if each.expected]
    assert not [kind for kind in said if kind.startswith("recurrent")]


def test_one_direction_against_the_other(tmp_path: Path) -> None:
    right = network("LSTM", sides=1)
    wrong = with_attribute(right, "LSTM", direction="reverse")
    asked = ask(paddle(right), right, wrong, tmp_path)
    assert asked.kind() == "recurrent.direction"
    assert "runs reverse where the reference runs forward" in asked.proven()[0].text


def test_weights_that_nodes_put_in_order(tmp_path: Path) -> None:
    """paddle2onnx 1.x stores Paddle's weights and writes Slice and Concat nodes; here in a wrong order."""
    right = network("GRU")
    wrong, held = copied(right), arrays(right)
    net = Net((STEPS, BATCH, SIZE))
    rows = [net.constant([n], np.int64) for n in (0, HIDDEN, 2 * HIDDEN, 3 * HIDDEN, 1)]
    parts = [net.node("Slice", "W", rows[n], rows[n + 1], rows[4]) for n in range(3)]
    joined = net.node("Concat", parts[1], parts[0], parts[2], axis=1)
    find_node(wrong, "GRU").input[1] = joined
    rest = list(wrong.graph.node)
    del wrong.graph.node[:]
    wrong.graph.node.extend([*net.nodes, *rest])
    wrong.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in net.constants.items())
    assert held["W"].shape[1] == 3 * HIDDEN
    assert ask(paddle(right), right, wrong, tmp_path).kind() == "recurrent.gates"


def as_two_nodes(model: ModelProto) -> ModelProto:
    """Both directions of the layer in nodes of their own, the one that runs backwards first in the file."""
    copy, held = copied(model), arrays(model)
    node = copy.graph.node[0]
    parts = {}
    for side, direction in ((1, "reverse"), (0, "forward")):
        part = copied(model).graph.node[0]
        part.output[:], part.name = [f"{direction}.y"], direction
        for name in ("W", "R", "B", "h", "c"):
            if name in held:
                kept = np.ascontiguousarray(held[name][side : side + 1])
                copy.graph.initializer.append(numpy_helper.from_array(kept, f"{direction}.{name}"))
                part.input[list(node.input).index(name)] = f"{direction}.{name}"
        way = next(attribute for attribute in part.attribute if attribute.name == "direction")
        way.s = direction.encode()
        parts[direction] = part
    whole = helper.make_node("Concat", ["forward.y", "reverse.y"], [node.output[0]], axis=1)
    del copy.graph.node[:]
    copy.graph.node.extend([parts["reverse"], parts["forward"], whole])
    return copy


TWO_NODES = [
    ("recurrent.bias", "reverse.B", lambda b: np.concatenate([halves(b)[0], 0 * halves(b)[0]], 1)),
    ("recurrent.gates", "forward.W", lambda w: turned_rows(w)),
    ("parameter.scale", "reverse.R", lambda r: r * np.float32(1.5)),
    ("recurrent.initial_state", "forward.c", lambda c: c * 0.5),
]


@pytest.mark.parametrize(("cause", "name", "change"), TWO_NODES)
@pytest.mark.parametrize("side", ["paddle", "onnx"])
def test_a_direction_in_a_node_of_its_own(
    side: str, cause: str, name: str, change: Callable[[Array], Array], tmp_path: Path
) -> None:
    right = network("LSTM")
    reference = paddle(right) if side == "paddle" else graph_of(right, tmp_path, "right")
    wrong = with_constant(as_two_nodes(right), name, change)
    assert ask(reference, right, wrong, tmp_path).kind() == cause


@pytest.mark.parametrize("side", ["paddle", "onnx"])
def test_the_weights_of_input_and_state_exchanged(side: str, tmp_path: Path) -> None:
    right = network("RNN", size=HIDDEN)
    held = arrays(right)
    wrong = with_constant(right, "W", lambda _: held["R"])
    wrong = with_constant(wrong, "R", lambda _: held["W"])
    reference = paddle(right) if side == "paddle" else graph_of(right, tmp_path, "right")
    asked = ask(reference, right, wrong, tmp_path)
    assert asked.kind() == "recurrent.weights"
    assert "exchanged" in asked.proven()[0].text


def test_the_weights_of_another_layer(tmp_path: Path) -> None:
    """Two layers whose second has what belongs to the first."""
    net = Net((STEPS, BATCH, HIDDEN), seed=8)
    draw = net.random.standard_normal
    last = "x"
    for layer in "12":
        held = [net.constant(draw((1, 3 * HIDDEN, HIDDEN)), name=f"{stem}{layer}") for stem in "WR"]
        bias = net.constant(draw((1, 6 * HIDDEN)), name=f"B{layer}")
        made = net.node("GRU", last, *held, bias, hidden_size=HIDDEN, linear_before_reset=1)
        last = net.node("Squeeze", made, net.constant([1], np.int64))
    right = net.model(last)
    wrong, first = copied(right), arrays(right)
    for name in "WRB":
        wrong = with_constant(wrong, f"{name}2", lambda _, name=name: first[f"{name}1"])
    asked = ask(graph_of(right, tmp_path, "right"), right, wrong, tmp_path)
    assert asked.kind() == "recurrent.weights"


def test_an_initial_state_where_the_reference_spells_out_zeros(tmp_path: Path) -> None:
    """Paddle writes zeros as an op whose number is a double."""
    right = with_constant(network("GRU"), "h", np.zeros_like)
    reference = paddle(right)
    zeros = replace(
        reference.ops[0],
        index=0,
        type="full",
        inputs=(),
        slots=(),
        outputs=("zeros",),
        attributes={"shape": [2, BATCH, HIDDEN], "value": 0.0},
    )
    names = tuple("zeros" if name == "h" else name for name in reference.ops[0].inputs)
    rnn = replace(reference.ops[0], index=1, inputs=names)
    reference = replace(reference, ops=(zeros, rnn))
    wrong = with_constant(right, "h", lambda h: h + 0.5)
    assert ask(reference, right, wrong, tmp_path).kind() == "recurrent.initial_state"
