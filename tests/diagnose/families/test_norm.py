"""Norms: epsilon, order, groups, axis; as one node and written out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.diagnose import paddle
from tests.diagnose.bench import asked
from tests.models import Net, copied, find_node, image

IMAGE = (1, 3, 8, 10)
KINDS = {
    "batch_norm.epsilon": 2,
    "batch_norm.order": 4,
    "instance_norm.epsilon": 2,
    "group_norm.epsilon": 2,
    "group_norm.groups": 3,
    "layer_norm.epsilon": 4,
    "lrn.size": 1,
}


def network():
    """One of each norm, on values small enough for an epsilon to count."""
    net = Net(IMAGE, seed=8, opset=21)
    x = net.batch_norm(net.conv("x", (3, 6)), 6, variance=1e-3)
    small = net.constant(0.03)
    x = net.conv(net.node("Mul", x, small), (6, 6))
    x = net.node("InstanceNormalization", x, net.weight(6), net.weight(6), epsilon=1e-6)
    x = net.conv(net.node("Mul", x, small), (6, 6))
    x = net.node("GroupNormalization", x, net.weight(6), net.weight(6), num_groups=3, epsilon=1e-6)
    x = net.conv(net.node("LRN", x, size=3, alpha=0.5), (6, 6))
    x = net.node(
        "LayerNormalization", net.node("Mul", x, small), net.weight(10), net.weight(10), epsilon=1e-6
    )
    x = net.conv(net.node("Mul", x, small), (6, 6))
    return net.model(net.conv(written_out(net, x, 1e-6), (6, 4)))


def written_out(net, x, epsilon):
    """A layer norm over the last axis in nodes, as converters write it."""
    axes = net.constant([-1], np.int64)
    apart = net.node("Sub", x, net.node("ReduceMean", x, axes))
    spread = net.node("ReduceMean", net.node("Pow", apart, net.constant(2.0)), axes)
    root = net.node("Sqrt", net.node("Add", spread, net.constant(epsilon)))
    return net.node("Div", apart, root)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    with asked(network(), image(IMAGE), tmp_path_factory.mktemp("norm")) as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_fault_is_named_and_proven(reference, kind) -> None:
    assert reference.names_planted(network(), image(IMAGE), kind, KINDS[kind])


def test_all_four_parameters_in_another_order(reference) -> None:
    faulty = copied(network())
    node = find_node(faulty, "BatchNormalization")
    node.input[1:] = [node.input[place] for place in (2, 1, 4, 3)]
    cause = reference.cause(faulty)
    assert (cause.kind, cause.proven) == ("batch_norm.order", True), cause.text


def test_an_epsilon_that_nobody_asked_for_is_not_fitted(reference) -> None:
    """The scale is half as large: no epsilon and no order makes up for that."""
    faulty = copied(network())
    node = find_node(faulty, "InstanceNormalization")
    half = next(t for t in faulty.graph.initializer if t.name == node.input[1])
    half.raw_data = (np.frombuffer(half.raw_data, np.float32) / 2).tobytes()
    cause = reference.cause(faulty)
    assert cause.kind.startswith("parameter.") or not cause.proven, cause.text


# --- Paddle's


FEED = image((2, 6, 4, 5), seed=5) * np.float32(0.02)
X = FEED.astype(np.float64)


def normalised(x, axes, epsilon):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def group_norm(groups, epsilon=1e-5):
    return normalised(X.reshape(2, groups, -1), (2,), epsilon).reshape(X.shape)


def by_instance(groups, epsilon):
    """A group norm as paddle2onnx writes it."""
    net = Net(FEED.shape, opset=14)
    flat = net.node("Reshape", "x", net.constant([0, groups, -1], np.int64))
    ones, zeros = net.constant(np.ones(groups)), net.constant(np.zeros(groups))
    found = net.node("InstanceNormalization", flat, ones, zeros, epsilon=epsilon)
    return net.model(net.node("Reshape", found, net.constant(FEED.shape, np.int64)))


def test_groups_of_a_group_norm_written_out(tmp_path) -> None:
    ops = [("group_norm", {"groups": 2, "epsilon": 1e-5})]
    case = paddle.asked(ops, group_norm(2), by_instance(3, 1e-5), FEED, tmp_path)
    assert case.kind() == "group_norm.groups"
    case = paddle.asked(ops, group_norm(2), by_instance(2, 1e-3), FEED, tmp_path)
    assert case.kind() == "instance_norm.epsilon"


def test_epsilon_and_exponent_of_a_layer_norm_written_out(tmp_path) -> None:
    ops = [("layer_norm", {"begin_norm_axis": 3, "epsilon": 1e-5})]
    truth = normalised(X, (3,), 1e-5)
    net = Net(FEED.shape, opset=18)
    case = paddle.asked(ops, truth, net.model(written_out(net, "x", 1e-3)), FEED, tmp_path)
    assert case.kind() == "layer_norm.epsilon"
    net = Net(FEED.shape, opset=18)
    model = net.model(written_out(net, "x", 1e-5))
    exponent = next(t for t in model.graph.initializer if t.name == find_node(model, "Pow").input[1])
    exponent.raw_data = np.float32(3.0).tobytes()
    assert paddle.asked(ops, truth, model, FEED, tmp_path).kind() == "pow.exponent"


def test_where_a_layer_norm_starts(tmp_path) -> None:
    net = Net(FEED.shape)
    model = net.model(net.node("LayerNormalization", "x", net.constant(np.ones((1, 1, 5))), axis=-1))
    ops = [("layer_norm", {"begin_norm_axis": 2, "epsilon": 1e-5})]
    assert paddle.asked(ops, normalised(X, (2, 3), 1e-5), model, FEED, tmp_path).kind() == "layer_norm.axis"
