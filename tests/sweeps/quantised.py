"""Every way in which onnxruntime's own tools make bytes of a small network: do right files agree?

``python -m tests.sweeps.quantised FOLDER [--only PATTERN ...] [--pairs N]`` makes the networks of ``NETS``
coarser with each of ``MAKERS`` (blocks of four bits need ``onnx_ir``), asks about each against the float32
network, both ways round, and about N pairs of the made files of one network against each other. What cannot
be made is told.
"""

from __future__ import annotations

import argparse
import fnmatch
import itertools
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, TensorProto, helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

import segdiff
from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Array
from tests.models import Net, halved, image, save, segmenter

Feeds = dict[str, Array]
Make = Callable[[Path, Path, Feeds], None]

SHAPE = (1, 3, 16, 24)


def pieces() -> ModelProto:
    """A bit of every operator that has a form on bytes."""
    net = Net(SHAPE, seed=3, opset=17)
    stem = net.node("LeakyRelu", net.conv("x", (3, 8)), alpha=0.1)
    pooled = net.node("AveragePool", stem, kernel_shape=[2, 2], strides=[2, 2])
    up = net.node("ConvTranspose", pooled, net.weight(8, 8, 2, 2), strides=[2, 2])
    both = net.node("Concat", net.node("Sigmoid", up), stem, axis=1)
    gate = net.node("Sigmoid", net.conv(net.node("GlobalAveragePool", both), (16, 16), kernel=1))
    deep = net.node("Mul", both, gate)
    deep = net.node("Add", net.conv(deep, (16, 8)), net.node("Pad", stem, net.constant([0] * 8, np.int64)))
    mean = net.node("ReduceMean", deep, axes=[2, 3], keepdims=0)
    scores = net.node("Gemm", mean, net.weight(8, 8), net.weight(8))
    side = net.node("Unsqueeze", net.node("Softmax", scores, axis=-1), net.constant([2, 3], np.int64))
    return net.model(
        net.conv(
            net.node("Mul", net.resize(net.node("MaxPool", deep, kernel_shape=[2, 2], strides=[2, 2])), side),
            (8, 4),
            kernel=1,
        )
    )


def tokens() -> ModelProto:
    """A transformer's layer on tokens: embedding, attention of two heads, norms, a feed-forward part."""
    net = Net((1, 12), seed=5, opset=17, name="ids")
    net.inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 12])]
    x = net.node("Gather", net.constant(net.random.standard_normal((40, 32))), "ids")
    x = net.node("Add", x, net.constant(net.random.standard_normal((12, 32)) / 4))
    for _ in range(2):
        x = norm(net, net.node("Add", x, heads(net, x)))
        wide = net.node("Add", net.node("MatMul", x, net.weight(32, 64)), net.weight(64))
        erf = net.node("Erf", net.node("Mul", wide, net.constant(2**-0.5)))
        gelu = net.node(
            "Mul", net.node("Mul", wide, net.node("Add", erf, net.constant(1.0))), net.constant(0.5)
        )
        x = norm(net, net.node("Add", x, net.node("MatMul", gelu, net.weight(64, 32))))
    return net.model(net.node("Add", net.node("MatMul", x, net.weight(32, 10)), net.weight(10)))


def norm(net: Net, x: str) -> str:
    """A layer norm over 32 channels."""
    return net.node("LayerNormalization", x, net.constant(net.random.uniform(0.5, 1.5, 32)), net.weight(32))


def heads(net: Net, x: str) -> str:
    """Attention of two heads over 12 tokens of 32 channels."""
    split = [
        net.node(
            "Transpose",
            net.node(
                "Reshape",
                net.node("Add", net.node("MatMul", x, net.weight(32, 32)), net.weight(32)),
                net.constant([0, 0, 2, 16], np.int64),
            ),
            perm=perm,
        )
        for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    ]
    scores = net.node("Softmax", net.node("Div", net.node("MatMul", *split[:2]), net.constant(4.0)), axis=-1)
    mixed = net.node("Transpose", net.node("MatMul", scores, split[2]), perm=[0, 2, 1, 3])
    return net.node(
        "MatMul", net.node("Reshape", mixed, net.constant([0, 0, 32], np.int64)), net.weight(32, 32)
    )


def recurrent() -> ModelProto:
    """An LSTM of both directions, and a product behind it."""
    net = Net((6, 1, 16), seed=7, opset=17)
    weights = [net.weight(2, 48, 16), net.weight(2, 48, 12), net.weight(2, 96)]
    y = net.node("LSTM", "x", *weights, hidden_size=12, direction="bidirectional")
    flat = net.node(
        "Reshape", net.node("Transpose", y, perm=[0, 2, 1, 3]), net.constant([6, 1, 24], np.int64)
    )
    return net.model(
        net.node(
            "Softmax", net.node("Add", net.node("MatMul", flat, net.weight(24, 9)), net.weight(9)), axis=-1
        )
    )


