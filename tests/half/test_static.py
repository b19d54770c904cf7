"""What a file holds that half precision does not, told without a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from segdiff.core.half import Half, Static
from segdiff.half.norms import norms
from segdiff.half.static import alpha_overflows, static
from segdiff.readers.onnx import read
from tests.models import Net, segmenter


def found(net: Net, folder: Path, *outputs: str, precision: Half = "fp16") -> list[Static]:
    """What is told of a net."""
    return list(static(read(saved(net, folder, *outputs)), precision))


def saved(net: Net, folder: Path, *outputs: str) -> Path:
    path = folder / "model.onnx"
    onnx.save(net.model(*outputs), path)
    return path


def reasons(net: Net, folder: Path, *outputs: str, precision: Half = "fp16") -> list[str]:
    return [each.reason for each in found(net, folder, *outputs, precision=precision)]


def test_an_ordinary_net_has_nothing(tmp_path: Path) -> None:
    onnx.save(segmenter(), tmp_path / "model.onnx")
    assert static(read(tmp_path / "model.onnx")) == ()


def test_a_variance_beyond_its_range(tmp_path: Path) -> None:
    net = Net()
    y = net.batch_norm(net.conv("x", (3, 8)), 8, variance=5e7)
    (told,) = found(net, tmp_path, y)
    assert told.nodes == (net.nodes[-1].name,)
    assert told.reason == "precision.variance"
    assert "65504" in told.text


def test_weights_beyond_its_range(tmp_path: Path) -> None:
    net = Net()
    y = net.node("Conv", "x", net.constant(np.full((4, 3, 1, 1), 7e4)))
    assert reasons(net, tmp_path, y) == ["precision.overflow"]


@pytest.mark.parametrize("op_type", ["Add", "Mul"])
def test_a_mask_that_goes_down_too_far(tmp_path: Path, op_type: str) -> None:
    net = Net()
    mask = np.where(np.arange(24) % 2, -1e9, 0.0)
    y = net.node("Softmax", net.node(op_type, "x", net.constant(mask)), axis=-1)
    assert reasons(net, tmp_path, y) == ["precision.mask"]


def test_a_mask_of_infinity_is_one_in_half_precision_too(tmp_path: Path) -> None:
    net = Net()
    y = net.node("Add", "x", net.constant(np.where(np.arange(24) % 2, -np.inf, 0.0)))
    assert reasons(net, tmp_path, y) == []


def test_a_clip_whose_bound_is_none(tmp_path: Path) -> None:
    net = Net()
    y = net.node("Clip", "x", net.constant(0.0), net.constant(1e6))
    assert reasons(net, tmp_path, y) == ["precision.bound"]


def test_a_guard_that_vanishes_in_front_of_a_division(tmp_path: Path) -> None:
    net = Net()
    size = net.node("Sqrt", net.node("Add", net.node("Mul", "x", "x"), net.constant(1e-12)))
    y = net.node("Div", "x", size)
    (told,) = found(net, tmp_path, y)
    assert told.reason == "precision.underflow"
    assert "Div" in told.text


@pytest.mark.parametrize(("epsilon", "reason"), [(1e-12, ["precision.epsilon"]), (1e-6, [])])
def test_an_epsilon_below_its_smallest_number(tmp_path: Path, epsilon: float, reason: list[str]) -> None:
    net = Net()
    y = net.batch_norm("x", 3, epsilon=epsilon)
    assert reasons(net, tmp_path, y) == reason


def test_whole_numbers_that_it_has_no_place_for(tmp_path: Path) -> None:
    net = Net()
    y = net.node("Add", net.node("ReduceMax", "x", axes=[1], keepdims=1), net.constant(np.arange(3000, 3024)))
    assert reasons(net, tmp_path, y) == ["precision.integers"]
    assert reasons(net, tmp_path, y, precision="bf16") == ["precision.integers"]


def test_even_numbers_above_2048_are_exact(tmp_path: Path) -> None:
    net = Net()
    y = net.node("Add", "x", net.constant(np.arange(3000, 3048, 2)))
    assert reasons(net, tmp_path, y) == []
    assert reasons(net, tmp_path, y, precision="bf16") == ["precision.integers"]


def test_indices_that_are_made_floating_point_of(tmp_path: Path) -> None:
    net = Net((1, 1, 64, 100))
    flat = net.node("Reshape", "x", net.constant([1, -1], np.int64))
    y = net.node("Cast", net.node("ArgMax", flat, axis=1), to=1)
    (told,) = found(net, tmp_path, y)
    assert told.reason == "precision.integers"
    assert "6399" in told.text


@pytest.mark.parametrize(("op_type", "size", "told"), [("ReduceSum", 64, True), ("ReduceSum", 40, False)])
def test_long_sums(tmp_path: Path, op_type: str, size: int, told: bool) -> None:
    net = Net((1, 3, size, size))
    y = net.node(op_type, "x", net.constant([2, 3], np.int64))
    assert reasons(net, tmp_path, y) == (["precision.long_sum"] if told else [])


def test_a_mean_is_long_later(tmp_path: Path) -> None:
    net = Net((1, 3, 256, 256))
    assert reasons(net, tmp_path, net.node("GlobalAveragePool", "x")) == ["precision.long_sum"]


def test_bfloat16_has_the_range_of_float32(tmp_path: Path) -> None:
    net = Net()
    y = net.batch_norm(net.conv("x", (3, 8)), 8, variance=5e7, epsilon=1e-12)
    assert "precision.variance" in reasons(net, tmp_path, y)
    assert reasons(net, tmp_path, y, precision="bf16") == []


def test_the_channels_whose_alpha_overflows_the_worst_first(tmp_path: Path) -> None:
    net = Net()
    scale = np.ones(3)
    scale[1], scale[2] = 1e-6, -1e-9
    operands = [net.constant(v) for v in (scale, np.full(3, 0.3), np.zeros(3), np.ones(3))]
    y = net.node("BatchNormalization", "x", *operands)
    (told,) = alpha_overflows(read(saved(net, tmp_path, y)))
    assert told.reason == "precision.alpha"
    assert "channels 1 and 2 of 3" in told.text
    assert "channel 2: gamma -1e-09" in told.text


def test_a_scale_of_zero_has_no_alpha(tmp_path: Path) -> None:
    net = Net()
    operands = [net.constant(v) for v in ([1.0, 0.0, 1.0], [0.3, 0.0, 0.3], np.zeros(3), np.ones(3))]
    y = net.node("BatchNormalization", "x", *operands)
    (told,) = alpha_overflows(read(saved(net, tmp_path, y)))
    assert "channel 1 of 3" in told.text
    assert "no number" in told.text


def test_a_norm_in_float64(tmp_path: Path) -> None:
    net = Net()
    y = net.batch_norm("x", 3)
    (norm,) = norms(read(saved(net, tmp_path, y)))
    x = np.linspace(-2, 2, 3)
    want = (x - norm.mean) / norm.sigma * norm.scale + norm.offset
    np.testing.assert_allclose(norm.factor * x + norm.shift, want, rtol=1e-14)
    np.testing.assert_allclose((x + norm.alpha) * norm.factor, want, rtol=1e-12)


def test_a_norm_of_the_batch_is_none(tmp_path: Path) -> None:
    net = Net()
    y = net.batch_norm("x", 3, training_mode=1, outputs=["y", "m", "v"])
    assert norms(read(saved(net, tmp_path, y))) == []


def test_a_rank_that_no_inference_knows_is_that_of_a_convolution_near(tmp_path: Path) -> None:
    net = Net((1, 3, "h", "w"))
    sizes = net.node("Reshape", "sizes", net.constant([-1], np.int64))
    net.inputs.append(onnx.helper.make_tensor_value_info("sizes", onnx.TensorProto.INT64, ["n"]))
    twice = net.node("Reshape", net.node("Relu", "x"), sizes)
    y = net.conv(net.node("Relu", net.batch_norm(twice, 3)), (3, 4))
    path = saved(net, tmp_path, y)
    graph = read(path)
    assert graph.value(twice).shape is None
    (norm,) = norms(graph)
    assert norm.rank == 4
