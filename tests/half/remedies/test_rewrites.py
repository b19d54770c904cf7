"""Rewrites that change nothing: the file before and after, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, numpy_helper

from segdiff.core.graph import Array
from segdiff.half.remedies.constants import epsilon_rewrite, mask_rewrite
from segdiff.half.remedies.fold import norm_rewrites
from segdiff.half.remedies.rewriting import Rewrite, disjoint
from segdiff.half.remedies.scale import moved_scale
from segdiff.half.remedies.written import name_nodes, write_rewritten
from segdiff.readers.onnx import read
from tests.models import Net, image

SHAPE = (2, 3, 16, 24)


def save(model: ModelProto, path: Path) -> None:
    """Write a model with the shapes of its outputs, which the checker wants."""
    shaped = onnx.shape_inference.infer_shapes(model)
    del shaped.graph.value_info[:]
    onnx.save(shaped, path)


def run(model: ModelProto | Path, feed: Array) -> list[Array]:
    """All outputs."""
    path = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [np.asarray(each) for each in session.run(None, {session.get_inputs()[0].name: feed})]


def rewritten(model: ModelProto, folder: Path, feed: Array, *chosen: str) -> ModelProto:
    """The model with the rewrites of these kinds of its batch norms, shown to be the same."""
    before, after = folder / "before.onnx", folder / "after.onnx"
    save(model, before)
    graph = read(before)
    found = [r for op in graph.ops for r in norm_rewrites(graph, op) if r.kind in chosen]
    assert found
    return applied(before, after, disjoint(found), feed)


def applied(
    before: Path, after: Path, rewrites: list[Rewrite], feed: Array, within: float = 1e-6
) -> ModelProto:
    """The rewritten file: it passes the checker, its names are unique, it gives the same."""
    write_rewritten(before, after, rewrites)
    for ours, theirs in zip(run(before, feed), run(after, feed), strict=True):
        error = np.linalg.norm((ours - theirs).astype(np.float64)) / np.linalg.norm(ours.astype(np.float64))
        assert error <= within
    made = onnx.load(after)
    onnx.checker.check_model(made, full_check=True)
    names = [node.name for node in made.graph.node]
    assert len(set(names)) == len(names)
    return made


def kinds(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def bn(net: Net, x: str, channels: int) -> str:
    """A batch norm with scales of both signs and a large variance."""
    scale = net.random.standard_normal(channels)
    spread = 10.0 ** net.random.uniform(-3, 7, channels)
    operands = [scale, net.random.standard_normal(channels), net.random.standard_normal(channels), spread]
    return net.node("BatchNormalization", x, *(net.constant(each) for each in operands), epsilon=1e-5)


def conv(net: Net) -> str:
    return net.conv("x", (3, 8), bias=False)


def conv_with_bias(net: Net) -> str:
    return net.conv("x", (3, 8), strides=[2, 2])


def grouped(net: Net) -> str:
    return net.node("Conv", "x", net.weight(9, 1, 3, 3), net.weight(9), group=3, pads=[1] * 4)


def transposed(net: Net) -> str:
    return net.node("ConvTranspose", "x", net.weight(3, 8, 2, 2), strides=[2, 2])


def transposed_in_groups(net: Net) -> str:
    return net.node("ConvTranspose", "x", net.weight(3, 4, 2, 2), net.weight(12), group=3, strides=[2, 2])


def with_sum(net: Net) -> str:
    bias = net.constant(net.random.standard_normal((1, 8, 1, 1)))
    return net.node("Add", bias, net.conv("x", (3, 8)))


def with_scalar(net: Net) -> str:
    return net.node("Add", net.conv("x", (3, 8)), net.constant([0.5]))


def dense(net: Net) -> str:
    flat = net.node("Flatten", net.node("GlobalAveragePool", "x"))
    return net.node("Gemm", flat, net.weight(8, 3), net.weight(8), transB=1, alpha=0.5, beta=2.0)


def dense_without_bias(net: Net) -> str:
    return net.node("Gemm", net.node("Flatten", net.node("GlobalAveragePool", "x")), net.weight(3, 8))


def product(net: Net) -> str:
    flat = net.node("Flatten", net.node("GlobalAveragePool", "x"))
    return net.node("Add", net.node("MatMul", flat, net.weight(3, 8)), net.weight(8))


@pytest.mark.parametrize(
    ("head", "channels", "left"),
    [
        (conv, 8, ["Conv", "Relu"]),
        (conv_with_bias, 8, ["Conv", "Relu"]),
        (grouped, 9, ["Conv", "Relu"]),
        (transposed, 8, ["ConvTranspose", "Relu"]),
        (transposed_in_groups, 12, ["ConvTranspose", "Relu"]),
        (with_sum, 8, ["Conv", "Relu"]),
        (with_scalar, 8, ["Conv", "Relu"]),
        (dense, 8, ["GlobalAveragePool", "Flatten", "Gemm", "Relu"]),
        (dense_without_bias, 8, ["GlobalAveragePool", "Flatten", "Gemm", "Relu"]),
        (product, 8, ["GlobalAveragePool", "Flatten", "MatMul", "Add", "Relu"]),
    ],
)
def test_a_batch_norm_is_folded_into_what_is_in_front(
    tmp_path: Path, head: Callable[[Net], str], channels: int, left: list[str]
) -> None:
    net = Net(SHAPE)
    first = head(net)
    maker = (
        next(node for node in net.nodes if node.op_type == left[-2] and node.op_type != "Add")
        if "Add" not in left
        else net.nodes[-2]
    )
    model = net.model(net.node("Relu", bn(net, first, channels)))
    made = rewritten(model, tmp_path, image(SHAPE), "fold")
    assert kinds(made) == left
    assert maker.name in [node.name for node in made.graph.node]
    assert len(made.graph.initializer) <= 2


@pytest.mark.parametrize("head", [conv, transposed, dense, product])
def test_a_batch_norm_as_mul_and_add(tmp_path: Path, head: Callable[[Net], str]) -> None:
    net = Net(SHAPE)
    model = net.model(bn(net, head(net), 8))
    made = rewritten(model, tmp_path, image(SHAPE), "affine")
    assert kinds(made)[-2:] == ["Mul", "Add"]
    assert made.graph.node[-1].name == model.graph.node[-1].name


@pytest.mark.parametrize("shape", [(2, 3, 40), (2, 3, 4, 6, 8), (2, 3)])
def test_any_rank(tmp_path: Path, shape: tuple[int, ...]) -> None:
    net = Net(shape)
    made = rewritten(net.model(bn(net, "x", 3)), tmp_path, image(shape), "affine")
    assert kinds(made) == ["Mul", "Add"]


def test_a_batch_norm_goes_into_the_conv_behind_it(tmp_path: Path) -> None:
    net = Net(SHAPE)
    both = net.node("Concat", "x", net.node("Relu", "x"), axis=1)
    y = net.node("Conv", bn(net, both, 6), net.weight(8, 3, 3, 3), net.weight(8), group=2)
    made = rewritten(net.model(y), tmp_path, image(SHAPE), "fold")
    assert kinds(made) == ["Relu", "Concat", "Conv"]


def norm_kinds(model: ModelProto, folder: Path) -> list[str]:
    """The kinds of rewrites that are offered."""
    onnx.save(model, folder / "model.onnx")
    graph = read(folder / "model.onnx")
    return [rewrite.kind for op in graph.ops for rewrite in norm_rewrites(graph, op)]


def test_what_a_conv_pads_is_not_scaled_with_it(tmp_path: Path) -> None:
    net = Net(SHAPE)
    y = net.conv(bn(net, net.node("Relu", "x"), 3), (3, 8))
    assert norm_kinds(net.model(y), tmp_path) == ["affine"]


def test_nothing_is_folded_into_a_conv_that_others_read(tmp_path: Path) -> None:
    net = Net(SHAPE)
    x = net.conv("x", (3, 8))
    y = bn(net, x, 8)
    assert norm_kinds(net.model(x, y), tmp_path) == ["affine"]
    assert norm_kinds(net.model(net.node("Add", x, y)), tmp_path) == ["affine"]


def test_a_batch_norm_of_the_batch_stays(tmp_path: Path) -> None:
    net = Net(SHAPE)
    y = net.batch_norm("x", 3, training_mode=1, outputs=["y", "m", "v"])
    assert norm_kinds(net.model(y), tmp_path) == []


def test_weights_that_two_convs_share(tmp_path: Path) -> None:
    net = Net(SHAPE)
    weight = net.weight(8, 3, 3, 3)
    first, second = (net.node("Conv", "x", weight, pads=[1] * 4) for _ in range(2))
    made = rewritten(net.model(net.node("Add", bn(net, first, 8), second)), tmp_path, image(SHAPE), "fold")
    assert weight in [tensor.name for tensor in made.graph.initializer]


def test_constants_that_are_nodes(tmp_path: Path) -> None:
    net = Net(SHAPE)
    model = net.model(net.node("Relu", bn(net, conv(net), 8)))
    for tensor in list(model.graph.initializer)[::-1]:
        node = onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        model.graph.node.insert(0, node)
        model.graph.initializer.remove(tensor)
    made = rewritten(model, tmp_path, image(SHAPE), "fold")
    assert kinds(made) == ["Conv", "Relu"]


def test_external_data_goes_with_the_file(tmp_path: Path) -> None:
    net = Net(SHAPE)
    model = net.model(net.conv(bn(net, conv(net), 8), (8, 8), kernel=5))
    (tmp_path / "in").mkdir()
    shaped = onnx.shape_inference.infer_shapes(model)
    beside = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 512}
    onnx.save(shaped, tmp_path / "in/model.onnx", **beside)
    graph = read(tmp_path / "in/model.onnx")
    rewrites = disjoint(r for op in graph.ops for r in norm_rewrites(graph, op))
    applied(tmp_path / "in/model.onnx", tmp_path / "out/fixed.onnx", rewrites, image(SHAPE))
    assert (tmp_path / "out/w.bin").is_file()


def test_old_opsets(tmp_path: Path) -> None:
    net = Net(SHAPE, opset=9)
    model = net.model(net.node("Relu", bn(net, conv(net), 8)))
    model.ir_version = 4
    made = rewritten(model, tmp_path, image(SHAPE), "fold")
    assert kinds(made) == ["Conv", "Relu"]


# --- a scale that is moved


def scaled(model: ModelProto, folder: Path, value: str, feed: Array) -> ModelProto:
    """The model with a value made smaller, which gives the same, the value no more beyond."""
    before, after = folder / "before.onnx", folder / "after.onnx"
    save(model, before)
    peak = largest(before, value, feed)
    assert peak > 65504
    rewrite = moved_scale(read(before), value, peak)
    assert rewrite is not None
    made = applied(before, after, [rewrite], feed)
    assert largest(after, value, feed) <= 2**14
    return made


def largest(path: Path, value: str, feed: Array) -> float:
    """The largest size of a value in a run."""
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_tensor_value_info(value, 1, None))
    return float(np.abs(run(model, feed)[-1]).max())


def heavy(net: Net, x: str, channels: tuple[int, int], size: float = 1e5, kernel: int = 3) -> str:
    """A Conv that makes large numbers."""
    weight = net.constant(size * net.random.standard_normal((channels[1], channels[0], kernel, kernel)))
    return net.node("Conv", x, weight, net.constant(size * np.ones(channels[1])), pads=[kernel // 2] * 4)


def light(net: Net, x: str, channels: tuple[int, int]) -> str:
    """A Conv that brings them back."""
    return heavy(net, x, channels, 1e-5)


def test_between_two_convs(tmp_path: Path) -> None:
    net = Net(SHAPE)
    big = heavy(net, "x", (3, 8))
    scaled(net.model(light(net, net.node("Relu", big), (8, 4))), tmp_path, big, image(SHAPE))


def test_through_pools_and_resizes(tmp_path: Path) -> None:
    net = Net(SHAPE)
    big = heavy(net, "x", (3, 8))
    small = net.node("LeakyRelu", net.node("MaxPool", big, kernel_shape=[2, 2], strides=[2, 2]), alpha=0.1)
    back = net.resize(net.node("AveragePool", small, kernel_shape=[2, 2], strides=[2, 2]), 4.0)
    scaled(net.model(light(net, back, (8, 4))), tmp_path, big, image(SHAPE))


def test_a_batch_norm_takes_it_up(tmp_path: Path) -> None:
    net = Net(SHAPE)
    big = heavy(net, "x", (3, 8), 1e4)
    made = scaled(net.model(bn(net, big, 8)), tmp_path, big, image(SHAPE, seed=3) * 30)
    variance = numpy_helper.to_array(
        next(t for t in made.graph.initializer if t.name == made.graph.node[-1].input[4])
    )
    assert variance.max() < 1e7


def test_a_sum_of_two(tmp_path: Path) -> None:
    net = Net(SHAPE)
    big = heavy(net, "x", (3, 8))
    both = net.node("Add", big, net.conv("x", (3, 8)))
    scaled(net.model(light(net, net.node("Relu", both), (8, 4))), tmp_path, big, image(SHAPE))


def test_a_sum_with_what_others_read_gets_a_mul(tmp_path: Path) -> None:
    net = Net(SHAPE)
    side = net.node("Sigmoid", net.conv("x", (3, 8)))
    big = heavy(net, side, (8, 8))
    y = net.node("Add", light(net, net.node("Add", big, side), (8, 8)), side)
    made = scaled(net.model(y), tmp_path, big, image(SHAPE))
    assert kinds(made).count("Mul") == 1


def test_a_clip_and_a_concat(tmp_path: Path) -> None:
    net = Net(SHAPE)
    big = heavy(net, "x", (3, 8))
    cut = net.node("Clip", big, net.constant(0.0), net.constant(1e6))
    both = net.node("Concat", cut, heavy(net, "x", (3, 2)), axis=1)
    scaled(net.model(light(net, both, (10, 4))), tmp_path, big, image(SHAPE))


def test_a_norm_written_out(tmp_path: Path) -> None:
    net = Net(SHAPE)
    big = heavy(net, "x", (3, 8))
    mean = net.node("ReduceMean", big, axes=[1])
    centred = net.node("Sub", big, mean)
    spread = net.node("ReduceMean", net.node("Mul", centred, centred), axes=[1])
    root = net.node("Sqrt", net.node("Add", spread, net.constant(1e-5)))
    scaled(net.model(net.node("Div", centred, root)), tmp_path, big, image(SHAPE))


def test_an_argmax_does_not_mind(tmp_path: Path) -> None:
    net = Net(SHAPE)
    big = heavy(net, "x", (3, 8))
    y = net.node("ArgMax", big, axis=1)
    scaled(net.model(y, types={y: 7}), tmp_path, big, image(SHAPE))


@pytest.mark.parametrize("op_type", ["Sigmoid", "HardSwish", "Exp"])
def test_what_is_not_linear_stops_it(tmp_path: Path, op_type: str) -> None:
    net = Net(SHAPE)
    big = heavy(net, "x", (3, 8))
    onnx.save(net.model(light(net, net.node(op_type, big), (8, 4))), tmp_path / "m.onnx")
    assert moved_scale(read(tmp_path / "m.onnx"), big, 1e6) is None


def test_an_output_is_never_made_smaller(tmp_path: Path) -> None:
    net = Net(SHAPE)
    big = heavy(net, "x", (3, 8))
    onnx.save(net.model(net.node("Relu", big)), tmp_path / "m.onnx")
    assert moved_scale(read(tmp_path / "m.onnx"), big, 1e6) is None


# --- constants


def test_a_mask_in_front_of_a_softmax(tmp_path: Path) -> None:
    net = Net(SHAPE)
    mask = net.constant(np.where(np.arange(24) % 3, 0.0, -1e9))
    hidden = net.node("Reshape", net.node("Add", "x", mask), net.constant([2, 3, 384], np.int64))
    before = tmp_path / "before.onnx"
    save(net.model(net.node("Softmax", hidden, axis=-1)), before)
    graph = read(before)
    (rewrite,) = [r for op in graph.ops if (r := mask_rewrite(graph, op))]
    assert not rewrite.always
    applied(before, tmp_path / "after.onnx", [rewrite], image(SHAPE), within=0.0)


def test_a_large_constant_that_no_softmax_hides_stays(tmp_path: Path) -> None:
    net = Net(SHAPE)
    y = net.node("Relu", net.node("Add", "x", net.constant(np.where(np.arange(24) % 3, 0.0, -1e9))))
    onnx.save(net.model(y), tmp_path / "m.onnx")
    graph = read(tmp_path / "m.onnx")
    assert [r for op in graph.ops if (r := mask_rewrite(graph, op))] == []


def test_an_epsilon_is_raised(tmp_path: Path) -> None:
    net = Net(SHAPE)
    y = net.node(
        "InstanceNormalization", "x", net.constant(np.ones(3)), net.constant(np.zeros(3)), epsilon=1e-12
    )
    before = tmp_path / "before.onnx"
    save(net.model(y), before)
    graph = read(before)
    rewrite = epsilon_rewrite(graph, graph.ops[0])
    assert rewrite is not None
    assert not rewrite.always
    made = applied(before, tmp_path / "after.onnx", [rewrite], image(SHAPE))
    assert made.graph.node[0].attribute[0].f == pytest.approx(1e-7)


def test_nodes_without_names_get_that_of_what_they_write() -> None:
    net = Net(SHAPE)
    model = net.model(net.node("Relu", conv(net)))
    assert not name_nodes(model)
    for node in model.graph.node:
        node.name = ""
    assert name_nodes(model)
    assert [node.name for node in model.graph.node] == [node.output[0] for node in model.graph.node]