NETS: Mapping[str, tuple[Callable[[], ModelProto], Callable[[int], Feeds]]] = {
    "segmenter": (segmenter, lambda seed: {"x": image(seed=seed)}),
    "pieces": (pieces, lambda seed: {"x": image(SHAPE, seed)}),
    "tokens": (tokens, lambda seed: {"ids": np.random.default_rng(seed).integers(0, 40, (1, 12))}),
    "recurrent": (recurrent, lambda seed: {"x": image((6, 1, 16), seed)}),
}


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """The tensors that the models are compared on, and some like them."""

    def __init__(self, net: str) -> None:
        self.left = iter([NETS[net][1](seed) for seed in range(6)])

    def get_next(self) -> Feeds | None:
        return next(self.left, None)


def static(form: str, **options: Any) -> Make:
    """onnxruntime's static quantisation."""

    def make(source: Path, target: Path, feeds: Feeds) -> None:
        options.setdefault("weight_type", QuantType.QInt8)
        quantize_static(source, target, Calibration(source.stem), QuantFormat[form], **options)

    return make


def dynamic(**options: Any) -> Make:
    """onnxruntime's dynamic quantisation."""
    return lambda source, target, feeds: quantize_dynamic(source, target, **options)


def optimised(first: Make, level: str = "EXTENDED") -> Make:
    """What onnxruntime's optimiser writes of a file."""

    def make(source: Path, target: Path, feeds: Feeds) -> None:
        before = target.with_suffix(".before.onnx")
        first(source, before, feeds)
        how = ort.SessionOptions()
        how.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
        how.optimized_model_filepath = str(target)
        ort.InferenceSession(before, how, providers=["CPUExecutionProvider"])

    return make


def fused(first: Make) -> Make:
    """The network as onnxruntime's optimiser writes it, its norms and activations fused, then quantised."""

    def make(source: Path, target: Path, feeds: Feeds) -> None:
        before = target.with_name(f"{target.stem}.fused") / source.name
        before.parent.mkdir(exist_ok=True)
        optimised(lambda ours, theirs, _: save(onnx.load(ours), theirs) and None)(source, before, feeds)
        first(before, target, feeds)

    return make


def blocks(form: str, bits: int = 4, **options: Any) -> Make:
    """Weights in blocks of four or eight bits with a scale for each block."""

    def make(source: Path, target: Path, feeds: Feeds) -> None:
        from onnxruntime.quantization import matmul_nbits_quantizer as tool

        model = onnx.load(source)
        if form == "QDQ":
            model = onnx.version_converter.convert_version(model, 21)
            model.ir_version = 10
        how = tool.DefaultWeightOnlyQuantConfig(
            block_size=16, quant_format=QuantFormat[form], bits=bits, **options
        )
        made = tool.MatMulNBitsQuantizer(model, algo_config=how)
        made.process()
        made.model.save_model_to_file(str(target))

    return make


def float16(source: Path, target: Path, feeds: Feeds) -> None:
    """Half precision."""
    save(halved(onnx.load(source)), target)


