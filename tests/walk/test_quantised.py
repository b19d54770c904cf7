"""Quantised files: a healthy one agrees, and a fault in it stands out of its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

import segdiff
from segdiff.core.answer import Report
from segdiff.core.quantised import Quantisation
from tests import models
from tests.models import Net, chain, copied, find_node, image, segmenter

Locate = Callable[..., Report]


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """The picture that the models are compared on, and two like it."""

    def __init__(self) -> None:
        self.left = iter([image(), image() * 0.9, image(seed=1)])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(({"x": each} for each in self.left), None)


def quantised(model: ModelProto, folder: Path, kind: str = "qdq", **options: Any) -> ModelProto:
    """The model as onnxruntime's tools quantise it: ``qdq``, ``qoperator`` or ``dynamic``."""
    source, target = models.save(model, folder / "float.onnx"), folder / f"{kind}.onnx"
    if kind == "dynamic":
        quantize_dynamic(source, target, weight_type=QuantType.QUInt8)
    else:
        form = QuantFormat.QDQ if kind == "qdq" else QuantFormat.QOperator
        quantize_static(source, target, Calibration(), form, weight_type=QuantType.QInt8, **options)
    return onnx.load(target)


def net() -> ModelProto:
    """Convolutions, a pool, a resize, a concat."""

    def deep(net: Net, x: str) -> str:
        stem = net.node("Relu", net.conv(x, (3, 8)))
        down = net.node("MaxPool", stem, kernel_shape=[2, 2], strides=[2, 2])
        deep = net.node("Relu", net.conv(down, (8, 12)))
        return net.node("Concat", net.resize(net.node("Sigmoid", net.conv(deep, (12, 8)))), stem, axis=1)

    return chain(deep, lambda net, x: net.conv(x, (16, 4)))


@pytest.fixture(scope="module")
def locate(tmp_path_factory: pytest.TempPathFactory) -> Locate:
    """``segdiff.locate`` on two models, written to files of their own."""
    folder, number = tmp_path_factory.mktemp("quantised"), count()

    def run(ours: ModelProto, theirs: ModelProto) -> Report:
        files = [models.save(model, folder / f"{next(number)}.onnx") for model in (ours, theirs)]
        return segdiff.locate(*files, image(), timeout=60, deployed=False)

    return run


def changed(model: ModelProto, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> ModelProto:
    """A copy in which one initializer has another content."""
    copy = copied(model)
    tensor = next(tensor for tensor in copy.graph.initializer if tensor.name == name)
    array = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(change(array), array.dtype), name))
    return copy


def weight_of(model: ModelProto, place: int, part: int = 1) -> str:
    """The scale (or another part) of the weight of a convolution in a QDQ file."""
    maker = {node.output[0]: node for node in model.graph.node}
    return str(maker[find_node(model, "Conv", place).input[1]].input[part])


def blamed(report: Report) -> list[set[str]]:
    """Types of the nodes of each origin."""
    return [{node.type for node in origin.candidate_nodes} for origin in report.origins]


def cause(report: Report) -> tuple[str, bool]:
    """Kind and proof of the only origin's cause."""
    assert len(report.origins) == 1, report.sentence
    found = report.origins[0].cause
    assert found is not None
    return found.kind, found.proven


KINDS = [("qdq", {}), ("qdq", {"per_channel": True}), ("qoperator", {}), ("dynamic", {})]


