"""Transpose, Reshape, DepthToSpace, SpaceToDepth, Einsum, Tile; and Slice: the order of axes and channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from tests.diagnose.in_process import Array, against, cause, paddle_op, planted
from tests.models import Net, find_node, image

SHAPE = (1, 8, 8, 8)


def transpose() -> ModelProto:
    net = Net(SHAPE)
    return net.model(net.node("Relu", net.node("Transpose", "x", perm=[0, 2, 3, 1])))


def shuffled(groups: int) -> ModelProto:
    """A channel shuffle."""
    net = Net(SHAPE)
    apart = net.node("Reshape", "x", net.constant([0, groups, 8 // groups, 8, 8], np.int64))
    turned = net.node("Transpose", apart, perm=[0, 2, 1, 3, 4])
    return net.model(net.node("Reshape", turned, net.constant([0, -1, 8, 8], np.int64)))


def depth_to_space() -> ModelProto:
    net = Net(SHAPE)
    return net.model(net.node("Relu", net.node("DepthToSpace", "x", blocksize=2, mode="CRD")))


def einsum() -> ModelProto:
    net = Net(SHAPE)
    return net.model(net.node("Einsum", "x", net.weight(8, 8), equation="nchw,cd->ndhw"))


def window(opset: int = 17) -> ModelProto:
    net = Net(SHAPE, opset=opset)
    if opset < 10:
        return net.model(net.node("Slice", "x", axes=[1, 3], starts=[1, 2], ends=[4, 2**31 - 1]))
    spans = ([1, 2], [4, 2**31 - 1], [1, 3], [1, 2])
    return net.model(net.node("Slice", "x", *(net.constant(numbers, np.int64) for numbers in spans)))


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (transpose(), "transpose.perm"),
        (depth_to_space(), "depth_to_space.mode"),
        (einsum(), "einsum.order"),
        (window(), "slice.start"),
        (window(9), "slice.start"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_planted_fault_is_named_and_proven(model: ModelProto, kind: str, seed: int, tmp_path: Path) -> None:
    found = planted(model, kind, {"x": image(SHAPE)}, tmp_path, seed)
    assert (found.kind, found.proven) == (kind, True)


def test_a_channel_shuffle_with_the_groups_exchanged(tmp_path: Path) -> None:
    found = against(shuffled(2), shuffled(4), {"x": image(SHAPE)}, tmp_path)
    assert (found.kind, found.proven) == ("reshape.shape", True)


def test_a_transpose_that_nobody_describes(tmp_path: Path) -> None:
    """The reference's op says nothing, so the orders of the same shape are tried, the nearest first."""
    x = image(SHAPE)
    reference = paddle_op("fused_something", {"X": None}, {})
    out = transpose().graph.output[0].name
    truth = np.maximum(x.transpose(0, 3, 1, 2), 0)
    found = cause(reference, transpose(), {"x": x}, {out: truth}, tmp_path)
    assert (found.kind, found.proven) == ("transpose.perm", True)
    assert found.hypothesis is not None and not found.hypothesis.expected