MAKERS: Mapping[str, Make] = {
    "float16": float16,
    "qdq": static("QDQ"),
    "qdq-channel": static("QDQ", per_channel=True),
    "qdq-uint8": static("QDQ", activation_type=QuantType.QUInt8),
    "qdq-uint8-symmetric": static(
        "QDQ",
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QUInt8,
        extra_options={"ActivationSymmetric": True},
    ),
    "qdq-int16": static("QDQ", activation_type=QuantType.QInt16),
    "qdq-uint16": static("QDQ", activation_type=QuantType.QUInt16, per_channel=True),
    "qdq-contrib": static("QDQ", extra_options={"UseQDQContribOps": True}),
    "qdq-own-pairs": static("QDQ", extra_options={"DedicatedQDQPair": True}),
    "qdq-float-bias": static("QDQ", extra_options={"QuantizeBias": False}),
    "qdq-reduced": static("QDQ", reduce_range=True, per_channel=True),
    "qdq-entropy": static("QDQ", calibrate_method=CalibrationMethod.Entropy),
    "qdq-percentile": static("QDQ", calibrate_method=CalibrationMethod.Percentile),
    "qdq-int4": static("QDQ", weight_type=QuantType.QInt4, per_channel=True),
    "qdq-weights-bytes": static("QDQ", extra_options={"AddQDQPairToWeight": True}),
    "qoperator": static("QOperator"),
    "qoperator-channel": static("QOperator", per_channel=True, activation_type=QuantType.QUInt8),
    "qdq-optimised": optimised(static("QDQ", activation_type=QuantType.QUInt8)),
    "qdq-optimised-channel": optimised(static("QDQ", per_channel=True)),
    "qdq-all": optimised(static("QDQ", per_channel=True), "ALL"),
    "dynamic": dynamic(weight_type=QuantType.QUInt8),
    "dynamic-int8": dynamic(weight_type=QuantType.QInt8),
    "dynamic-channel": dynamic(weight_type=QuantType.QInt8, per_channel=True),
    "dynamic-all": dynamic(
        weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": False, "EnableSubgraph": True}
    ),
    "dynamic-optimised": optimised(dynamic(weight_type=QuantType.QInt8)),
    "dynamic-all-optimised": optimised(dynamic(extra_options={"MatMulConstBOnly": False}), "ALL"),
    "fused-dynamic": fused(dynamic(weight_type=QuantType.QInt8)),
    "fused-dynamic-channel": fused(dynamic(weight_type=QuantType.QUInt8, per_channel=True)),
    "fused-qdq": fused(static("QDQ")),
    "blocks4": blocks("QOperator"),
    "blocks4-symmetric": blocks("QOperator", is_symmetric=True),
    "blocks8": blocks("QOperator", bits=8),
    "blocks4-qdq": blocks("QDQ"),
    "blocks4-qdq-symmetric": blocks("QDQ", is_symmetric=True),
    "blocks4-gather": blocks("QOperator", op_types_to_quantize=("MatMul", "Gather"),
                             quant_axes=(("MatMul", 0), ("Gather", 1))),
}  # fmt: skip
"""Name -> how the file is made."""


def made(folder: Path, net: str, name: str) -> Path | str:
    """A file, made once; why not, where it could not be."""
    source, target = folder / f"{net}.onnx", folder / f"{net}-{name}.onnx"
    if not source.is_file():
        save(NETS[net][0](), source)
    if not target.is_file():
        try:
            MAKERS[name](source, target, NETS[net][1](0))
            ort.InferenceSession(target, providers=["CPUExecutionProvider"])
        except Exception as error:  # whatever a tool says
            target.unlink(missing_ok=True)
            return " ".join(str(error).split())[:150]
    return target


def asked(ours: Path, theirs: Path, feeds: Feeds) -> tuple[str, str]:
    """The verdict, and what to say of it."""
    try:
        report = segdiff.locate(ours, theirs, feeds, deployed=False)
    except SegdiffError as error:
        return "error", str(error)[:200]
    blamed = [
        f"{[node.type for node in origin.candidate_nodes]} {origin.cause.kind if origin.cause else ''}"
        for origin in report.origins
    ]
    coarse = report.precision.candidate if report.precision else "float32"
    return report.verdict, f"{coarse} {len(report.origins)} {blamed[:3]} {report.sentence[:160]}"


def main(argv: list[str] | None = None) -> int:
    """Make, ask, count."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.quantised", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=["*"], help="patterns of NET/MAKER")
    parser.add_argument("--pairs", type=int, default=0, help="pairs of made files, for each network")
    parser.add_argument("--seed", type=int, default=0, help="which pairs")
    parser.add_argument("--asked", nargs="+", default=["*"], help="patterns of NET/REFERENCE/CANDIDATE")
    args = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    args.folder.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    for net in NETS:
        files: dict[str, Path] = {}
        for name in MAKERS:
            if not any(fnmatch.fnmatch(f"{net}/{name}", pattern) for pattern in args.only):
                continue
            found = made(args.folder, net, name)
            if isinstance(found, str):
                print(f"     {net}/{name} not made: {found}", flush=True)
                counts["not made"] += 1
                continue
            files[name] = found
        source = {"float32": args.folder / f"{net}.onnx"} if files else {}
        both = list(itertools.permutations(files, 2))
        random.Random(len(net) + 100 * args.seed).shuffle(both)
        with_float = [pair for name in files for pair in (("float32", name), (name, "float32"))]
        for one, other in [*with_float, *both[: args.pairs]]:
            if not any(fnmatch.fnmatch(f"{net}/{one}/{other}", pattern) for pattern in args.asked):
                continue
            start = time.perf_counter()
            verdict, said = asked((source | files)[one], (source | files)[other], NETS[net][1](0))
            mark = "ok  " if verdict == "agrees" else "LOOK"
            print(
                f"{mark} {net}/{one}/{other} {verdict} {time.perf_counter() - start:.1f} s {said}", flush=True
            )
            counts[verdict] += 1
    print(dict(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