@pytest.mark.parametrize("kind, options", KINDS)
def test_a_healthy_file_agrees(locate: Locate, tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    report = locate(net(), quantised(net(), tmp_path, kind, **options))
    assert report.verdict == "agrees", report.sentence
    assert min(report.coverage) == 1.0
    assert "the candidate computes in int8" in report.sentence
    assert report.precision is not None and report.precision.candidate == "int8"


def test_attention_and_norms(locate: Locate, tmp_path: Path) -> None:
    report = locate(segmenter(), quantised(segmenter(), tmp_path))
    assert report.verdict == "agrees", report.sentence


def test_two_quantised_files_of_different_form(locate: Locate, tmp_path: Path) -> None:
    one, other = (quantised(net(), tmp_path, kind) for kind in ("qdq", "qoperator"))
    for pair in ((one, other), (other, one)):
        report = locate(*pair)
        assert report.verdict == "agrees", report.sentence


@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_weight_times_a_factor(locate: Locate, tmp_path: Path, place: int) -> None:
    healthy = quantised(net(), tmp_path)
    report = locate(net(), changed(healthy, weight_of(healthy, place), lambda scale: scale * 1.5))
    assert all("Conv" in types for types in blamed(report))
    assert cause(report) == ("parameter.scale", True)


def quantizer(model: ModelProto, place: int, part: int) -> str:
    """The scale or the zero point of a QuantizeLinear."""
    return str(find_node(model, "QuantizeLinear", place).input[part])


def test_a_zero_point(locate: Locate, tmp_path: Path) -> None:
    healthy = quantised(net(), tmp_path)
    name = quantizer(healthy, 0, 2)
    report = locate(net(), changed(healthy, name, lambda zero: zero * 0 - 100))
    assert cause(report) == ("quantization.zero_point", True)


def test_a_range_that_cuts_off(locate: Locate, tmp_path: Path) -> None:
    healthy = quantised(net(), tmp_path)
    report = locate(net(), changed(healthy, quantizer(healthy, 3, 1), lambda scale: scale / 8))
    assert cause(report) == ("quantization.activation_range", True)


def test_against_the_quantised_reference_its_own_numbers_are_right(locate: Locate, tmp_path: Path) -> None:
    healthy = quantised(net(), tmp_path)
    report = locate(healthy, changed(healthy, quantizer(healthy, 3, 2), lambda zero: zero * 0 + 90))
    assert cause(report) == ("quantization.zero_point", True)


def tiny_channel() -> ModelProto:
    """A convolution whose third channel has weights so small that its bias does not fit at their scale."""
    model = net()
    name, bias = find_node(model, "Conv").input[1:3]
    model = changed(model, name, lambda w: w * np.where(np.arange(8) == 2, 1e-7, 1).reshape(-1, 1, 1, 1))
    return changed(model, bias, lambda b: np.where(np.arange(8) == 2, 2.0, b))


def without_care(model: ModelProto) -> Iterator[ModelProto]:
    """The biases of a QDQ file made with the scales of its weights, cut off at int32."""
    copy = copied(model)
    tensors = {tensor.name: tensor for tensor in copy.graph.initializer}
    maker = {node.output[0]: node for node in copy.graph.node}
    conv = find_node(copy, "Conv")
    scales = [maker[conv.input[n]].input[1] for n in (0, 1, 2)]
    x, _, b = (numpy_helper.to_array(tensors[name]) for name in scales)
    stored = maker[conv.input[2]].input[0]
    ideal = np.where(np.arange(b.size) == 2, 2.0, numpy_helper.to_array(tensors[stored]) * b)
    step = np.where(np.arange(b.size) == 2, x * 1e-9, b)
    whole = np.clip(np.rint(ideal / step), -(2**31), 2**31 - 1).astype(np.int64).astype(np.int32)
    for name, array in ((scales[2], step), (stored, whole)):
        tensors[name].CopyFrom(numpy_helper.from_array(np.asarray(array, array.dtype), name))
    tensors[scales[2]].CopyFrom(numpy_helper.from_array(step.astype(np.float32), scales[2]))
    yield copy


def test_a_bias_beyond_int32(locate: Locate, tmp_path: Path) -> None:
    model = tiny_channel()
    (broken,) = without_care(quantised(model, tmp_path, per_channel=True))
    assert cause(locate(model, broken)) == ("quantization.bias_overflow", True)


# --- bytes and numbers


def test_numbers_and_back() -> None:
    how = Quantisation(np.float32(0.5), np.uint8(10), "uint8")
    array = np.array([0, 10, 255], np.uint8)
    np.testing.assert_array_equal(how.numbers(array), np.array([-5, 0, 122.5], np.float32))
    np.testing.assert_array_equal(how.integers(how.numbers(array)), array)
    np.testing.assert_array_equal(how.integers(np.array([1e9, -1e9, 0.25, 0.75])), [255, 0, 10, 12])


def test_a_scale_for_each_channel() -> None:
    how = Quantisation(np.array([1.0, 2.0], np.float32), np.zeros(2, np.int8), "int8", axis=0)
    array = np.ones((2, 3, 1), np.int8)
    assert how.numbers(array)[:, 0, 0].tolist() == [1.0, 2.0]
    assert how.steps(3).shape == (2, 1, 1)


# --- operators on integers


def initializer(model: ModelProto, name: str) -> NDArray[Any]:
    return numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == name))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("options", [{}, {"per_channel": True}])
