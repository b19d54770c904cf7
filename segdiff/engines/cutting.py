"""How are nodes of an ONNX model made a model of their own? The one place that cuts, on onnx-graphsurgeon."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.logger import G_LOGGER

from segdiff.core.captures import all_graphs, reads_of
from segdiff.core.graph import Array
from segdiff.readers.onnx import load_light
from segdiff.readers.onnx_tensors import external_bytes, lies_beside


class Cutter:
    """A model whose nodes, by their index in the file, can be cut out; weights stay in the file.

    Raises ModelError where the file cannot be read.
    """

    def __init__(self, program: Path) -> None:
        G_LOGGER.severity = G_LOGGER.CRITICAL
        self.program = program
        self.model = load_light(program)
        self.graph = gs.import_onnx(self.model)
        self.constants = constants_of(self.model.graph)
        self.empty = empty_lists(self.model)
        for node in self.graph.nodes:
            for attribute in self.empty.get(first_output(node), ()):
                node.attrs.pop(attribute.name, None)
        for tensor in self.graph.tensors().values():
            forget_type(tensor)

    @cached_property
    def reads(self) -> tuple[tuple[str, ...], ...]:
        """What each node reads, captured tensors too, in file order; constants and weights left out."""
        held = {tensor.name for tensor in self.model.graph.initializer} | self.constants.keys()
        held |= {tensor.values.name for tensor in self.model.graph.sparse_initializer}
        nodes = self.model.graph.node
        return tuple(tuple(name for name in reads_of(node) if name not in held) for node in nodes)

    def cut(
        self, ops: Collection[int], feeds: Mapping[str, Array], wanted: Collection[str]
    ) -> onnx.ModelProto:
        """The nodes ``ops``, with the Constant nodes they read, as a model from ``feeds`` to ``wanted``.

        ``feeds`` are arrays by name; their dtype is stated, their shape left open but for integers. The
        weights still lie in the file: :func:`fetch_weights` brings them.
        """
        part = gs.Graph(
            nodes=[self.graph.nodes[index] for index in self._with_constants(ops)],
            inputs=[
                gs.Variable(name, dtype=array.dtype, shape=declared(array)) for name, array in feeds.items()
            ],
            outputs=[gs.Variable(name) for name in wanted],
            name="segment",
            opset=self.graph.opset,
            import_domains=self.graph.import_domains,
        )
        model: onnx.ModelProto = gs.export_onnx(part, do_type_check=False)
        for node in model.graph.node if self.empty else ():
            node.attribute.extend(self.empty.get(node.output[0] if node.output else "", ()))
        model.ir_version = self.model.ir_version
        return model

    def _with_constants(self, ops: Collection[int]) -> list[int]:
        """The nodes in file order, and the Constant nodes that they read."""
        wanted, queue = set(ops), list(ops)
        while queue:
            reads = reads_of(self.model.graph.node[queue.pop()])
            new = {self.constants[name] for name in reads if name in self.constants} - wanted
            wanted |= new
            queue += new
        return sorted(wanted)


def fetch_weights(model: onnx.ModelProto, path: Path) -> None:
    """Put the tensors that a cut left in the file, or beside it, into the cut. Raises ModelError."""
    for tensor in (*model.graph.initializer, *inner_tensors(model)):
        fetch(tensor, path)


def fetch_unmapped(model: onnx.ModelProto, path: Path) -> None:
    """The same for those that onnxruntime cannot map from a file beside the model: so weights of any size
    cost no copy, and the message stays below protobuf's 2 GB. Raises ModelError."""
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL and not lies_beside(tensor, path):
            fetch(tensor, path)
    for tensor in inner_tensors(model):
        fetch(tensor, path)


def inner_tensors(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """The tensors of a model but its own weights: those of blocks, into which a cut puts what they capture,
    and of attributes."""
    *blocks, outer = all_graphs(model.graph)
    weights = [tensor for block in blocks for tensor in block.initializer]
    attributes = (each for graph in (*blocks, outer) for node in graph.node for each in node.attribute)
    return weights + [each.t for each in attributes if each.HasField("t")]


def fetch(tensor: onnx.TensorProto, path: Path) -> None:
    """Put the bytes of one tensor into the message, if they are not there. Raises ModelError."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return
    tensor.raw_data = external_bytes(tensor, path).tobytes()
    tensor.ClearField("data_location")
    tensor.ClearField("external_data")


def constants_of(graph: onnx.GraphProto) -> dict[str, int]:
    """The nodes that only hold a tensor, by its name: Constant, and DequantizeLinear of what is constant."""
    held = {tensor.name for tensor in graph.initializer}
    found = {node.output[0]: index for index, node in enumerate(graph.node) if is_constant(node)}
    held |= found.keys()
    for index, node in enumerate(graph.node):
        if node.op_type == "DequantizeLinear" and node.output and all(name in held for name in node.input):
            found[node.output[0]] = index
    return found


def is_constant(node: onnx.NodeProto) -> bool:
    """Whether a node only holds a tensor (old converters write every weight so)."""
    return bool(node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.output)


def empty_lists(model: onnx.ModelProto) -> dict[str, list[onnx.AttributeProto]]:
    """The attributes that are lists of nothing (``axes=[]``), by the first output of their node.

    graphsurgeon cannot write them: an empty list does not say of what.
    """
    lists = (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS, onnx.AttributeProto.STRINGS)
    found: dict[str, list[onnx.AttributeProto]] = {}
    for node in model.graph.node:
        empty = [a for a in node.attribute if a.type in lists and not (a.ints or a.floats or a.strings)]
        if empty and node.output:
            found[node.output[0]] = empty
    return found


def first_output(node: gs.Node) -> str:
    """What tells a node from all others, whatever it is called."""
    return node.outputs[0].name if node.outputs else ""


def declared(array: Array) -> list[int | None]:
    """The shape a cut states for a feed: open, but for integers, which may themselves be a shape.

    onnxruntime reads a shape vector of unknown length as an empty one.
    """
    return list(array.shape) if array.dtype.kind in "iu" else [None] * array.ndim


def forget_type(tensor: gs.Tensor) -> None:
    """Drop what the file claims of a value's type and shape: a stale claim makes a cut refuse to load."""
    if isinstance(tensor, gs.Variable):
        tensor.dtype, tensor.shape = None, None
