"""Arithmetic: operator, order, broadcast, exponent, the offset of a scale, the sign of a remainder."""

from __future__ import annotations

import numpy as np
import pytest

from tests.diagnose import paddle
from tests.diagnose.bench import asked
from tests.models import Net, image

IMAGE = (1, 3, 8, 8)
KINDS = {"elementwise.operator": 6, "elementwise.order": 3, "elementwise.broadcast": 4, "pow.exponent": 2}


def network():
    """Arithmetic between convolutions, channels as long as rows."""
    net = Net(IMAGE, seed=9)
    x = net.conv("x", (3, 8))
    x = net.conv(net.node("Sub", x, net.conv(x, (8, 8))), (8, 8))
    x = net.conv(net.node("Mul", x, net.constant(np.linspace(0.5, 2, 8).reshape(1, 8, 1, 1))), (8, 8))
    x = net.conv(net.node("Div", x, net.node("Exp", net.conv(x, (8, 8)))), (8, 8))
    x = net.conv(net.node("PRelu", x, net.constant(np.linspace(0.1, 0.4, 8).reshape(8, 1, 1))), (8, 8))
    x = net.conv(net.node("Pow", x, net.constant(2.0)), (8, 8))
    x = net.conv(net.node("Max", x, net.conv(x, (8, 8))), (8, 8))
    x = net.conv(net.node("Add", x, net.conv(x, (8, 8))), (8, 8))
    return net.model(net.conv(x, (8, 2)))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    with asked(network(), image(IMAGE), tmp_path_factory.mktemp("elementwise")) as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_fault_is_named_and_proven(reference, kind) -> None:
    assert reference.names_planted(network(), image(IMAGE), kind, KINDS[kind])


# --- Paddle's


FEED = image((2, 4, 4, 5), seed=2) * 3
X = FEED.astype(np.float64)


def chain(*nodes, opset=17):
    """Nodes one after the other, each with a constant behind what came before."""
    net = Net(FEED.shape, opset=opset)
    x = "x"
    for op_type, value, *attributes in nodes:
        x = net.node(op_type, x, net.constant(value), **(attributes[0] if attributes else {}))
    return net.model(x)


def test_the_bias_of_a_scale_comes_before_the_factor_or_behind(tmp_path) -> None:
    before = [("scale", {"scale": 4.0, "bias": 0.7, "bias_after_scale": False})]
    model = chain(("Mul", 4.0), ("Add", 0.7))
    case = paddle.asked(before, (X + 0.7) * 4, model, FEED, tmp_path)
    assert (case.kind(), case.proven()[0].expected) == ("scale.order", True)
    behind = [("scale", {"scale": 4.0, "bias": 0.7, "bias_after_scale": True})]
    case = paddle.asked(behind, X * 4 + 0.7, chain(("Add", 0.7), ("Mul", 4.0)), FEED, tmp_path)
    assert (case.kind(), case.proven()[0].expected) == ("scale.order", True)


def test_a_vector_lies_along_the_axis_of_paddle(tmp_path) -> None:
    value = np.arange(1.0, 5.0, dtype=np.float32)
    ops = [("elementwise_add", {"axis": 1})]
    model = chain(("Add", value.reshape(4, 1)))
    case = paddle.asked(ops, X + value.reshape(4, 1, 1), model, FEED, tmp_path, y=value)
    assert (case.kind(), case.proven()[0].expected) == ("elementwise.broadcast", True)


@pytest.mark.parametrize(
    ("op_type", "attributes", "truth"),
    [("pow", {"factor": 3.0}, X**3), ("square", {}, X**2)],
)
def test_exponents(tmp_path, op_type, attributes, truth) -> None:
    model = chain(("Pow", 4.0))
    case = paddle.asked([(op_type, attributes)], truth, model, FEED, tmp_path)
    assert (case.kind(), case.proven()[0].expected) == ("pow.exponent", True)


def test_the_remainder_has_the_sign_of_the_divisor(tmp_path) -> None:
    divisor = np.full((1,), 2.5, np.float32)
    model = chain(("Mod", divisor, {"fmod": 1}))
    case = paddle.asked([("elementwise_mod", {})], np.mod(FEED, divisor), model, FEED, tmp_path, y=divisor)
    assert (case.kind(), case.proven()[0].expected) == ("mod.fmod", True)


def test_a_wrong_operator(tmp_path) -> None:
    value = np.full((1,), 2.5, np.float32)
    case = paddle.asked([("elementwise_sub", {})], X - 2.5, chain(("Add", value)), FEED, tmp_path, y=value)
    assert (case.kind(), case.proven()[0].expected) == ("elementwise.operator", True)
    case = paddle.asked([("tanh", {})], np.tanh(X), chain(("Add", value)), FEED, tmp_path)
    assert case.kind() == "tanh.replaced"


@pytest.mark.parametrize(
    ("paddle_op", "onnx_op", "truth"), [("add", "Add", X + 2.5), ("sub", "Sub", X - 2.5)]
)
def test_the_operator_is_right_and_the_sign_of_a_computed_constant_is_not(
    tmp_path, paddle_op, onnx_op, truth
) -> None:
    value = np.full((1,), -2.5, np.float32)  # the reference computes its own: there is none to compare with
    case = paddle.asked([(f"elementwise_{paddle_op}", {})], truth, chain((onnx_op, value)), FEED, tmp_path)
    assert case.kind() == "parameter.sign"


def test_one_operator_too_many_is_not_called_a_choice(tmp_path) -> None:
    """What is added is below zero and the rest above: any Max would hand the right one on."""
    from tests.diagnose.in_process import cause
    from tests.models import graph_of

    def made(surplus: bool):
        net = Net(FEED.shape)
        plain = net.node("Sigmoid", "x")
        low = net.node("Neg", net.node("Exp", "x"))
        return net.model(net.node("Add", plain, low, outputs=["y"]) if surplus else plain)

    truth = {"y": (1 / (1 + np.exp(-X))).astype(np.float32)}
    found = cause(graph_of(made(False), tmp_path, "ours"), made(True), {"x": FEED}, truth, tmp_path)
    assert found.kind != "elementwise.operator", found.text