def test_the_scale_of_integers_that_an_operator_reads_itself(
    locate: Locate, tmp_path: Path, place: int, options: dict[str, Any]
) -> None:
    """It is the scale of the bias, too: other integers alone would not mend it."""
    healthy = quantised(net(), tmp_path, "qoperator", **options)
    name = find_node(healthy, "QLinearConv", place).input[4]
    report = locate(net(), changed(healthy, name, lambda scale: scale * 1.5))
    assert all("QLinearConv" in types for types in blamed(report))
    assert cause(report) == ("quantization.weight_scale", True)


def test_the_range_of_bytes_that_an_operator_writes_itself(locate: Locate, tmp_path: Path) -> None:
    healthy = quantised(net(), tmp_path, "qoperator")
    broken = changed(healthy, find_node(healthy, "QLinearConv").input[6], lambda scale: scale / 8)
    bias = find_node(healthy, "QLinearConv", 1).input[8]  # kept at the scale of what the node reads
    broken = changed(broken, bias, lambda whole: whole * 8)
    report = locate(net(), broken)
    assert cause(report) == ("quantization.activation_range", True)
    files = [models.save(net(), tmp_path / "net.onnx"), models.save(broken, tmp_path / "broken.onnx")]
    fixed = segdiff.locate(*files, image(), deployed=False).repair(tmp_path / "fixed.onnx").path
    assert segdiff.locate(files[0], fixed, image(), deployed=False).verdict == "agrees"


def test_the_scale_of_a_dynamic_weight(locate: Locate, tmp_path: Path) -> None:
    healthy = quantised(net(), tmp_path, "dynamic")
    names = [t.name for t in healthy.graph.initializer if t.name.endswith("_scale")]
    report = locate(net(), changed(healthy, names[0], lambda scale: scale * 1.5))
    assert cause(report) == ("quantization.weight_scale", True)


# --- one scale for channels that differ by orders


def lost_channels(tail: float = 1.0) -> ModelProto:
    """A convolution one channel of which has a large weight, for an input that is always zero.

    The others lose most of what they are to its scale; what comes of them counts ``tail`` times.
    """

    def steps(net: Net, x: str) -> str:
        first, bias = net.random.standard_normal((8, 3, 3, 3)) / 5, np.where(np.arange(8) == 7, -99.0, 0.5)
        stem = net.node(
            "Relu", net.node("Conv", x, net.constant(first), net.constant(bias), pads=[1, 1, 1, 1])
        )
        weight = net.random.standard_normal((64, 8, 1, 1)) / 10
        weight[0], weight[0, 7] = 0.0, 30.0
        deep = net.node("Conv", stem, net.constant(weight))
        last = net.random.standard_normal((4, 64, 1, 1)) * tail
        return net.node("Add", net.node("Conv", deep, net.constant(last)), net.conv(x, (3, 4)))

    return chain(steps)


@pytest.mark.parametrize("kind", ["qdq", "qoperator", "dynamic"])
def test_one_scale_for_channels_that_differ_by_orders(locate: Locate, tmp_path: Path, kind: str) -> None:
    report = locate(lost_channels(), quantised(lost_channels(), tmp_path, kind))
    assert cause(report) == ("quantization.weight_scale", True)
    assert report.origins[0].pair.why.kind == "scale"
    fixed = report.repair(tmp_path / "fixed.onnx").path
    assert locate(lost_channels(), onnx.load(fixed)).verdict == "agrees"


def test_a_scale_for_each_channel_is_enough(locate: Locate, tmp_path: Path) -> None:
    report = locate(lost_channels(), quantised(lost_channels(), tmp_path, per_channel=True))
    assert report.verdict == "agrees", report.sentence


