"""Comparisons, roundings, casts, dropout."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from tests.diagnose import paddle
from tests.diagnose.bench import asked
from tests.models import Net, image

IMAGE = (1, 3, 8, 8)
KINDS = {"comparison.operator": 4, "round.operator": 6}


def network():
    """What is rounded is compared with zero: ties are common, and rounding does not disturb them."""
    net = Net(IMAGE, seed=11)
    x = net.node("Round", net.conv("x", (3, 8)))
    above = net.node("Greater", x, net.constant(0.0))
    below = net.node("LessOrEqual", x, net.constant(0.0))
    x = net.conv(net.node("Floor", net.conv(x, (8, 8))), (8, 8))
    x = net.node("Mul", x, net.node("Cast", above, to=TensorProto.FLOAT))
    x = net.node("Add", x, net.node("Cast", below, to=TensorProto.FLOAT))
    return net.model(net.conv(net.node("Ceil", net.conv(x, (8, 8))), (8, 2)))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    with asked(network(), image(IMAGE), tmp_path_factory.mktemp("discrete")) as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_fault_is_named_and_proven(reference, kind) -> None:
    assert reference.names_planted(network(), image(IMAGE), kind, KINDS[kind])


# --- Paddle's


FEED = image((2, 4, 4, 5), seed=2) * 3


def test_a_fraction_cut_off_where_it_is_rounded_down(tmp_path) -> None:
    net = Net(FEED.shape)
    whole = net.node("Cast", "x", to=TensorProto.INT32)
    model = net.model(net.node("Cast", whole, to=TensorProto.FLOAT))
    ops = [("floor", {}), ("cast", {}), ("cast", {})]
    case = paddle.asked(ops, np.floor(FEED), model, FEED, tmp_path)
    assert (case.kind(), case.proven()[0].expected) == ("cast.rounding", True)


@pytest.mark.parametrize("opset", [9, 11])
def test_floats_compared_as_integers(tmp_path, opset) -> None:
    """Equal of opset 9 takes no floats; paddle2onnx casts them to int32 and loses the fractions."""
    grid = (np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 12) / 7
    net = Net(grid.shape, opset=opset)
    shifted = net.node("Add", "x", net.constant(np.where(np.arange(24).reshape(2, 3, 4) % 3, 0, 0.25)))
    operands = [net.node("Cast", name, to=TensorProto.INT32) for name in ("x", shifted)]
    same = net.node("Cast", net.node("Equal", *operands), to=TensorProto.FLOAT)
    truth = (np.arange(24).reshape(2, 3, 4) % 3 != 0).astype(np.float32)
    case = paddle.asked([("equal", {}), ("cast", {})], truth, net.model(same), grid, tmp_path)
    assert (case.kind(), case.proven()[0].expected) == ("comparison.truncated", True)


@pytest.mark.parametrize("opset", [9, 11])
def test_floats_compared_with_a_constant_as_integers(tmp_path, opset) -> None:
    """The converter casts a constant by itself; what it was before, the reference says."""
    grid = (np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 12) / 4
    net = Net(grid.shape, opset=opset)
    operands = [net.node("Cast", "x", to=TensorProto.INT32), net.constant(2, np.int32)]
    same = net.node("Cast", net.node("Equal", *operands), to=TensorProto.FLOAT)
    truth = (grid == 2.5).astype(np.float32)
    level = np.full(grid.shape, 2.5, np.float32)
    case = paddle.asked([("equal", {})], truth, net.model(same), grid, tmp_path, level=level)
    assert (case.kind(), case.proven()[0].expected) == ("comparison.truncated", True)


def test_a_dropout_that_scales_at_inference(tmp_path) -> None:
    net = Net(FEED.shape)
    model = net.model(net.node("Abs", "x"))
    options = {"dropout_implementation": "downgrade_in_infer", "dropout_prob": 0.3}
    for ops in ([("abs", {}), ("dropout", options)], [("dropout", options), ("abs", {})]):
        case = paddle.asked(ops, np.abs(FEED) * 0.7, model, FEED, tmp_path)
        assert (case.kind(), case.proven()[0].expected) == ("dropout.scale", True)
    case = paddle.asked(ops, np.abs(FEED) * 0.75, model, FEED, tmp_path)
    assert case.kind() is None


def test_a_dropout_left_in_training(tmp_path) -> None:
    net = Net(FEED.shape)
    training = net.constant(True, bool)
    model = net.model(net.node("Dropout", net.node("Abs", "x"), net.constant(0.5), training))
    case = paddle.asked([("abs", {})], np.abs(FEED), model, FEED, tmp_path)
    assert case.kind() == "dropout.training_mode"


def test_halves_away_from_zero(tmp_path) -> None:
    net = Net(FEED.shape)
    model = net.model(net.node("Round", "x"))
    feed = np.round(FEED * 2) / np.float32(2)
    truth = np.sign(feed) * np.floor(np.abs(feed) + 0.5)
    assert paddle.asked([("round", {})], truth, model, feed, tmp_path).kind() == "round.halves"
    truth = np.round(FEED.astype(np.float64) * 10) / 10
    case = paddle.asked([("round", {"decimals": 1})], truth, model, FEED, tmp_path)
    assert (case.kind(), case.proven()[0].expected) == ("round.decimals", True)
