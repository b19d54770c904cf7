"""Small segmentation-like networks in ONNX, built node by node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segdiff.core.graph import Graph, Op, Parameter, Value
from segdiff.readers.onnx import read

Array = NDArray[Any]
Dims = Sequence[int | str]

IMAGE = (1, 3, 16, 24)
"""The shape that the networks here are fed."""


def image(shape: tuple[int, ...] = IMAGE, seed: int = 0) -> Array:
    """A ready tensor, the same for the same seed."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Net:
    """A model under construction: every method adds a node and returns the name of its output."""

    def __init__(self, shape: Dims = IMAGE, seed: int = 0, opset: int = 17, name: str = "x") -> None:
        self.random = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Array] = {}
        self.inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))]
        self.count = 0

    def node(self, op_type: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Any node; the first of its outputs."""
        names = list(outputs) or [self.fresh(op_type.lower())]
        self.nodes.append(
            helper.make_node(op_type, list(inputs), names, name=f"{op_type}:{names[0]}", **attributes)
        )
        return names[0]

    def constant(self, value: Any, dtype: Any = np.float32, name: str = "") -> str:
        """An initializer."""
        name = name or self.fresh("c")
        self.constants[name] = np.asarray(value, dtype)
        return name

    def weight(self, *shape: int) -> str:
        """A random initializer of about unit gain."""
        fan = int(np.prod(shape[1:])) or 1
        return self.constant(self.random.standard_normal(shape) / np.sqrt(fan))

    def conv(self, x: str, channels: tuple[int, int], kernel: int = 3, bias: bool = True, **more: Any) -> str:
        """A convolution that keeps the size."""
        operands = [self.weight(channels[1], channels[0], kernel, kernel)]
        operands += [self.weight(channels[1])] if bias else []
        return self.node("Conv", x, *operands, pads=[kernel // 2] * 4, **more)

    def batch_norm(self, x: str, channels: int, variance: float = 1.0, **more: Any) -> str:
        """A batch norm with statistics of its own."""
        scale, mean = self.random.uniform(0.5, 1.5, channels), self.random.standard_normal(channels) / 4
        spread = self.random.uniform(0.5, 1.5, channels) * variance
        operands = [self.constant(value) for value in (scale, mean, mean[::-1].copy(), spread)]
        return self.node("BatchNormalization", x, *operands, **more)

    def resize(self, x: str, scale: float = 2.0, **more: Any) -> str:
        """A resize of height and width, bilinear and half_pixel unless said otherwise."""
        options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel", **more}
        return self.node("Resize", x, "", self.constant([1, 1, scale, scale]), **options)

    def fresh(self, stem: str) -> str:
        """A name that nothing has yet."""
        self.count += 1
        return f"{stem}_{self.count}"

    def model(self, *outputs: str, types: Mapping[str, int] | None = None) -> ModelProto:
        """The finished model."""
        graph = helper.make_graph(
            self.nodes,
            "net",
            self.inputs,
            [
                helper.make_tensor_value_info(name, (types or {}).get(name, TensorProto.FLOAT), None)
                for name in outputs
            ],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def segmenter(seed: int = 0, shape: Dims = IMAGE) -> ModelProto:
    """Encoder, gate, attention and decoder in some 30 nodes: a bit of everything that PaddleSeg exports."""
    net = Net(shape, seed)
    stem = net.node("Relu", net.batch_norm(net.conv("x", (3, 8), bias=False), 8, epsilon=1e-5))
    down = net.node("MaxPool", stem, kernel_shape=[2, 2], strides=[2, 2])
    deep = net.batch_norm(net.conv(down, (8, 12), bias=False), 12, epsilon=1e-5)
    deep = net.node("HardSwish", deep)
    mean = net.node(
        "AveragePool", deep, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0, strides=[1, 1]
    )
    gate = net.conv(net.node("GlobalAveragePool", deep), (12, 12), kernel=1)
    deep = net.node("Mul", mean, net.node("HardSigmoid", gate, alpha=1 / 6, beta=0.5))
    deep = net.node("Add", deep, attention(net, deep, 12))
    left, right = (net.fresh("half") for _ in range(2))
    net.node("Split", deep, net.constant([4, 8], np.int64), outputs=[left, right], axis=1)
    left = net.node("LeakyRelu", net.conv(left, (4, 8)), alpha=0.1)
    right = net.node("Sigmoid", net.conv(right, (8, 8), kernel=1))
    both = net.node("Concat", net.resize(left), net.resize(right), stem, axis=1)
    return net.model(net.node("Softmax", net.conv(both, (24, 4)), axis=1))


def classified(*, rewritten: bool) -> onnx.ModelProto:
    """Softmax over the classes at opset 11: as the last axis between two Transposes; or rewritten without
    them, which at that opset is the softmax over classes and pixels together."""
    net = Net(("N", 3, "H", "W"), seed=1, opset=11)
    logits = net.conv(net.node("Relu", net.conv("x", (3, 8))), (8, 5), kernel=1)
    if rewritten:
        return net.model(net.node("Softmax", logits, outputs=["y"], axis=1))
    last = net.node("Softmax", net.node("Transpose", logits, perm=[0, 2, 3, 1]), axis=3)
    return net.model(net.node("Transpose", last, outputs=["y"], perm=[0, 3, 1, 2]))


def attention(net: Net, x: str, channels: int) -> str:
    """Self-attention over the pixels of an (N, C, H, W) tensor."""
    flat = net.node("Reshape", x, net.constant([0, channels, -1], np.int64))
    tokens = net.node("Transpose", flat, perm=[0, 2, 1])
    query, key, value = (net.node("MatMul", tokens, net.weight(channels, channels)) for _ in range(3))
    scores = net.node("MatMul", query, net.node("Transpose", key, perm=[0, 2, 1]))
    scores = net.node("Mul", scores, net.constant(channels**-0.5))
    mixed = net.node("MatMul", net.node("Softmax", scores, axis=-1), value)
    shape = net.node("Slice", net.node("Shape", x), *(net.constant([n], np.int64) for n in (2, 4)))
    shape = net.node("Concat", net.constant([1, channels], np.int64), shape, axis=0)
    return net.node("Reshape", net.node("Transpose", mixed, perm=[0, 2, 1]), shape)


def chain(*steps: Callable[[Net, str], str], shape: Dims = IMAGE, seed: int = 0) -> ModelProto:
    """A model in which every step reads what the last one made."""
    net = Net(shape, seed)
    x = "x"
    for step in steps:
        x = step(net, x)
    return net.model(x)


# --- changes to a finished model


def copied(model: ModelProto) -> ModelProto:
    """A copy that can be changed."""
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def find_node(model: ModelProto, op_type: str, place: int = 0) -> NodeProto:
    """The node of that type at that place among its kind."""
    return [node for node in model.graph.node if node.op_type == op_type][place]


def with_attribute(model: ModelProto, op_type: str, place: int = 0, **attributes: Any) -> ModelProto:
    """A copy with attributes of one node replaced."""
    copy = copied(model)
    node = find_node(copy, op_type, place)
    kept = [a for a in node.attribute if a.name not in attributes]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    return copy


def halved(model: ModelProto, *, keep_io: bool = True) -> ModelProto:
    """A copy in float16, as the converters make it: weights rounded, Casts at both ends or none."""
    copy = copied(model)
    del copy.graph.value_info[:]
    nodes = list(copy.graph.node)
    for node in nodes:
        if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT:
            node.attribute[0].i = TensorProto.FLOAT16
    kept = {name for node in nodes if node.op_type == "Resize" for name in node.input[1:]}
    held = [node for node in nodes if node.op_type == "Constant" and node.output[0] not in kept]
    tensors = [tensor for tensor in copy.graph.initializer if tensor.name not in kept]
    tensors += [attribute.t for node in held for attribute in node.attribute if attribute.name == "value"]
    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT:
            with np.errstate(over="ignore"):
                array = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for items, into in ((copy.graph.input, True), (copy.graph.output, False)):
        for item in items:
            if item.type.tensor_type.elem_type == TensorProto.FLOAT:
                if keep_io:
                    cast_end(copy, item.name, into)
                else:
                    item.type.tensor_type.elem_type = TensorProto.FLOAT16
    return copy


def with_pairs(model: ModelProto, scale: float = 0.05, zero: int = 128) -> ModelProto:
    """A copy with a QuantizeLinear and a DequantizeLinear (``NAME.back``) behind every node but one."""
    copy = copied(model)
    nodes = list(copy.graph.node)
    tensors = {"step": np.float32(scale), "zero": np.uint8(zero)}
    copy.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in tensors.items())
    written = []
    for node in nodes:
        made = {name for each in nodes for name in each.output}
        node.input[:] = [f"{name}.back" if name in made else name for name in node.input]
        written.append(node)
        out = node.output[0]
        if node is not nodes[-1]:
            written += [
                helper.make_node("QuantizeLinear", [out, "step", "zero"], [f"{out}.bytes"]),
                helper.make_node("DequantizeLinear", [f"{out}.bytes", "step", "zero"], [f"{out}.back"]),
            ]
    del copy.graph.node[:]
    copy.graph.node.extend(written)
    return copy


def cast_end(model: ModelProto, name: str, into: bool) -> None:
    """A Cast behind an input, or in front of an output, of a model in float16; in place."""
    inner, nodes = f"{name}.half", list(model.graph.node)
    for node in nodes:
        names = node.input if into else node.output
        names[:] = [inner if each == name else each for each in names]
        if not into:
            node.input[:] = [inner if each == name else each for each in node.input]
    ends = (name, inner) if into else (inner, name)
    to = TensorProto.FLOAT16 if into else TensorProto.FLOAT
    cast = helper.make_node("Cast", [ends[0]], [ends[1]], name=f"Cast:{name}", to=to)
    del model.graph.node[:]
    model.graph.node.extend([cast, *nodes] if into else [*nodes, cast])


def scrambled(model: ModelProto, seed: int = 0) -> ModelProto:
    """A copy in which every node, value and initializer has a meaningless name, the model's ends included."""
    copy = copied(model)
    names = {name for node in copy.graph.node for name in (*node.input, *node.output) if name}
    order = np.random.default_rng(seed).permutation(len(names))
    new = {name: f"t{number}" for name, number in zip(sorted(names), order, strict=True)}
    for node in copy.graph.node:
        node.name = ""
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    for item in (*copy.graph.input, *copy.graph.output, *copy.graph.initializer):
        item.name = new.get(item.name, item.name)
    order = np.random.default_rng(seed).permutation(len(copy.graph.initializer))
    shuffled = [copy.graph.initializer[place] for place in order]
    kept = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in shuffled]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(kept)
    return copy


