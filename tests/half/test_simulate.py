"""Does a simulated model round what a device stores, and nothing else?"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from segdiff.half.simulate import groups, simulated
from segdiff.half.targets import How, how_of
from tests.models import Net, chain, image, segmenter

Array = NDArray[Any]


def ran(model: onnx.ModelProto, x: Array | None = None) -> Array:
    """The first output, at onnxruntime's defaults."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    found: Array = session.run(None, {name: image() if x is None else x})[0]
    return found


def half(array: Array) -> Array:
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32)


def error(model: onnx.ModelProto, how: How, **more: Any) -> float:
    """The relative error of the simulated model."""
    plain, found = ran(model), ran(simulated(model, how, **more))
    return float(np.linalg.norm(found - plain) / np.linalg.norm(plain))


def conv_norm_relu(variance: float = 1.0) -> onnx.ModelProto:
    return chain(
        lambda net, x: net.node("Mul", net.conv(x, (3, 8)), net.constant(np.sqrt(variance))),
        lambda net, x: net.batch_norm(x, 8, variance=variance),
        lambda net, x: net.node("Relu", x),
        lambda net, x: net.conv(x, (8, 4)),
    )


def test_the_result_of_a_group_is_stored_in_half() -> None:
    model = chain(lambda net, x: net.conv(x, (3, 8)))
    found = ran(simulated(model, How()))
    assert np.array_equal(found, half(found))
    assert not np.array_equal(ran(model), half(ran(model)))


def test_sums_are_made_in_float32() -> None:
    net = Net((1, 4096))
    model = net.model(net.node("MatMul", "x", net.constant(np.ones((4096, 1)))))
    x = np.full((1, 4096), 1.0, np.float32)
    assert ran(simulated(model, How()), x).item() == 4096  # in float16 the sum stops at 2048


def test_a_conv_takes_its_norm_its_residual_and_its_activation() -> None:
    net = Net()
    first = net.node("Relu", net.conv("x", (3, 3)))
    norm = net.batch_norm(net.conv(first, (3, 3), bias=False), 3)
    model = net.model(net.node("Relu", net.node("Add", norm, first)))
    folded = groups(model, How(batch_norm="folded"))
    assert [each.types for each in folded] == [
        (),
        ("Conv", "Relu"),
        ("Conv", "BatchNormalization", "Add", "Relu"),
    ]
    exported = groups(model, How())
    assert [each.types for each in exported][2:] == [("Conv",), ("BatchNormalization",), ("Add",)]


def test_what_moves_numbers_rounds_nothing() -> None:
    net = Net()
    moved = net.node("Transpose", net.node("MaxPool", "x", kernel_shape=[2, 2]), perm=[0, 2, 3, 1])
    model = net.model(net.node("Concat", moved, moved, axis=3))
    assert [each.value for each in groups(model, How())] == ["x"]


def test_sizes_are_no_activations() -> None:
    net = Net((1, 3, 16, 24))
    size = net.node("Cast", net.node("Shape", "x"), to=1)
    scaled = net.node("Cast", net.node("Mul", size, net.constant([1, 1, 257, 257])), to=7)
    model = net.model(net.node("Resize", "x", "", "", scaled, mode="nearest"))
    assert ran(simulated(model, How()), image((1, 3, 16, 24))).shape == (1, 3, 16 * 257, 24 * 257)


@pytest.mark.parametrize(("overflow", "expected"), [("inf", np.inf), ("saturate", 65504.0)])
def test_what_is_too_large(overflow: Any, expected: float) -> None:
    net = Net((1, 2))
    model = net.model(net.node("Mul", "x", net.constant([1e5, 1.0])))
    found = ran(simulated(model, How(overflow=overflow)), np.array([[2, 1]], np.float32))
    assert found.tolist() == [[expected, 1.0]]


def test_nan_is_zero_where_a_target_saturates() -> None:
    net = Net((1, 2))
    model = net.model(net.node("Div", "x", "x"))
    x = np.array([[0, 1]], np.float32)
    assert ran(simulated(model, How(overflow="saturate")), x).tolist() == [[0.0, 1.0]]
    assert np.isnan(ran(simulated(model, How()), x)[0, 0])


