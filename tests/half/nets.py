"""A net like ErfNet: its blocks, random weights, statistics of its own inputs, some dead channels."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, numpy_helper

from segdiff.core.graph import Array
from tests.models import Net, image

ERFNET_SHAPE = (1, 3, 32, 48)


def erfnet(seed: int = 0, dead: int = 2, classes: int = 5) -> ModelProto:
    """Down twice, four blocks of split convolutions, up twice; in every other batch norm ``dead`` channels
    whose scale is between 1e-9 and 1e-3, of both signs, and offsets of 0.1 to 0.5."""
    net = Net(ERFNET_SHAPE, seed)
    x = _down(net, "x", 3, 16)
    x = _down(net, x, 16, 32)
    for dilation in (1, 2):
        x = _block(net, x, 32, dilation)
    x = net.node("Relu", _norm(net, _up(net, x, 32, 16), 16))
    x = _block(net, x, 16, 1)
    y = _up(net, x, 16, classes)
    model = onnx.shape_inference.infer_shapes(net.model(y))
    del model.graph.value_info[:]
    _calibrate(model, seed)
    _kill(model, seed, dead)
    return model


def _down(net: Net, x: str, ins: int, outs: int) -> str:
    """A strided convolution beside a pool, together one batch norm."""
    weight = net.weight(outs - ins, ins, 3, 3)
    conv = net.node("Conv", x, weight, net.weight(outs - ins), strides=[2, 2], pads=[1] * 4)
    pool = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    return net.node("Relu", _norm(net, net.node("Concat", conv, pool, axis=1), outs))


def _block(net: Net, x: str, channels: int, dilation: int) -> str:
    """Two pairs of a column and a row, and the sum with what came in."""
    y = x
    for far in (1, dilation):
        column = net.weight(channels, channels, 3, 1)
        row = net.weight(channels, channels, 1, 3)
        pads = [far, 0, far, 0]
        y = net.node("Conv", y, column, net.weight(channels), pads=pads, dilations=[far, 1])
        y = net.node("Relu", y)
        pads = [0, far, 0, far]
        y = net.node("Conv", y, row, net.weight(channels), pads=pads, dilations=[1, far])
        y = _norm(net, y, channels)
        y = net.node("Relu", y) if far == 1 and dilation != 1 else y
    return net.node("Relu", net.node("Add", y, x))


def _up(net: Net, x: str, ins: int, outs: int) -> str:
    return net.node(
        "ConvTranspose", x, net.weight(ins, outs, 2, 2), net.weight(outs), strides=[2, 2], kernel_shape=[2, 2]
    )


def _norm(net: Net, x: str, channels: int) -> str:
    scale = net.random.uniform(0.5, 1.5, channels)
    offset = net.random.uniform(0.1, 0.5, channels) * net.random.choice([-1, 1], channels)
    operands = (scale, offset, np.zeros(channels), np.ones(channels))
    return net.node("BatchNormalization", x, *(net.constant(each) for each in operands), epsilon=1e-5)


def norms_of(model: ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == "BatchNormalization"]


def parameter(model: ModelProto, name: str) -> Array:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    return np.array(numpy_helper.to_array(tensor))


def put(model: ModelProto, name: str, array: Array) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(array, np.float32), name))


def _calibrate(model: ModelProto, seed: int) -> None:
    """Give every batch norm the statistics of its input, one after the other."""
    feed = np.concatenate([image(ERFNET_SHAPE, seed=seed + each) for each in range(2)])
    batch = onnx.ModelProto()
    batch.CopyFrom(model)
    batch.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    for node in norms_of(model):
        del batch.graph.output[:]
        batch.graph.output.append(onnx.helper.make_tensor_value_info(node.input[0], 1, None))
        session = ort.InferenceSession(batch.SerializeToString(), providers=["CPUExecutionProvider"])
        values = np.asarray(session.run(None, {"x": feed})[0])
        for changed in (model, batch):
            put(changed, node.input[3], values.mean(axis=(0, 2, 3)))
            put(changed, node.input[4], values.var(axis=(0, 2, 3)))


def _kill(model: ModelProto, seed: int, dead: int) -> None:
    """Make some scales next to nothing."""
    random = np.random.default_rng(seed + 100)
    for node in norms_of(model)[::2]:
        scale = parameter(model, node.input[1])
        places = random.choice(scale.size, dead, replace=False)
        scale[places] = 10.0 ** random.uniform(-9, -3, dead) * random.choice([-1, 1], dead)
        put(model, node.input[1], scale)


def edited_as_users_do(model: ModelProto) -> ModelProto:
    """``where(|scale| > 0.01, scale, 0.01)`` in every batch norm."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for node in norms_of(changed):
        scale = parameter(changed, node.input[1])
        put(changed, node.input[1], np.where(np.abs(scale) > 0.01, scale, 0.01))
    return changed