def folded(model: ModelProto) -> ModelProto:
    """A copy with every batch norm behind a convolution folded into it."""
    copy = copied(model)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in copy.graph.initializer}
    maker = {node.output[0]: node for node in copy.graph.node}
    for norm in [node for node in copy.graph.node if node.op_type == "BatchNormalization"]:
        conv = maker[norm.input[0]]
        if conv.op_type != "Conv":
            continue
        scale, bias, mean, variance = (weights[name].astype(np.float64) for name in norm.input[1:5])
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        factor = scale / np.sqrt(variance + epsilon)
        before = weights[conv.input[2]] if len(conv.input) > 2 else 0.0
        kernel = weights[conv.input[1]] * factor.reshape(-1, 1, 1, 1)
        for name, value in (("kernel", kernel), ("bias", (before - mean) * factor + bias)):
            tensor = numpy_helper.from_array(value.astype(np.float32), f"{norm.output[0]}.{name}")
            copy.graph.initializer.append(tensor)
        conv.input[1:] = [f"{norm.output[0]}.kernel", f"{norm.output[0]}.bias"]
        conv.output[0] = norm.output[0]
        copy.graph.node.remove(norm)
    return copy


def constants_as_nodes(model: ModelProto) -> ModelProto:
    """A copy in which every weight is a Constant node, as old converters wrote them."""
    copy = copied(model)
    nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in copy.graph.initializer]
    nodes += list(copy.graph.node)
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del copy.graph.initializer[:]
    del copy.graph.node[:]
    copy.graph.node.extend(kept)
    return copy


