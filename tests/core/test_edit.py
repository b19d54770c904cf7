"""Edits change what they name, clean up behind themselves, and touch nothing else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from segdiff.core.edit import Edit, Node, apply, merged
from segdiff.core.errors import ModelError
from tests.models import Net, constants_as_nodes, copied, find_node, if_network, image, segmenter, tensors_of


def small() -> onnx.ModelProto:
    """Conv, LeakyRelu, Softmax."""
    net = Net()
    x = net.node("LeakyRelu", net.conv("x", (3, 4)), alpha=0.1, outputs=["leaky"])
    return net.model(net.node("Softmax", x, axis=1, outputs=["soft"]))


def test_an_attribute_takes_the_type_of_its_schema() -> None:
    model = small()
    apply(model, (Edit("leaky", attributes={"alpha": 1}), Edit("soft", attributes={"axis": None})))
    assert find_node(model, "LeakyRelu").attribute[0].f == 1.0
    assert not find_node(model, "Softmax").attribute


def test_a_constant_operand_replaces_a_weight_which_goes() -> None:
    model = small()
    conv = find_node(model, "Conv")
    weight = conv.input[1]
    apply(model, (Edit(conv.output[0], inputs={1: np.zeros((4, 3, 3, 3), np.float32), 2: None}),))
    assert len(conv.input) == 2
    assert weight not in {tensor.name for tensor in model.graph.initializer}
    assert not tensors_of(model, {"x": image()})[conv.output[0]].any()


def test_a_weight_that_others_read_stays() -> None:
    net = Net()
    weight = net.weight(3, 3, 1, 1)
    first = net.node("Conv", "x", weight, outputs=["first"])
    model = net.model(net.node("Conv", first, weight, outputs=["second"]))
    before = tensors_of(model, {"x": image()})
    apply(model, (Edit("second", inputs={1: np.zeros((3, 3, 1, 1), np.float32)}),))
    after = tensors_of(model, {"x": image()})
    assert np.array_equal(before["first"], after["first"])
    assert not after["second"].any()


def test_nodes_in_place_of_one() -> None:
    model = small()
    halves = (
        Node("Mul", ("leaky", np.float32(0.5)), ("leaky.half",)),
        Node("Softmax", ("leaky.half",), ("soft",), {"axis": 1}),
    )
    apply(model, (Edit("soft", nodes=halves),))
    got = tensors_of(model, {"x": image()})
    assert np.allclose(got["leaky.half"], got["leaky"] / 2)
    assert np.allclose(got["soft"].sum(axis=1), 1, atol=1e-5)


def test_a_constant_node_that_nothing_reads_any_more_goes() -> None:
    model = constants_as_nodes(small())
    count = len(model.graph.node)
    apply(model, (Edit("soft", op_type="Identity", attributes={"axis": None}),))
    assert len(model.graph.node) == count
    conv = find_node(model, "Conv")
    apply(model, (Edit(conv.output[0], inputs={2: None}),))
    assert len(model.graph.node) == count - 1


def test_nothing_else_changes() -> None:
    model = segmenter()
    changed = copied(model)
    softmax = model.graph.node[-1].output[0]
    apply(changed, (Edit(softmax, attributes={"axis": 3}),))
    assert list(changed.graph.node)[:-1] == list(model.graph.node)[:-1]
    assert list(changed.graph.initializer) == list(model.graph.initializer)


def test_edits_of_one_node_are_merged() -> None:
    first = Edit("soft", attributes={"axis": 2})
    second = Edit("soft", op_type="LogSoftmax", attributes={"axis": 3})
    (both,) = merged((first, second))
    assert (both.op_type, dict(both.attributes)) == ("LogSoftmax", {"axis": 3})
    replaced = Edit("soft", nodes=(Node("Identity", ("leaky",), ("soft",)),))
    assert merged((replaced, first)) == (replaced,)


def test_an_edit_of_a_tensor_that_nothing_writes() -> None:
    with pytest.raises(ModelError, match="no node writes 'nowhere'"):
        apply(small(), (Edit("nowhere", op_type="Relu"),))


def test_nodes_in_front_of_one() -> None:
    model = small()
    half = Node("Mul", ("leaky", np.array(0.5, np.float32)), ("leaky.half",))
    apply(model, (Edit("soft", inputs={0: "leaky.half"}, before=(half,)),))
    assert [node.op_type for node in model.graph.node] == ["Conv", "LeakyRelu", "Mul", "Softmax"]
    got = tensors_of(model, {"x": image()})
    assert np.allclose(got["leaky.half"], got["leaky"] / 2)


def test_a_node_that_nothing_reads_any_more_goes() -> None:
    model = small()
    conv = find_node(model, "Conv").output[0]
    apply(model, (Edit("soft", inputs={0: conv}),))
    assert [node.op_type for node in model.graph.node] == ["Conv", "Softmax"]


def test_a_number_stays_a_tensor_of_no_axes() -> None:
    model = small()
    apply(model, (Edit("soft", "Add", {"axis": None}, {1: np.array(2.0, np.float32)}),))
    made = next(t for t in model.graph.initializer if t.name == find_node(model, "Add").input[1])
    assert list(made.dims) == []


def test_a_node_in_a_block_is_changed_where_it_stands() -> None:
    model = if_network()
    apply(model, [Edit("then_out", op_type="Mul", inputs={1: np.full((1, 4, 1, 1), 2, np.float32)})])
    chosen = next(node for node in model.graph.node if node.op_type == "If")
    block = next(attribute.g for attribute in chosen.attribute if attribute.name == "then_branch")
    assert block.node[0].op_type == "Mul"
    assert [tensor.name for tensor in block.initializer] == [block.node[0].input[1]]
