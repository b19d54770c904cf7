"""Optimisers that change results: one brought by the tests, those of a pinned onnxruntime, none elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from segdiff.core.graph import Array, Graph
from segdiff.core.precision import disturbed
from segdiff.deployed.optimisation import RuntimeFinding, fewest, optimisation, paddle_ir
from segdiff.deployed.rewriting import rewritings
from segdiff.engines import Blocks, Engine
from segdiff.readers import find, read
from tests.models import IMAGE, Net, chain, image, segmenter


@contextmanager
def started(file: Path) -> Iterator[tuple[Engine, Graph]]:
    files = find(file)
    with Engine(files, Blocks(), timeout=120.0, threads=1) as engine:
        yield engine, read(files)


def judged(model: onnx.ModelProto, folder: Path, x: Array) -> RuntimeFinding | None:
    onnx.save(model, folder / "model.onnx")
    with started(folder / "model.onnx") as (engine, graph):
        return optimisation(engine, graph, {graph.inputs[0]: engine.blocks.tensor(x)})


def padded_pool(net: Net, x: str) -> str:
    """A pad with zeros before a max pool, which a wrong fusion makes the pool's own padding, -infinity."""
    pads = net.constant([0, 0, 0, 0, 0, 0, 1, 1], np.int64)
    return net.node("MaxPool", net.node("Pad", x, pads), kernel_shape=[3, 3], strides=[2, 2])


@pytest.mark.usefixtures("pad_fusion")
def test_a_fusion_that_changes_the_result(tmp_path: Path) -> None:
    model = chain(lambda net, x: net.node("Neg", net.node("Exp", net.conv(x, (3, 8)))), padded_pool)
    found = judged(model, tmp_path, image())
    assert found is not None and found.proven
    assert found.kind == "runtime.optimisation"
    assert (found.level, found.optimisers) == ("basic", ("Pad_Fusion",))
    (place,) = found.rewritings
    assert [op.type for op in place.before] == ["Pad", "MaxPool"]
    assert [op.type for op in place.after] == ["MaxPool"]
    assert found.residual is not None and found.residual.rel_l2 < 1e-5
    assert "Pad_Fusion" in found.text and "Pad + MaxPool into MaxPool" in found.text


def test_the_same_graph_where_it_does_no_harm(tmp_path: Path) -> None:
    """Behind a ReLU nothing is smaller than the zeros of the pad."""
    model = chain(lambda net, x: net.node("Relu", net.conv(x, (3, 8))), padded_pool)
    assert judged(model, tmp_path, image()) is None


@pytest.mark.real
@pytest.mark.usefixtures("onnxruntime_131")
def test_integers_divided_in_another_order(tmp_path: Path) -> None:
    net = Net()
    number = net.node("Cast", net.node("Abs", "x"), to=TensorProto.INT64)
    number = net.node("Add", number, net.constant(2, np.int64))
    part = net.node("Div", net.constant(1, np.int64), number)
    many = net.node("Mul", part, net.node("Add", number, net.constant(40, np.int64)))
    model = net.model(net.node("Cast", many, to=TensorProto.FLOAT))
    found = judged(model, tmp_path, image())
    assert found is not None and found.optimisers == ("DivMulFusion",)


@pytest.mark.real
@pytest.mark.usefixtures("onnxruntime_131")
def test_half_precision_weights_that_overflow(tmp_path: Path) -> None:
    """Weights of 200 times a scale of 500 are more than float16 holds; what the convolution gives is not."""
    net = Net()
    half = net.node("Cast", "x", to=TensorProto.FLOAT16)
    weight = net.constant(net.random.choice([-200.0, 200.0], (4, 3, 1, 1)), np.float16)
    small = net.node("Mul", half, net.constant(1e-3, np.float16))
    scaled = net.node(
        "Mul", net.node("Conv", small, weight), net.constant(np.full((4, 1, 1), 500), np.float16)
    )
    found = judged(net.model(net.node("Cast", scaled, to=TensorProto.FLOAT)), tmp_path, image())
    assert found is not None and found.optimisers == ("ConvMulFusion",)


def test_rounding_of_half_precision_is_no_finding(tmp_path: Path) -> None:
    net = Net()
    x = net.node("Cast", "x", to=TensorProto.FLOAT16)
    for channels in ((3, 8), (8, 8), (8, 4)):
        weight = net.constant(net.random.standard_normal((channels[1], channels[0], 3, 3)) / 6, np.float16)
        x = net.node("Relu", net.node("Conv", x, weight, pads=[1] * 4))
        x = net.node("Mul", x, net.constant(net.random.uniform(0.5, 1.5, (channels[1], 1, 1)), np.float16))
    assert judged(net.model(net.node("Cast", x, to=TensorProto.FLOAT)), tmp_path, image()) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_model(tmp_path: Path, seed: int) -> None:
    assert judged(segmenter(seed), tmp_path, image(seed=seed)) is None


def test_a_model_that_draws_random_numbers(tmp_path: Path) -> None:
    model = chain(lambda net, x: net.node("Add", x, net.node("RandomNormalLike", x)))
    assert judged(model, tmp_path, image()) is None


@pytest.mark.usefixtures("pad_fusion")
def test_two_places_of_one_optimiser(tmp_path: Path) -> None:
    model = chain(lambda net, x: net.node("Neg", net.node("Exp", x)), padded_pool, padded_pool)
    found = judged(model, tmp_path, image())
    assert found is not None and len(found.rewritings) == 2
    assert "at 2 places" in found.text


def test_what_went_and_what_came(tmp_path: Path) -> None:
    before = chain(lambda net, x: net.node("Relu", net.node("Abs", x)), lambda net, x: net.node("Exp", x))
    after = onnx.ModelProto()
    after.CopyFrom(before)
    del after.graph.node[0]
    after.graph.node[0].input[0] = "x"
    for node in after.graph.node:
        node.name = f"renamed.{node.name}"
    for model, name in ((before, "a.onnx"), (after, "b.onnx")):
        onnx.save(model, tmp_path / name)
    (place,) = rewritings(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert str(place).startswith("Abs + Relu into Relu at")
    assert rewritings(tmp_path / "a.onnx", tmp_path / "a.onnx") == ()


@pytest.mark.parametrize("guilty", [{"c"}, {"b", "g"}, {"a", "d", "h"}])
def test_the_fewest_that_are_enough(guilty: set[str]) -> None:
    assert set(fewest("abcdefgh", lambda names: guilty <= set(names))) == guilty


def test_shaking_by_the_last_bit() -> None:
    x = image(IMAGE)
    assert np.allclose(np.abs(disturbed(x, 0) / x - 1), 2.0**-23, rtol=0.5)
    half = x.astype(np.float16)
    assert disturbed(half, 0).dtype == np.float16
    assert np.mean(disturbed(half, 0) != half) > 0.9


@pytest.mark.real
@pytest.mark.parametrize("name", ["SINet-64x96-pdmodel", "SINet-64x96-pir", "LPSNet-64x96-pdmodel"])
def test_healthy_models_of_the_zoo(name: str) -> None:
    from tests.sweeps.pairs import pairs

    found = pairs([name])
    if not found:
        pytest.skip("no zoo here")
    (pair,) = found
    for file, probe in ((pair.candidate, optimisation), (pair.reference, paddle_ir)):
        with started(file) as (engine, graph):
            assert probe(engine, graph, {graph.inputs[0]: engine.blocks.tensor(pair.image)}) is None