def test_a_shared_scale_that_costs_nothing_in_the_end_is_rounding(locate: Locate, tmp_path: Path) -> None:
    model = lost_channels(tail=1e-4)
    report = locate(model, quantised(model, tmp_path))
    assert report.verdict == "agrees", report.sentence
    assert any("share one scale" in remark for remark in report.remarks)


# --- both sides rounded, each for itself


def test_a_scale_for_each_tensor_against_one_for_each_channel(locate: Locate, tmp_path: Path) -> None:
    one, other = quantised(net(), tmp_path), quantised(net(), tmp_path, per_channel=True)
    for pair in ((one, other), (other, one)):
        report = locate(*pair)
        assert report.verdict == "agrees", report.sentence


def test_bytes_against_half_precision(locate: Locate, tmp_path: Path) -> None:
    half = models.halved(net())
    for kind in ("qdq", "qoperator"):
        report = locate(half, quantised(net(), tmp_path, kind))
        assert report.verdict == "agrees", report.sentence


# --- onnxruntime's own operators, blocks of a few bits


def test_onnxruntimes_own_quantize_linear(locate: Locate, tmp_path: Path) -> None:
    healthy = quantised(net(), tmp_path, extra_options={"UseQDQContribOps": True})
    assert find_node(healthy, "QuantizeLinear").domain == "com.microsoft"
    assert locate(net(), healthy).verdict == "agrees"
    report = locate(net(), changed(healthy, quantizer(healthy, 3, 1), lambda scale: scale / 8))
    assert cause(report) == ("quantization.activation_range", True)


def recurrent() -> ModelProto:
    """An LSTM and a product behind it."""
    net = Net((6, 1, 16))
    y = net.node("LSTM", "x", net.weight(1, 48, 16), net.weight(1, 48, 12), net.weight(1, 96), hidden_size=12)
    flat = net.node("Reshape", y, net.constant([6, 1, 12], np.int64))
    return net.model(net.node("MatMul", flat, net.weight(12, 9)))


