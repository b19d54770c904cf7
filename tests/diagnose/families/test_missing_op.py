"""Parameters that the reference applies and no node of the candidate does."""

from __future__ import annotations

import pytest

from tests.diagnose.bench import asked
from tests.models import IMAGE, Net, copied, find_node, image


def network():
    net = Net(IMAGE, seed=6)
    x = net.node("Relu", net.batch_norm(net.conv("x", (3, 8), bias=False), 8))
    x = net.node("Sigmoid", net.node("Add", net.conv(x, (8, 8), bias=False), net.weight(1, 8, 1, 1)))
    x = net.node("Tanh", net.node("Mul", net.node("MaxPool", x, kernel_shape=[2, 2]), net.weight(1, 8, 1, 1)))
    return net.model(net.conv(x, (8, 4)))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    with asked(network(), image(), tmp_path_factory.mktemp("lost")) as found:
        yield found


def without(op_type):
    """The network without its node of that type: what read its output reads its input."""
    model = copied(network())
    node = find_node(model, op_type)
    for other in model.graph.node:
        other.input[:] = [node.input[0] if name == node.output[0] else name for name in other.input]
    model.graph.node.remove(node)
    return model


@pytest.mark.parametrize(
    ("op_type", "kind"),
    [("BatchNormalization", "batch_norm.lost"), ("Add", "conv.bias"), ("Mul", "mul.lost")],
)
def test_a_lost_op_is_named_and_proven(reference, op_type, kind) -> None:
    cause = reference.cause(without(op_type))
    assert (cause.kind, cause.proven) == (kind, True), cause.text


def test_an_op_without_parameters_is_not_put_back_here(reference) -> None:
    assert not any(cause.kind.endswith(".lost") for cause in reference.causes(without("Tanh")))