def test_small_numbers_are_kept_or_flushed() -> None:
    net = Net((1, 2))
    model = net.model(net.node("Mul", "x", net.constant([1.0, 1.0])))
    x = np.array([[2.0**-15, 2.0**-14]], np.float32)
    assert ran(simulated(model, How()), x).tolist() == x.tolist()
    assert ran(simulated(model, How(subnormals="flushed")), x).tolist() == [[0.0, 2.0**-14]]


@pytest.mark.parametrize("opset", [11, 17])
def test_bfloat16_has_eight_bits(opset: int) -> None:
    import ml_dtypes

    net = Net((1, 64), opset=opset)
    model = net.model(net.node("Mul", "x", net.constant(np.linspace(0.3, 3, 64))))
    x = image((1, 64))
    found = ran(simulated(model, How(precision="bf16")), x)
    assert np.array_equal(found, found.astype(ml_dtypes.bfloat16).astype(np.float32))
    assert 1e-4 < np.linalg.norm(found - ran(model, x)) / np.linalg.norm(found) < 5e-3


def test_a_variance_beyond_float16_dies_as_exported_and_not_when_folded() -> None:
    model = conv_norm_relu(variance=1e7)
    assert error(model, How()) > 0.1
    assert error(model, How(batch_norm="affine")) < 5e-3
    assert error(model, How(batch_norm="folded")) < 5e-3


def test_the_op_that_dies_is_kept() -> None:
    model = conv_norm_relu(variance=1e7)
    norm = next(each for each in groups(model, How()) if "BatchNormalization" in each.types)
    assert error(model, How(), keep=frozenset(norm.names)) < 5e-3
    assert error(model, How(), keep=frozenset({norm.value})) < 5e-3
    assert error(model, How(), only=frozenset({norm.value})) > 0.1


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_fold_is_exact_but_for_rounding(op: str, parts: int) -> None:
    net = Net((1, 4, 6, 6))
    shape = (8, 4 // parts, 3, 3) if op == "Conv" else (4, 8 // parts, 3, 3)
    made = net.node(op, "x", net.weight(*shape), net.weight(8), group=parts)
    model = net.model(net.batch_norm(made, 8))
    x = image((1, 4, 6, 6))
    plain, found = ran(model, x), ran(simulated(model, How(batch_norm="folded")), x)
    assert [each.types for each in groups(model, How(batch_norm="folded"))][1] == (op, "BatchNormalization")
    assert 0 < np.linalg.norm(found - plain) / np.linalg.norm(plain) < 2e-3


def test_ascends_batch_norm_loses_what_a_small_gamma_carries() -> None:
    net = Net((1, 2, 4, 4))
    statistics = [net.constant(value) for value in ([1.0, 1e-8], [0.1, 0.3], [0.0, 0.0], [1.0, 1.0])]
    model = net.model(net.node("BatchNormalization", "x", *statistics))
    x = image((1, 2, 4, 4))
    plain = ran(model, x)
    found = ran(simulated(model, how_of("ascend310p")), x)
    # alpha = 3e7 saturates: (x + 65504) * 1e-8 is nothing beside 0.3
    assert np.allclose(found[:, 0], plain[:, 0], atol=2e-3)
    assert np.abs(found[:, 1] - plain[:, 1]).min() > 0.29
    assert np.allclose(ran(simulated(model, how_of("tensorrt")), x), plain, atol=2e-3)


def test_what_a_kept_op_writes_is_stored_in_half_for_the_others() -> None:
    net = Net((1, 2))
    large = net.node("Mul", "x", net.constant([1e5, 1.0]))
    model = net.model(net.node("Mul", large, net.constant([1e-5, 1.0])))
    x = np.array([[2, 1]], np.float32)
    first, second = [each.value for each in groups(model, How())][1:]
    assert np.isinf(ran(simulated(model, How(), keep=frozenset({first})), x)[0, 0])
    both = ran(simulated(model, How(), keep=frozenset({first, second})), x)
    assert both == pytest.approx(np.array([[2.0, 1.0]]))


def test_a_whole_segmenter_errs_as_half_precision_does() -> None:
    assert 1e-4 < error(segmenter(), How(batch_norm="folded")) < 5e-3
    assert error(segmenter(), How(), only=frozenset()) == 0


def test_errors_add_in_quadrature() -> None:
    model, how = segmenter(), How(batch_norm="folded")
    alone = [error(model, how, only=frozenset({each.value})) for each in groups(model, how)]
    assert error(model, how) == pytest.approx(np.sqrt(np.sum(np.square(alone))), rel=0.5)