def fused(model: ModelProto, folder: Path) -> ModelProto:
    """A file as onnxruntime's optimiser writes it."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "fused.onnx")
    ort.InferenceSession(model.SerializeToString(), options)
    return onnx.load(folder / "fused.onnx")


def test_operators_that_make_bytes_inside(tmp_path: Path) -> None:
    files = [models.save(recurrent(), tmp_path / "ours.onnx"), tmp_path / "theirs.onnx"]
    made = fused(quantised(recurrent(), tmp_path, "dynamic"), tmp_path)
    assert {"DynamicQuantizeLSTM", "DynamicQuantizeMatMul"} <= {node.op_type for node in made.graph.node}
    models.save(made, files[1])
    report = segdiff.locate(*files, image((6, 1, 16)), deployed=False)
    assert report.verdict == "agrees", report.sentence
    scale = find_node(made, "DynamicQuantizeMatMul").input[2]
    models.save(changed(made, scale, lambda scale: scale * 1.5), files[1])
    report = segdiff.locate(*files, image((6, 1, 16)), deployed=False)
    assert cause(report) == ("quantization.weight_scale", True)


def test_a_scale_for_each_row_of_a_gate(tmp_path: Path) -> None:
    """Two right files, one with a scale for each direction; and one row of a gate with a wrong scale."""
    files = [tmp_path / "ours.onnx", tmp_path / "theirs.onnx"]
    whole = fused(quantised(recurrent(), tmp_path, "dynamic"), tmp_path)
    source = tmp_path / "float.onnx"
    quantize_dynamic(source, tmp_path / "rows.onnx", weight_type=QuantType.QInt8, per_channel=True)
    rows = onnx.load(tmp_path / "rows.onnx")
    scale = find_node(rows, "DynamicQuantizeLSTM").input[8]
    assert len(next(each for each in rows.graph.initializer if each.name == scale).dims) == 2
    for ours, theirs in ((whole, rows), (rows, whole)):
        models.save(ours, files[0]), models.save(theirs, files[1])
        report = segdiff.locate(*files, image((6, 1, 16)), deployed=False)
        assert report.verdict == "agrees", report.sentence
    wrong = changed(
        rows, scale, lambda array: array * np.where(np.arange(48) == 5, 1.5, 1).astype(np.float32)
    )
    models.save(whole, files[0]), models.save(wrong, files[1])
    report = segdiff.locate(*files, image((6, 1, 16)), deployed=False)
    assert report.verdict == "diverges" and report.first is not None
    assert report.first.candidate_nodes[0].type == "com.microsoft.DynamicQuantizeLSTM"


def blocked(bits: int = 4, block: int = 16) -> tuple[ModelProto, ModelProto]:
    """A product, and the same with a weight of a few bits in blocks."""
    ours, theirs = Net((2, 40)), Net((2, 40))
    weight = ours.random.standard_normal((40, 6)).astype(np.float32)
    one = ours.model(ours.node("Relu", ours.node("MatMul", "x", ours.constant(weight))))
    count = -(-40 // block)
    padded = np.zeros((6, count * block), np.float32)
    padded[:, :40] = weight.T
    rows = padded.reshape(6, count, block)
    scale = np.abs(rows).max(-1, keepdims=True) / (2 ** (bits - 1) - 1)
    whole = (np.rint(rows / scale) + 2 ** (bits - 1)).astype(np.uint8)
    packed = whole if bits == 8 else whole[..., ::2] | (whole[..., 1::2] << 4)
    inputs = ["x", theirs.constant(packed, np.uint8), theirs.constant(scale.reshape(-1), name="scales")]
    attributes = {"K": 40, "N": 6, "bits": bits, "block_size": block}
    y = theirs.node("MatMulNBits", *inputs, domain="com.microsoft", **attributes)
    other = theirs.model(theirs.node("Relu", y))
    other.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return one, other


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_in_blocks(tmp_path: Path, bits: int) -> None:
    one, other = blocked(bits)
    files = [models.save(one, tmp_path / "ours.onnx"), models.save(other, tmp_path / "theirs.onnx")]
    report = segdiff.locate(*files, image((2, 40)), deployed=False)
    assert report.verdict == "agrees", report.sentence
    assert report.precision is not None and report.precision.candidate == f"int{bits}"
    models.save(changed(other, "scales", lambda scale: scale * np.where(np.arange(18) < 3, 2, 1)), files[1])
    report = segdiff.locate(*files, image((2, 40)), deployed=False)
    assert cause(report) == ("parameter.value", True)
    fixed = report.repair(tmp_path / "fixed.onnx").path
    assert segdiff.locate(files[0], fixed, image((2, 40)), deployed=False).verdict == "agrees"


# --- a quantised reference rounds for itself


@pytest.mark.parametrize("kind", ["qdq", "qoperator", "dynamic"])
def test_a_quantised_reference_against_floats(locate: Locate, tmp_path: Path, kind: str) -> None:
    for model in (net(),) if kind == "qoperator" else (segmenter(), net()):
        report = locate(quantised(model, tmp_path, kind), model)
        assert report.verdict == "agrees", report.sentence
        assert locate(quantised(model, tmp_path, kind), models.halved(model)).verdict == "agrees"


def test_two_files_of_other_ranges(locate: Locate, tmp_path: Path) -> None:
    """Either is right: each rounds to steps of its own."""
    one = quantised(net(), tmp_path)
    other = quantised(
        net(), tmp_path, activation_type=QuantType.QUInt8, extra_options={"ActivationSymmetric": True}
    )
    for pair in ((one, other), (other, one)):
        report = locate(*pair)
        assert report.verdict == "agrees", report.sentence


@pytest.mark.parametrize("kind, op_type", [("qoperator", "QLinearConv"), ("dynamic", "ConvInteger")])
def test_the_padding_of_a_convolution_of_integers(
    locate: Locate, tmp_path: Path, kind: str, op_type: str
) -> None:
    healthy = quantised(net(), tmp_path, kind)
    report = locate(net(), models.with_attribute(healthy, op_type, 1, pads=[0, 1, 2, 1]))
    assert cause(report) == ("conv.pads", True)


def test_values_that_one_side_keeps_in_another_layout_are_no_fault(tmp_path: Path, locate: Locate) -> None:
    """onnxruntime's last level lays a part of the network out with its channels last."""
    first = models.save(quantised(segmenter(), tmp_path, per_channel=True), tmp_path / "first.onnx")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(tmp_path / "all.onnx")
    ort.InferenceSession(first, options, providers=["CPUExecutionProvider"])
    other = quantised(segmenter(), tmp_path, extra_options={"AddQDQPairToWeight": True})
    report = locate(onnx.load(tmp_path / "all.onnx"), other)
    assert report.verdict == "agrees", report.sentence