def save(model: ModelProto, path: Path, external: bool = False) -> Path:
    """Write the model, its weights beside it if so wished: all but what onnxruntime wants in the file, as
    the shape of a Reshape."""
    if external:
        onnx.save(
            copied(model), path, save_as_external_data=True, location=f"{path.stem}.data", size_threshold=64
        )
    else:
        onnx.save(model, path)
    return path


def graph_of(model: ModelProto, folder: Path, name: str = "model") -> Graph:
    """The model as segdiff reads it."""
    return read(save(model, folder / f"{name}.onnx"))


def tensors_of(model: ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Every value of the model's top level, the inputs included, by onnxruntime in this process."""
    exposed = copied(model)
    names = [name for node in model.graph.node for name in node.output if name]
    del exposed.graph.output[:]
    exposed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(feeds) | dict(zip(names, session.run(names, dict(feeds)), strict=True))


# --- graphs that no file need hold


def hand_made(
    ops: Sequence[tuple[str, Sequence[str], Sequence[str]] | tuple[str, Sequence[str], Sequence[str], dict]],
    *,
    inputs: Sequence[str] = ("x",),
    outputs: Sequence[str],
    parameters: Mapping[str, Array] | None = None,
    format: str = "pdmodel",
) -> Graph:
    """A graph of ``(type, inputs, outputs[, attributes])``."""
    made = tuple(
        Op(
            index=index,
            type=op[0],
            name=f"{op[0]}.{index}",
            inputs=tuple(op[1]),
            slots=tuple(str(place) for place in range(len(op[1]))),
            outputs=tuple(op[2]),
            attributes=dict(op[3]) if len(op) > 3 else {},
        )
        for index, op in enumerate(ops)
    )
    names = [*inputs, *(name for op in made for name in op.outputs)]
    arrays = dict(parameters or {})
    return Graph(
        format=format,
        path=Path("hand-made"),
        ops=made,
        values={name: Value(name) for name in names},
        parameters={
            name: Parameter(name, array.shape, str(array.dtype), lambda array=array: array)
            for name, array in arrays.items()
        },
        inputs=tuple(inputs),
        outputs=tuple(outputs),
    )


def if_network() -> ModelProto:
    """An If whose branches capture an outer value and an outer weight."""
    net = Net()
    hidden = net.conv("x", (3, 4))
    shift = net.constant(np.full((1, 4, 1, 1), 0.25))
    zero = net.constant(0.0)
    mean = net.node("ReduceMean", hidden, keepdims=0)
    condition = net.node("Greater", mean, zero)
    net.node(
        "If",
        condition,
        outputs=["chosen"],
        then_branch=branch("then", [helper.make_node("Add", [hidden, shift], ["then_out"])]),
        else_branch=branch("else", [helper.make_node("Sub", [hidden, shift], ["else_out"])]),
    )
    return net.model(net.node("Relu", "chosen"))


def branch(name: str, nodes: list[NodeProto]) -> GraphProto:
    """A branch of an If: no inputs, the last node's output."""
    out = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [out])


def names_of(model: ModelProto, op_type: str) -> Iterator[str]:
    """First outputs of the nodes of a type."""
    return (node.output[0] for node in model.graph.node if node.op_type == op_type)