def blocks(x: Array, r: int) -> Array:
    """``pixel_unshuffle``: channels C, r, r."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4).reshape(n, -1, h // r, w // r)


def pixels(x: Array, r: int) -> Array:
    """``pixel_shuffle``: from channels C, r, r."""
    n, _, h, w = x.shape
    return x.reshape(n, -1, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, -1, h * r, w * r)


@pytest.mark.parametrize("opset", [9, 13])
def test_pixel_shuffle_orders_its_channels_otherwise(opset: int, tmp_path: Path) -> None:
    """Before opset 11 DepthToSpace has no mode: the channels are put in order ahead of it."""
    x = image(SHAPE)
    reference = paddle_op("pixel_shuffle", {"X": None}, {"upscale_factor": 2, "data_format": "NCHW"})
    net = Net(SHAPE, opset=opset)
    model = net.model(net.node("DepthToSpace", "x", blocksize=2))
    out = model.graph.output[0].name
    found = cause(reference, model, {"x": x}, {out: pixels(x, 2)}, tmp_path)
    assert (found.kind, found.proven) == ("depth_to_space.mode", True)


def test_pixel_unshuffle_orders_its_channels_otherwise(tmp_path: Path) -> None:
    x = image(SHAPE)
    reference = paddle_op("pixel_unshuffle", {"X": None}, {"downscale_factor": 2, "data_format": "NCHW"})
    net = Net(SHAPE)
    model = net.model(net.node("SpaceToDepth", "x", blocksize=2))
    out = model.graph.output[0].name
    found = cause(reference, model, {"x": x}, {out: blocks(x, 2)}, tmp_path)
    assert (found.kind, found.proven) == ("space_to_depth.mode", True)


@pytest.mark.parametrize(
    ("now", "asked", "kind"),
    [
        (((1, 3), (1, 4), 1), ((1, 3), (2, 5), 1), "slice.start"),
        (((1, 3), (1, 4), 1), ((2, 3), (1, 4), 1), "slice.axes"),
        (((1, 3), (1, 5), 1), ((1, 3), (1, 4), 1), "slice.end"),
        (((1, 3), (0, 8), 1), ((1, 3), (0, 8), 2), "slice.step"),
        (((1, 3), (0, 8), 1), ((1, 3), (-1, -9), -1), "slice.step"),
    ],
)
def test_paddles_window(now: tuple, asked: tuple, kind: str, tmp_path: Path) -> None:
    """(axes, (start, end), step), the same window along both axes."""
    x = image(SHAPE)
    axes, (start, end), step = asked
    attributes = {"axes": list(axes), "starts": [start] * 2, "ends": [end] * 2, "strides": [step] * 2}
    reference = paddle_op("strided_slice", {"Input": None}, attributes)
    spans = [slice(None)] * 4
    for axis in axes:
        spans[axis] = slice(start, None if end < -8 else end, step)
    net = Net(SHAPE)
    axes, (start, end), step = now
    operands = ([start] * 2, [end] * 2, list(axes), [step] * 2)
    model = net.model(net.node("Slice", "x", *(net.constant(numbers, np.int64) for numbers in operands)))
    out = model.graph.output[0].name
    found = cause(reference, model, {"x": x}, {out: x[tuple(spans)]}, tmp_path)
    assert (found.kind, found.proven) == (kind, True)


def test_a_window_keeps_its_open_end(tmp_path: Path) -> None:
    """The repair says 'to the end' as the model did, not the size of this image."""
    found = planted(window(), "slice.start", {"x": image(SHAPE)}, tmp_path, seed=0)
    node = find_node(found.repaired, "Slice")
    values = {tensor.name: tensor for tensor in found.repaired.graph.initializer}
    assert np.frombuffer(values[node.input[2]].raw_data, np.int64)[1] == 2**31 - 1


def test_tile(tmp_path: Path) -> None:
    x = image((1, 3, 4, 4))
    reference = paddle_op("tile", {"X": None}, {"repeat_times": [1, 1, 2, 3]})
    net = Net(x.shape)
    model = net.model(net.node("Tile", "x", net.constant([1, 1, 3, 2], np.int64)))
    out = model.graph.output[0].name
    found = cause(reference, model, {"x": x}, {out: np.tile(x, (1, 1, 2, 3))}, tmp_path)
    assert (found.kind, found.proven) == ("tile.repeats", True)


def test_noise_is_no_order(tmp_path: Path) -> None:
    x = image(SHAPE)
    reference = paddle_op("transpose2", {"X": None}, {"axis": [0, 2, 3, 1]})
    out = transpose().graph.output[0].name
    truth = np.maximum(x.transpose(0, 2, 3, 1), 0) + 0.1 * image(SHAPE, seed=1)
    assert not cause(reference, transpose(), {"x": x}, {out: truth}, tmp_path).proven