def test_bytes_of_its_own_for_each_reader(tmp_path: Path, locate: Locate) -> None:
    """Bytes that do what a ReLU did, once for all readers or once for each, and floats in place of them."""
    once = quantised(segmenter(), tmp_path)
    each = quantised(segmenter(), tmp_path, extra_options={"DedicatedQDQPair": True})
    for ours, theirs in ((once, each), (each, once), (each, segmenter()), (segmenter(), each)):
        report = locate(ours, theirs)
        assert report.verdict == "agrees", report.sentence


def test_a_wrong_scale_in_front_of_one_of_several_readers_is_found(tmp_path: Path, locate: Locate) -> None:
    once = quantised(segmenter(), tmp_path)
    each = quantised(segmenter(), tmp_path, extra_options={"DedicatedQDQPair": True})
    names = [node.input[0] for node in each.graph.node if node.op_type == "QuantizeLinear"]
    several = next(name for name in names if names.count(name) > 1)
    makers = [n for n in each.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == several]
    readers = [
        n for n in each.graph.node if n.op_type == "DequantizeLinear" and n.input[0] == makers[0].output[0]
    ]
    content = next(i for i in each.graph.initializer if i.name == makers[0].input[1])
    scale = numpy_helper.from_array(numpy_helper.to_array(content) / np.float32(4), "of_one")
    each.graph.initializer.append(scale)
    for node in (makers[0], *readers):
        node.input[1] = "of_one"
    report = locate(once, each)
    assert report.verdict == "diverges", report.sentence
    assert cause(report) == ("quantization.activation_range", True)


def swishes(written_out: bool) -> ModelProto:
    """Two hard swishes and a gate; each swish one operator, or a product with a hard sigmoid."""
    net = Net(seed=2)

    def swish(x: str) -> str:
        if not written_out:
            return net.node("HardSwish", x)
        return net.node("Mul", x, net.node("HardSigmoid", x, alpha=1 / 6, beta=0.5))

    deep = net.node("Relu", net.conv(swish(net.conv(swish(net.conv("x", (3, 8))), (8, 8))), (8, 8)))
    mean = net.node("GlobalAveragePool", deep)
    gate = net.node("HardSigmoid", net.conv(mean, (8, 8), kernel=1), alpha=1 / 6, beta=0.5)
    return net.model(net.conv(net.node("Mul", deep, gate), (8, 4)))


@pytest.mark.parametrize("written_out", [True, False])
def test_a_picture_beyond_the_calibration_is_told_as_that(written_out: bool, tmp_path: Path) -> None:
    """Ranges that cut off are named where they are, also inside a segment, and not as other operators."""
    made = quantised(swishes(written_out=True), tmp_path, per_channel=True)
    files = [models.save(swishes(written_out), tmp_path / "ours.onnx"), tmp_path / "theirs.onnx"]
    models.save(made, files[1])
    report = segdiff.locate(*files, image() * np.float32(2), timeout=60, deployed=False)
    assert report.verdict == "diverges", report.sentence
    found = {(o.cause.kind, o.cause.proven) for o in report.origins if o.cause}
    assert found == {("quantization.activation_range", True)}


def test_a_weight_that_is_spelled_out_with_another_zero_point(locate: Locate, tmp_path: Path) -> None:
    healthy = quantised(net(), tmp_path)
    dims = {each.name: len(each.dims) for each in healthy.graph.initializer}
    spelled = [n for n in healthy.graph.node if n.op_type == "DequantizeLinear" and dims.get(n.input[0]) == 4]
    wrong = changed(healthy, spelled[1].input[2], lambda zero: (zero + 3).astype(zero.dtype))
    assert cause(locate(net(), wrong)) == ("quantization.zero_point", True)
