"""What does an ONNX file say? ``ModelProto`` -> Graph.

Initializers and Constant nodes are parameters. ``Op.index`` is the place of the node in
``model.graph.node``, so that an engine can cut the file by it; Constant nodes leave gaps. (Only where the
model has functions of its own, the index is that of the inlined model, :func:`load`.)
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from segdiff.core.captures import all_graphs, captured, subgraphs
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Graph, Op, Parameter, Value
from segdiff.core.sequences import lists_in
from segdiff.readers import onnx_shapes
from segdiff.readers.guard import guard, read_bytes
from segdiff.readers.onnx_functions import inlined
from segdiff.readers.onnx_light import light_bytes
from segdiff.readers.onnx_quantised import seen_through
from segdiff.readers.onnx_tensors import array_parameter, parameter, sparse_parameter

_DEFAULT_DOMAIN = ("", "ai.onnx")


def read(path: Path) -> Graph:
    """Read an ONNX file; ModelError where it is missing, damaged, cyclic, or its external data is."""
    model = load_light(path)
    with guard(path, "the ONNX graph"):
        return seen_through(_graph(model, path))


def load(path: Path) -> onnx.ModelProto:
    """The file's message with local functions inlined and external data left outside.

    This is what ``Op.index`` counts in, so repairs change this message.
    """
    return _message(read_bytes(path), path)


def ops_within(path: Path) -> list[tuple[int, Op]]:
    """The ops in the blocks of the file's If, Loop and Scan nodes, at any depth, each with the index of the
    node of the graph itself that it lies in. Raises ModelError."""
    model = load_light(path)
    with guard(path, "the ONNX graph"):
        return [
            (index, _op(place, inner, path))
            for index, node in enumerate(model.graph.node)
            for block in subgraphs(node)
            for graph in all_graphs(block)
            for place, inner in enumerate(graph.node)
            if inner.op_type != "Constant"
        ]


def load_light(path: Path) -> onnx.ModelProto:
    """The same message with the large tensors left in the file too: engines cut this one.

    It cannot be saved as a model: only segdiff finds its tensors (:mod:`segdiff.readers.onnx_light`).
    """
    return _message(light_bytes(path), path)


def _message(data: bytes, path: Path) -> onnx.ModelProto:
    with guard(path, "the ONNX file"):
        model = onnx.ModelProto()
        model.ParseFromString(data)
        if not model.graph.node and not model.graph.output:
            raise ModelError(f"{path}: holds no graph, so it is no ONNX model; export the model again")
        return inlined(model, path)


def _graph(model: onnx.ModelProto, path: Path) -> Graph:
    graph = model.graph
    parameters = _initializers(graph, path)
    nodes = []
    for index, node in enumerate(graph.node):
        if node.op_type == "Constant" and node.domain in _DEFAULT_DOMAIN:
            _add(parameters, _constant(node, path), path)
        else:
            nodes.append((index, node))
    inputs = tuple(item.name for item in graph.input if item.name not in parameters)
    ops = _sorted([_op(index, node, path) for index, node in nodes], {*inputs, *parameters}, path)
    declared = tuple(item.name for item in graph.output)
    written = {*inputs, *parameters, *(name for op in ops for name in op.outputs)}
    outputs = tuple(name for name in declared if name in written)
    unwritten = tuple(name for name in declared if name not in written)
    if unwritten and not outputs:
        raise ModelError(f"{path}: nothing writes the output {unwritten[0]}; export the model again")
    known = onnx_shapes.values(model)
    names = (name for name in written if name not in parameters)
    values = {name: known.get(name) or Value(name) for name in sorted(names)}
    opset = max((item.version for item in model.opset_import if item.domain in _DEFAULT_DOMAIN), default=0)
    return Graph(
        "onnx",
        path,
        tuple(ops),
        values,
        parameters,
        inputs,
        outputs,
        opset,
        unwritten=unwritten,
        lists=lists_in(graph.node),
        replaceable=frozenset(item.name for item in graph.input if item.name in parameters),
    )


def _initializers(graph: onnx.GraphProto, path: Path) -> dict[str, Parameter]:
    parameters: dict[str, Parameter] = {}
    for tensor in graph.initializer:
        _add(parameters, parameter(tensor.name, tensor, path), path)
    for sparse in graph.sparse_initializer:
        _add(parameters, sparse_parameter(sparse.values.name, sparse, path), path)
    return parameters


def _add(parameters: dict[str, Parameter], new: Parameter, path: Path) -> None:
    if new.name in parameters or not new.name:
        raise ModelError(f"{path}: two constants are called {new.name!r}; export the model again")
    parameters[new.name] = new


def _constant(node: onnx.NodeProto, path: Path) -> Parameter:
    """The parameter a Constant node is, in any of the forms its value can have."""
    name = node.output[0]
    for attr in node.attribute:
        if attr.name == "value":
            return parameter(name, attr.t, path)
        if attr.name == "sparse_value":
            return sparse_parameter(name, attr.sparse_tensor, path)
        if attr.name in ("value_float", "value_floats"):
            return array_parameter(name, np.array(onnx.helper.get_attribute_value(attr), np.float32))
        if attr.name in ("value_int", "value_ints"):
            return array_parameter(name, np.array(onnx.helper.get_attribute_value(attr), np.int64))
        if attr.name in ("value_string", "value_strings"):
            return array_parameter(name, np.array(_attribute(attr, path), object))
    raise ModelError(f"{path}: the Constant node of {name} has no value; export the model again")


def _op(index: int, node: onnx.NodeProto, path: Path) -> Op:
    domain = "" if node.domain in _DEFAULT_DOMAIN else f"{node.domain}."
    operands = [(str(place), name) for place, name in enumerate(node.input) if name]
    own = {name for _, name in operands}
    inner = dict.fromkeys(captured(node))
    operands += [("captured", name) for name in inner if name not in own]
    return Op(
        index=index,
        type=domain + node.op_type,
        name=node.name or f"{node.op_type}.{index}",
        inputs=tuple(name for _, name in operands),
        slots=tuple(slot for slot, _ in operands),
        outputs=tuple(name for name in node.output if name),
        attributes={attr.name: _attribute(attr, path) for attr in node.attribute},
    )


def _attribute(attr: onnx.AttributeProto, path: Path) -> Any:
    """A plain Python value or a small array; a graph becomes a word about itself."""
    kind = onnx.AttributeProto
    if attr.type == kind.TENSOR:
        return _array(attr.t, path)
    if attr.type == kind.TENSORS:
        return [_array(tensor, path) for tensor in attr.tensors]
    if attr.type in (kind.GRAPH, kind.GRAPHS):
        graphs = [attr.g] if attr.type == kind.GRAPH else attr.graphs
        return ", ".join(f"graph {graph.name} of {len(graph.node)} nodes" for graph in graphs)
    if attr.type not in (kind.FLOAT, kind.INT, kind.STRING, kind.FLOATS, kind.INTS, kind.STRINGS):
        return f"<{kind.AttributeType.Name(attr.type)}>"
    value = onnx.helper.get_attribute_value(attr)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, int | float):
        return value
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in value]


def _array(tensor: onnx.TensorProto, path: Path) -> Array:
    return parameter(tensor.name or "(of an attribute)", tensor, path).load()


def _sorted(ops: list[Op], known: set[str], path: Path) -> list[Op]:
    """The ops in a topological order, in the file's own order where that is one.

    Raises ModelError where a value is written twice, is written by nobody, or ops wait for each other.
    """
    writer: dict[str, int] = {}
    for place, op in enumerate(ops):
        for name in op.outputs:
            if name in writer or name in known:
                raise ModelError(f"{path}: {name} is written twice; export the model again")
            writer[name] = place
    missing: list[int] = []
    readers: dict[int, list[int]] = defaultdict(list)
    for place, op in enumerate(ops):
        sources = {_source(op, name, writer, path) for name in op.inputs if name not in known}
        missing.append(len(sources))
        for source in sources:
            readers[source].append(place)
    ready = [place for place, count in enumerate(missing) if count == 0]  # ascending, so already a heap
    order = []
    while ready:
        place = heapq.heappop(ready)
        order.append(ops[place])
        for reader in readers[place]:
            missing[reader] -= 1
            if missing[reader] == 0:
                heapq.heappush(ready, reader)
    if len(order) != len(ops):
        stuck = next(op.name for op, count in zip(ops, missing, strict=True) if count)
        raise ModelError(f"{path}: the graph has a cycle through node {stuck}; export the model again")
    return order


def _source(op: Op, name: str, writer: dict[str, int], path: Path) -> int:
    if name not in writer:
        raise ModelError(f"{path}: node {op.name} reads {name}, which nothing writes; export the model again")
    return writer[name]
