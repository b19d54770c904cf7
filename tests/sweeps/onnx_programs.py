"""Which operators does ONNX have, and what is a sensible input of each? A program an operator, or several.

Left out are operators without a setting (no attribute, no second operand), those whose operands are
sequences, optionals or strings, those with graphs in their attributes (If, Loop, Scan, SequenceMap) and the
random ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tests.models import Array

_RANDOM = np.random.default_rng(7)
_START = _RANDOM.bit_generator.state
IMAGE = (1, 4, 6, 8)


@dataclass(frozen=True, eq=False)
class Fed:
    """An operand that is an input of the model."""

    array: Array


Part = Fed | Array | None


@dataclass(frozen=True, eq=False)
class Program:
    """One node: its operands, fed or constant, its attributes, and how many outputs are looked at."""

    op_type: str
    parts: tuple[Part, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1
    opset: int = 18


def normal(*shape: int) -> Array:
    """Random numbers, none of them near zero."""
    found = _RANDOM.standard_normal(shape).astype(np.float32)
    return found + np.sign(found) * np.float32(0.05)


def image(*shape: int) -> Fed:
    """A fed tensor."""
    return Fed(normal(*(shape or IMAGE)))


def positive(*shape: int) -> Fed:
    """A fed tensor of positive numbers."""
    return Fed(np.abs(normal(*(shape or IMAGE))) + np.float32(0.2))


def ints(*values: Any) -> Array:
    """A vector of int64."""
    return np.array(values, np.int64)


def floats(*values: float) -> Array:
    """A vector of float32."""
    return np.array(values, np.float32)


def number(value: Any, dtype: Any = np.float32) -> Array:
    """A tensor of no axes."""
    return np.array(value, dtype)


def whole(high: int, *shape: int, dtype: Any = np.int64) -> Fed:
    """A fed tensor of integers."""
    return Fed(_RANDOM.integers(0, high, shape).astype(dtype))


def programs(opset: int = 18) -> Iterator[Program]:
    """Every program; those of operators that changed since are in the spelling of the opset."""
    _RANDOM.bit_generator.state = _START
    makers = (_elementwise, _activations, _reductions, _images, _shapes, _indexing, _weights, _others)
    for maker in makers:
        for program in maker(opset):
            yield replace(program, opset=opset)


def _elementwise(opset: int) -> Iterator[Program]:
    for op_type in ("Add", "Sub", "Mul", "Div", "PRelu"):
        yield Program(op_type, (image(), normal(1, 4, 1, 1)))
    yield Program("Add", (image(), number(0.3)))
    yield Program("Pow", (positive(), number(2.0)))
    for op_type in ("Max", "Min", "Sum", "Mean"):
        yield Program(op_type, (image(), normal(1, 4, 1, 1), normal(1, 1, 1, 8)))
    for op_type in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        if opset >= 12 or "Or" not in op_type:
            yield Program(op_type, (image(), normal(1, 4, 1, 8)))
    yield Program("Equal", (whole(4, 3, 8), _RANDOM.integers(0, 4, (3, 8))))
    for op_type in ("And", "Or", "Xor"):
        fed = Fed(_RANDOM.integers(0, 2, (4, 8)).astype(bool))
        yield Program(op_type, (fed, _RANDOM.integers(0, 2, (4, 8)).astype(bool)))
    if opset >= 18:
        for op_type in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
            yield Program(op_type, (whole(200, 4, 8), _RANDOM.integers(1, 200, (1, 8))))
    shift = np.full((4, 8), 2, np.uint32)
    yield Program("BitShift", (whole(200, 4, 8, dtype=np.uint32), shift), {"direction": "LEFT"})
    yield Program("Mod", (Fed(normal(4, 8) * 5), normal(1, 8)), {"fmod": 1})
    yield Program("Mod", (Fed(_RANDOM.integers(-20, 20, (4, 8))), ints(3, 4, 5, 7, -3, -4, -5, 6)))
    yield Program("Where", (Fed(_RANDOM.integers(0, 2, (4, 8)).astype(bool)), image(4, 8), normal(4, 8)))
    yield Program("Cast", (Fed(normal(4, 8) * 300),), {"to": 6})


def _activations(opset: int) -> Iterator[Program]:
    yield Program("LeakyRelu", (image(),), {"alpha": 0.1})
    yield Program("Elu", (image(),), {"alpha": 0.7})
    if opset >= 12:
        yield Program("Celu", (image(),), {"alpha": 0.7})
    yield Program("Selu", (image(),), {"alpha": 1.2, "gamma": 1.1})
    yield Program("HardSigmoid", (image(),), {"alpha": 0.3, "beta": 0.4})
    yield Program("ThresholdedRelu", (image(),), {"alpha": 0.4})
    yield Program("Shrink", (image(),), {"bias": 0.2, "lambd": 0.3})
    for op_type in ("Softmax", "LogSoftmax", "Hardmax"):
        yield Program(op_type, (image(),), {"axis": 1})
    yield Program("LpNormalization", (image(),), {"axis": 1, "p": 2})
    bounds = (image(), number(-0.4), number(0.6)) if opset >= 11 else (image(),)
    yield Program("Clip", bounds, {} if opset >= 11 else {"min": -0.4, "max": 0.6})


def _reductions(opset: int) -> Iterator[Program]:
    kinds = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
    for kind in kinds:
        operand = opset >= 18 or (kind == "Sum" and opset >= 13)
        parts: tuple[Part, ...] = (positive(1, 4, 4, 4),)
        if operand:
            yield Program(f"Reduce{kind}", (*parts, ints(1, 2)), {"keepdims": 1})
        else:
            yield Program(f"Reduce{kind}", parts, {"keepdims": 1, "axes": [1, 2]})
    for op_type in ("ArgMax", "ArgMin"):
        tied = Fed(np.round(normal(1, 6, 6, 6)))
        yield Program(op_type, (tied,), {"axis": 1, "keepdims": 1})
    yield Program("TopK", (image(), ints(3)), {"axis": 1}, outputs=2)
    yield Program("CumSum", (image(1, 4, 4, 4), number(1, np.int64)))


def _images(opset: int) -> Iterator[Program]:
    window = {"kernel_shape": [2, 2], "pads": [0, 1, 1, 0], "strides": [2, 2]}
    yield Program("MaxPool", (image(1, 4, 7, 9),), window)
    yield Program("AveragePool", (image(1, 4, 7, 9),), window)
    yield Program("LpPool", (image(1, 4, 7, 9),), window)
    yield Program("GlobalLpPool", (image(),), {"p": 2})
    yield Program(
        "MaxUnpool", (image(1, 1, 2, 2), ints(5, 7, 13, 15).reshape(1, 1, 2, 2)), window | {"pads": [0] * 4}
    )
    rois = floats(0, 0, 0, 5, 3, 0, 1, 1, 7, 5).reshape(2, 5)
    yield Program("MaxRoiPool", (image(), rois), {"pooled_shape": [2, 2], "spatial_scale": 0.9})
    boxes = floats(0.5, 0.6, 6.2, 4.1, 1.2, 1.1, 7.3, 5.4).reshape(2, 4)
    settings = {"output_height": 3, "output_width": 3, "sampling_ratio": 2, "spatial_scale": 0.8}
    yield Program("RoiAlign", (image(2, 3, 8, 8), boxes, ints(0, 1)), settings)
    if opset >= 16:
        grid = Fed(np.tanh(normal(1, 5, 5, 2)) * np.float32(1.3))
        yield Program("GridSample", (image(), grid), {"align_corners": 0})
    linear = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if opset >= 11:
        absent = None if opset >= 13 else floats()
        yield Program("Resize", (image(), absent, floats(1, 1, 1.5, 2.0)), linear)
        yield Program("Resize", (image(), absent, absent, ints(1, 4, 9, 11)), {"mode": "nearest"})
        yield Program("Resize", (image(), absent, floats(1, 1, 1.5, 2.0)), {"mode": "cubic"})
    if opset >= 18:
        yield Program("Resize", (image(), None, floats(0.5, 0.5)), linear | {"axes": [2, 3], "antialias": 1})
        folded = (image(1, 8, 4), ints(3, 3), ints(2, 2))
        yield Program("Col2Im", folded)
        yield Program("CenterCropPad", (image(), ints(4, 10)), {"axes": [2, 3]})
    if opset == 9:
        yield Program("Upsample", (image(), floats(1, 1, 2, 2)), {"mode": "nearest"})
    yield Program(
        "DepthToSpace",
        (image(1, 8, 3, 4),),
        {"blocksize": 2, "mode": "DCR"} if opset >= 11 else {"blocksize": 2},
    )
    yield Program("SpaceToDepth", (image(1, 4, 4, 8),), {"blocksize": 2})
    if opset >= 11:
        yield Program("Pad", (image(), ints(0, 0, 1, 2, 0, 0, 2, 1), number(0.5)), {"mode": "constant"})
    else:
        yield Program("Pad", (image(),), {"pads": [0, 0, 1, 2, 0, 0, 2, 1], "value": 0.5})
    yield Program("LRN", (image(),), {"size": 3, "alpha": 0.5, "beta": 0.6, "bias": 1.2})


def _shapes(opset: int) -> Iterator[Program]:
    yield Program("Transpose", (image(1, 4, 4, 4),), {"perm": [0, 2, 3, 1]})
    yield Program("Reshape", (image(), ints(1, 8, -1)))
    yield Program("Flatten", (image(2, 3, 4),), {"axis": 1})
    axes = (ints(0, 3),) if opset >= 13 else ()
    said = {} if opset >= 13 else {"axes": [0, 3]}
    yield Program("Squeeze", (image(1, 4, 1, 1), *axes), said)
    yield Program("Unsqueeze", (image(4, 6), *axes), said)
    yield Program("Expand", (image(1, 4, 1, 1), ints(1, 4, 2, 3)))
    yield Program("Tile", (image(1, 4, 2, 2), ints(1, 1, 2, 3)))
    yield Program("Concat", (image(1, 2, 2, 2), normal(1, 2, 2, 2)), {"axis": 1})
    sizes = (ints(1, 3),) if opset >= 13 else ()
    yield Program("Split", (image(1, 4, 4, 4), *sizes), {"axis": 1} | ({} if sizes else {"split": [1, 3]}), 2)
    if opset >= 10:
        yield Program("Slice", (image(1, 8, 8, 8), ints(1, 2), ints(7, 8), ints(1, 2), ints(2, 1)))
    else:
        yield Program("Slice", (image(1, 8, 8, 8),), {"starts": [1, 2], "ends": [7, 8], "axes": [1, 2]})
    yield (
        Program("Trilu", (image(2, 6, 6), number(0, np.int64)), {"upper": 1})
        if opset >= 14
        else Program("Flatten", (image(2, 3, 4),))
    )
    yield Program("EyeLike", (image(5, 7),), {"k": 1})
    yield Program("Shape", (image(),), {"start": 1, "end": 3} if opset >= 15 else {})
    yield Program("ReverseSequence", (image(4, 4, 3), ints(1, 2, 3, 4)), {"time_axis": 0, "batch_axis": 1})
    yield (
        Program("Einsum", (image(4, 4), normal(4, 4)), {"equation": "ij,jk->ik"})
        if opset >= 12
        else Program("Flatten", (image(2, 3, 4),))
    )
    yield Program("Compress", (image(6, 6), np.array([1, 0, 1, 1, 0, 1], bool)), {"axis": 0})
    yield Program("ConstantOfShape", (Fed(ints(2, 3)),), {"value": floats(0.7)})
    yield Program("Range", (Fed(number(1.0)), number(9.0), number(0.5)))
    yield Program("Unique", (Fed(np.round(normal(6, 2))),), {"axis": 0, "sorted": 1})


def _indexing(opset: int) -> Iterator[Program]:
    yield Program("Gather", (image(4, 4, 4), ints(2, 0, 3)), {"axis": 1})
    places = _RANDOM.integers(0, 4, (4, 4, 4))
    yield Program("GatherElements", (image(4, 4, 4), places), {"axis": 1})
    yield Program("GatherND", (image(4, 4, 4), ints(0, 1, 2, 3, 1, 0, 3, 2).reshape(4, 2)))
    unlike = np.argsort(_RANDOM.random((2, 4, 4)), axis=0)
    yield Program("ScatterElements", (image(4, 4, 4), unlike, normal(2, 4, 4)), {"axis": 0})
    yield Program("ScatterND", (image(4, 4, 4), ints(0, 1, 2, 3, 1, 0).reshape(3, 2), normal(3, 4)))
    values = floats(-0.5, 1.5)
    yield Program("OneHot", (whole(5, 3, 4), number(5, np.int64), values), {"axis": 1})
    boxes = np.concatenate([np.abs(normal(1, 12, 2)), np.abs(normal(1, 12, 2)) + 1.2], axis=2)
    scores = Fed(_RANDOM.random((1, 2, 12)).astype(np.float32))
    yield Program("NonMaxSuppression", (Fed(boxes), scores, ints(5), floats(0.4), floats(0.1)))


def _weights(opset: int) -> Iterator[Program]:
    settings = {"pads": [1, 1, 1, 1], "strides": [1, 1], "dilations": [1, 1], "group": 2}
    yield Program("Conv", (image(), normal(4, 2, 3, 3), normal(4)), settings)
    yield Program("ConvTranspose", (image(), normal(4, 2, 3, 3), normal(4)), settings)
    yield Program("Gemm", (image(4, 4), normal(4, 4), normal(4)), {"alpha": 0.7, "beta": 0.6, "transB": 1})
    yield Program("MatMul", (image(2, 4, 4), normal(4, 4)))
    statistics = (np.abs(normal(4)), normal(4), normal(4), np.abs(normal(4)) * np.float32(0.1))
    yield Program("BatchNormalization", (image(), *statistics), {"epsilon": 1e-2})
    yield Program("InstanceNormalization", (image(), normal(4), normal(4)), {"epsilon": 1e-1})
    if opset >= 17:
        yield Program("LayerNormalization", (image(2, 4, 4), normal(4), normal(4)), {"epsilon": 1e-1})
    if opset >= 18:
        yield Program(
            "GroupNormalization", (image(), normal(2), normal(2)), {"num_groups": 2, "epsilon": 1e-1}
        )
    yield Program("MeanVarianceNormalization", (image(),), {"axes": [0, 2, 3]})
    for op_type, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        hidden = 5
        parts = (
            image(6, 2, 3), normal(1, gates * hidden, 3), normal(1, gates * hidden, hidden),
            normal(1, 2 * gates * hidden), np.array([6, 4], np.int32), normal(1, 2, hidden),
        )  # fmt: skip
        yield Program(op_type, parts, {"hidden_size": hidden})


def _others(opset: int) -> Iterator[Program]:
    scale, zero = floats(0.1, 0.2, 0.05, 0.1), np.array([120, 128, 100, 128], np.uint8)
    if opset >= 13:
        yield Program("QuantizeLinear", (image(4, 4), scale, zero), {"axis": 1})
        yield Program("DequantizeLinear", (whole(255, 4, 4, dtype=np.uint8), scale, zero), {"axis": 1})
    one, centre = number(0.05), number(128, np.uint8)
    pixels, kernel = (
        whole(255, 1, 2, 6, 6, dtype=np.uint8),
        _RANDOM.integers(0, 255, (4, 2, 3, 3)).astype(np.uint8),
    )
    yield Program("ConvInteger", (pixels, kernel, centre, number(120, np.uint8)), {"pads": [1, 1, 1, 1]})
    quantised = (pixels, one, centre, kernel, number(0.02), number(120, np.uint8), number(0.3), centre)
    yield Program("QLinearConv", quantised, {"pads": [1, 1, 1, 1]})
    rows, columns = whole(255, 4, 6, dtype=np.uint8), _RANDOM.integers(0, 255, (6, 5)).astype(np.uint8)
    yield Program("MatMulInteger", (rows, columns, centre, number(120, np.uint8)))
    yield Program(
        "QLinearMatMul",
        (rows, one, centre, columns, number(0.02), number(120, np.uint8), number(0.3), centre),
    )
    if opset >= 17:
        yield Program("DFT", (image(1, 8, 8, 1), number(8, np.int64)), {"axis": 1})
        yield Program("STFT", (image(1, 32, 1), number(4, np.int64), np.abs(normal(8)), number(8, np.int64)))
        for op_type in ("HannWindow", "HammingWindow", "BlackmanWindow"):
            yield Program(op_type, (Fed(number(16, np.int64)),), {"periodic": 1})
        mel = (number(257, np.int64), number(16000, np.int64), number(50.0), number(7000.0))
        yield Program("MelWeightMatrix", (Fed(number(8, np.int64)), *mel))
    if opset >= 12:
        target, weight = _RANDOM.integers(0, 5, (6,)), np.abs(normal(5))
        for op_type in ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"):
            yield Program(op_type, (image(6, 5), target, weight), {"reduction": "none", "ignore_index": 1})
    pool = {"mode": "TF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 1}
    grams = {"ngram_counts": [0, 3], "ngram_indexes": [0, 1, 2, 3, 4], "pool_int64s": [1, 2, 3, 1, 2, 2, 3]}
    yield Program("TfIdfVectorizer", (whole(4, 12),), pool | grams | {"weights": [1.0, 2.0, 0.5, 1.5, 0.7]})
    yield Program(
        "IsInf", (Fed(floats(1, 3.2e38, -3.2e38, 2, 3.2e38, -3.2e38, 3, 4)),), {"detect_negative": 1}
    )
