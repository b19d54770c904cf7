"""Activations: coefficients, bounds, another function, one lost, one too many."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.diagnose import paddle
from tests.diagnose.bench import asked
from tests.models import Net, copied, find_node, image

IMAGE = (1, 3, 8, 10)
ONE_OF_EACH = {
    "Relu": {},
    "LeakyRelu": {"alpha": 0.15},
    "Elu": {"alpha": 0.7},
    "Selu": {},
    "Celu": {"alpha": 1.5},
    "ThresholdedRelu": {"alpha": 0.3},
    "Sigmoid": {},
    "HardSigmoid": {"alpha": 1 / 6, "beta": 0.5},
    "Tanh": {},
    "Softplus": {},
    "Softsign": {},
    "HardSwish": {},
    "Mish": {},
    "Gelu": {"approximate": "none"},
    "Erf": {},
}
SEEDS = {"activation.kind": 10, "clip.bounds": 4, "elu.alpha": 4}


def network(opset: int = 20):
    """A convolution and an activation, many times; bounds in the form that the opset has."""
    net = Net(IMAGE, seed=6, opset=opset)
    x = "x"
    for place, (op_type, attributes) in enumerate(ONE_OF_EACH.items()):
        x = net.node(op_type, net.conv(x, (3 if place == 0 else 4, 4)), **attributes)
    return net.model(net.conv(clipped(net, net.conv(x, (4, 4)), 0.0, 0.6), (4, 2)))


def clipped(net, x, low, high):
    if net.opset < 11:
        return net.node("Clip", x, min=low, max=high)
    return net.node("Clip", x, net.constant(low), net.constant(high))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    with asked(network(), image(IMAGE), tmp_path_factory.mktemp("activation")) as found:
        yield found


KINDS = ("hard_sigmoid.slope", "hard_sigmoid.offset", "leaky_relu.slope", "elu.alpha", "gelu.approximate")


@pytest.mark.parametrize("kind", [*KINDS, "clip.bounds", "activation.kind"])
def test_a_planted_fault_is_named_and_proven(reference, kind) -> None:
    assert reference.names_planted(network(), image(IMAGE), kind, SEEDS.get(kind, 2))


def test_bounds_as_attributes(tmp_path) -> None:
    net = Net(IMAGE, opset=10)
    with asked(net.model(net.conv(clipped(net, "x", 0.0, 1.5), (3, 2))), image(IMAGE), tmp_path) as found:
        net = Net(IMAGE, opset=10)
        cause = found.cause(net.model(net.conv(clipped(net, "x", 0.0, 1.25), (3, 2))))
    assert (cause.kind, cause.proven) == ("clip.bounds", True)


def swapped(op_type, now, **attributes):
    """The network with another operator in place of one of its own."""
    model = copied(network())
    node = find_node(model, op_type)
    node.op_type = now
    del node.attribute[:]
    del node.input[1:]
    for name, value in attributes.items():
        node.attribute.add(name=name, f=value, type=1)
    return model


def test_a_lost_activation_is_put_back(reference) -> None:
    for op_type in ("Relu", "HardSwish", "Clip"):
        cause = reference.cause(swapped(op_type, "Identity"))
        assert (cause.kind, cause.proven) == ("activation.missing", True), cause.text


def test_one_too_many_is_taken_away(tmp_path) -> None:
    net = Net(IMAGE)
    model = net.model(net.conv(net.conv("x", (3, 4)), (4, 2)))
    with asked(model, image(IMAGE), tmp_path) as found:
        net = Net(IMAGE)
        cause = found.cause(net.model(net.conv(net.node("Relu", net.conv("x", (3, 4))), (4, 2))))
    assert (cause.kind, cause.proven) == ("activation.surplus", True), cause.text


def test_what_no_activation_explains_is_another_operator(reference) -> None:
    for op_type in ("Tanh", "Mish"):
        cause = reference.cause(swapped(op_type, "Cos"))
        assert (cause.kind, cause.proven) == (f"{op_type.lower()}.replaced", True), cause.text
        assert "Cos" in cause.text and op_type in cause.text


# --- Paddle's, written out


FEED = image((2, 4, 6, 5), seed=3) * 3


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normal(x):
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def by_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def bent_softplus(beta, threshold):
    return np.where(beta * X > threshold, X, np.log1p(np.exp(beta * X)) / beta)


X = FEED.astype(np.float64)
RIGHT = {
    "relu6": ("relu6", {"threshold": 6.0}, np.clip(X, 0, 6)),
    "leaky": ("leaky_relu", {"alpha": 0.25}, np.where(X > 0, X, 0.25 * X)),
    "hard_sigmoid": ("hard_sigmoid", {"slope": 0.2, "offset": 0.5}, np.clip(0.2 * X + 0.5, 0, 1)),
    "hard_swish": (
        "hard_swish",
        {"threshold": 6.0, "scale": 6.0, "offset": 3.0},
        X * np.clip(X + 3, 0, 6) / 6,
    ),
    "gelu": ("gelu", {"approximate": False}, X * normal(X)),
    "gelu_tanh": ("gelu", {"approximate": True}, by_tanh(X)),
    "swish": ("swish", {"beta": 1.0}, X * sigmoid(X)),
    "mish": ("mish", {"threshold": 20.0}, X * np.tanh(np.log1p(np.exp(X)))),
    "softplus": ("softplus", {"beta": 2.0, "threshold": 20.0}, np.log1p(np.exp(2 * X)) / 2),
    "softplus_bent": ("softplus", {"beta": 2.0, "threshold": 3.0}, bent_softplus(2.0, 3.0)),
    "softplus_early": ("softplus", {"beta": 1.0, "threshold": 2.0}, bent_softplus(1.0, 2.0)),
    "elu": ("elu", {"alpha": 0.5}, np.where(X > 0, X, 0.5 * np.expm1(X))),
    "softshrink": ("softshrink", {"lambda": 0.5}, np.sign(X) * np.maximum(np.abs(X) - 0.5, 0)),
}


def net_of(build, opset=17):
    net = Net(FEED.shape, opset=opset)
    return net.model(build(net))


def gate(op_type, **attributes):
    return lambda net: net.node("Mul", "x", net.node(op_type, "x", **attributes))


def gelu_nodes(net, bell="Erf"):
    scaled = net.node("Div", "x", net.constant(math.sqrt(2)))
    whole = net.node("Mul", "x", net.node("Add", net.node(bell, scaled), net.constant(1.0)))
    return net.node("Mul", whole, net.constant(0.5))


def gelu_tanh_nodes(net):
    bent = net.node("Mul", net.node("Pow", "x", net.constant(3.0)), net.constant(0.044715))
    inner = net.node("Mul", net.node("Add", "x", bent), net.constant(math.sqrt(2 / math.pi)))
    whole = net.node("Mul", "x", net.node("Add", net.node("Tanh", inner), net.constant(1.0)))
    return net.node("Mul", whole, net.constant(0.5))


def single(op_type, **attributes):
    return lambda net: net.node(op_type, "x", **attributes)


WRONG = [
    ("relu6", single("Relu"), "activation.kind"),
    ("relu6", lambda net: clipped(net, "x", 0.0, 5.0), "clip.bounds"),
    ("leaky", single("LeakyRelu", alpha=0.01), "leaky_relu.slope"),
    ("leaky", single("Relu"), "activation.kind"),
    ("hard_sigmoid", single("HardSigmoid", alpha=1 / 6), "hard_sigmoid.slope"),
    ("hard_sigmoid", single("Sigmoid"), "activation.kind"),
    ("hard_swish", gate("HardSigmoid", alpha=0.2), "hard_sigmoid.slope"),
    ("hard_swish", gate("Sigmoid"), "activation.kind"),
    ("gelu", gelu_tanh_nodes, "gelu.approximate"),
    ("gelu", lambda net: gelu_nodes(net, "Tanh"), "activation.kind"),
    ("gelu", single("Relu"), "activation.kind"),
    ("gelu_tanh", gelu_nodes, "gelu.approximate"),
    ("swish", gate("HardSigmoid", alpha=0.2), "activation.kind"),
    ("swish", single("HardSwish"), "activation.kind"),
    ("mish", single("HardSwish"), "activation.kind"),
    ("softplus", single("Softplus"), "softplus.beta"),
    ("softplus_bent", single("Softplus"), "softplus.beta"),
    ("softplus_early", single("Softplus"), "softplus.threshold"),
    ("elu", single("Elu", alpha=1.0), "elu.alpha"),
    ("softshrink", single("Shrink", lambd=0.5, bias=0.0), "shrink.threshold"),
]


@pytest.mark.parametrize(("word", "build", "kind"), WRONG)
@pytest.mark.parametrize("opset", [10, 14, 20])
def test_paddles_activations(tmp_path, word, build, kind, opset) -> None:
    op_type, attributes, truth = RIGHT[word]
    model = net_of(build, opset)
    if any(node.op_type == "HardSwish" for node in model.graph.node) and opset < 14:
        pytest.skip("this opset has no HardSwish")
    case = paddle.asked([(op_type, attributes)], truth, model, FEED, tmp_path)
    proven = case.proven()
    assert proven, "nothing proven"
    assert (proven[0].kind, proven[0].expected) == (kind, True), [(h.kind, h.text) for h in proven]


def test_onnxruntimes_own_gelu(tmp_path) -> None:
    op_type, attributes, truth = RIGHT["gelu"]
    model = net_of(lambda net: net.node("FastGelu", "x", domain="com.microsoft"))
    model.opset_import.add(domain="com.microsoft", version=1)
    case = paddle.asked([(op_type, attributes)], truth, model, FEED, tmp_path)
    assert case.kind() == "gelu.approximate"
