"""How is a half-precision file with islands of float32 written? Casts where the two meet, each value once.

The inputs and the outputs stay float32. An operator computes in float16 where ONNX has it in float16 and
nothing asks for more: neither the list of those to keep, nor an If or a Loop, nor sizes that are computed in
floating point. Constants are rounded once; one that both read is there twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, defs, helper, numpy_helper

from segdiff.core.captures import captured, subgraphs
from segdiff.core.graph import Array
from segdiff.core.precision import LARGEST
from segdiff.half.read import File
from segdiff.half.remedies.rewriting import free

HALF, FLOAT = "float16", "float32"

SETTINGS = {"Resize": frozenset({1})}
"""Float operands that say how, and may be of another type than the numbers."""


@dataclass
class Mixture:
    """A file under construction: what each value is called in each of the two types."""

    file: File
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[TensorProto] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    node_names: set[str] = field(default_factory=set)
    given_out: frozenset[str] = frozenset()

    def fresh(self, stem: str) -> str:
        """A value's name that nothing has."""
        name = free(stem, self.taken)
        self.taken.add(name)
        return name

    def as_type(self, name: str, dtype: str) -> str:
        """A float value in one of the types: itself, a rounded constant, or behind a Cast."""
        if self.types.get(name, dtype) == dtype:
            return self.names.get((name, dtype), name)
        if (name, dtype) not in self.names:
            constant = self.file.constant(name) if name not in self.file.activations else None
            made = self.fresh(f"{name}.{'half' if dtype == HALF else 'float'}")
            self.names[name, dtype] = made
            if constant is not None:
                self.tensors.append(numpy_helper.from_array(halved(constant), made))
            else:
                source = self.names.get((name, self.types[name]), name)
                self.nodes.append(self.cast(source, made, dtype))
        return self.names[name, dtype]

    def cast(self, source: str, into: str, dtype: str) -> onnx.NodeProto:
        """A Cast of a name of its own."""
        name = free(f"Cast_{into}", self.node_names)
        self.node_names.add(name)
        to = TensorProto.FLOAT16 if dtype == HALF else TensorProto.FLOAT
        return helper.make_node("Cast", [source], [into], name=name, to=to)


def halved(array: Array) -> Array:
    """A constant in float16, rounded once; what is beyond becomes the largest number, an infinity stays."""
    limit = LARGEST[HALF]
    cut = np.where(np.isfinite(array), np.clip(array, -limit, limit), array)
    return np.ascontiguousarray(cut.astype(np.float16))


def mixed(
    model: onnx.ModelProto, keep: Iterable[str] = (), path: Path = Path("model.onnx")
) -> onnx.ModelProto:
    """The model in float16, but for its inputs, its outputs and the nodes of these names.

    A node without a name is told by what it writes first. The large tensors of ``model`` may lie beside
    ``path``; those that become float16 are in the message. Raises ModelError where one is damaged.
    """
    file = File(model, path)
    kept = frozenset(keep)
    mixture = Mixture(file, types={name: FLOAT for name, dtype in file.floats.items() if dtype == FLOAT})
    mixture.taken = {name for node in file.nodes for name in (*node.input, *node.output)}
    mixture.taken |= {tensor.name for tensor in model.graph.initializer}
    mixture.node_names = {node.name for node in file.nodes}
    captures = {name for node in file.nodes for name in captured(node)}
    mixture.given_out = frozenset({item.name for item in model.graph.output} | captures)
    for index, node in enumerate(file.nodes):
        if node.op_type == "Constant":
            mixture.nodes.append(node)
        elif may_be_half(file, index) and not kept & {node.name, next(iter(node.output), "")}:
            _in_half(mixture, node)
        else:
            _as_it_is(mixture, node)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:]
    made.graph.node.extend(mixture.nodes)
    made.graph.initializer.extend(mixture.tensors)
    _drop(made.graph)
    _retype(made.graph, mixture)
    return made


def _in_half(mixture: Mixture, node: onnx.NodeProto) -> None:
    """A node that computes in float16."""
    file, schema = mixture.file, schema_of(node, mixture.file.opset)
    made = onnx.NodeProto()
    made.CopyFrom(node)
    for place, name in enumerate(node.input):
        if name in mixture.types and schema:
            number = is_generic(schema.inputs, place) and place not in SETTINGS.get(node.op_type, ())
            made.input[place] = mixture.as_type(name, HALF if number else FLOAT)
    if node.op_type == "Cast":
        for attribute in made.attribute:
            if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    for place, name in enumerate(node.output):
        if file.floats.get(name) == FLOAT and schema and is_generic(schema.outputs, place):
            mixture.types[name] = HALF
            if name in mixture.given_out:
                made.output[place] = mixture.fresh(f"{name}.half")
                mixture.names[name, HALF] = made.output[place]
    mixture.nodes.append(made)
    for name in node.output:
        if (
            name in mixture.given_out and mixture.types.get(name) == HALF
        ):  # the name that is given out is the float's
            mixture.names[name, FLOAT] = name
            mixture.nodes.append(mixture.cast(mixture.names[name, HALF], name, FLOAT))


def _as_it_is(mixture: Mixture, node: onnx.NodeProto) -> None:
    """A node that computes as it did."""
    made = onnx.NodeProto()
    made.CopyFrom(node)
    for place, name in enumerate(node.input):
        if name in mixture.types:
            made.input[place] = mixture.as_type(name, FLOAT)
    mixture.nodes.append(made)


def may_be_half(file: File, index: int) -> bool:
    """Whether a node may compute in float16 in the place of float32."""
    node = file.nodes[index]
    schema = schema_of(node, file.opset)
    if schema is None or any(True for _ in subgraphs(node)) or node.op_type == "Constant":
        return False
    if any(attribute.name == "dtype" for attribute in node.attribute):
        return False
    if node.op_type == "Cast" and node.input[0] not in file.floats:  # indices: float16 has not all of them
        return False
    operands = [(schema.inputs, place, name) for place, name in enumerate(node.input)]
    operands += [(schema.outputs, place, name) for place, name in enumerate(node.output)]
    floats = [each for each in operands if file.floats.get(each[2])]
    if not any(file.floats[name] == FLOAT and name in file.activations for _, _, name in floats):
        return False
    return all(
        file.floats[name] == FLOAT and allows_half(schema, parameters, place)
        for parameters, place, name in floats
        if is_generic(parameters, place)
    )


def schema_of(node: onnx.NodeProto, opset: int) -> defs.OpSchema | None:
    """What ONNX says of a node's operator; None for an operator of another domain."""
    if node.domain not in ("", "ai.onnx"):
        return None
    try:
        return defs.get_schema(node.op_type, opset, "")
    except defs.SchemaError:
        return None


Parameters = Sequence[defs.OpSchema.FormalParameter]


def _formal(parameters: Parameters, place: int) -> defs.OpSchema.FormalParameter | None:
    """The formal parameter of a place; the last one may stand for many."""
    if place < len(parameters):
        return parameters[place]
    return parameters[-1] if parameters else None


def is_generic(parameters: Parameters, place: int) -> bool:
    """Whether an operand is of a type that may vary (one that is float32 by ONNX's word stays so)."""
    formal = _formal(parameters, place)
    return formal is not None and "(" not in formal.type_str


def allows_half(schema: defs.OpSchema, parameters: Parameters, place: int) -> bool:
    """Whether an operand may be float16."""
    formal = _formal(parameters, place)
    constraints = {each.type_param_str: each.allowed_type_strs for each in schema.type_constraints}
    return formal is not None and "tensor(float16)" in constraints.get(formal.type_str, ())


def _drop(graph: onnx.GraphProto) -> None:
    """Leave out the constants that nothing reads any more."""
    read = {name for node in graph.node for name in (*node.input, *captured(node))}
    read |= {item.name for item in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    nodes = [node for node in graph.node if node.op_type != "Constant" or node.output[0] in read]
    gone = {tensor.name for tensor in graph.initializer if tensor.name not in read}
    inputs = [item for item in graph.input if item.name not in gone]
    for field_, items in ((graph.initializer, kept), (graph.node, nodes), (graph.input, inputs)):
        if len(items) < len(field_):
            copies = [type(item).FromString(item.SerializeToString()) for item in items]
            del field_[:]
            field_.extend(copies)


def _retype(graph: onnx.GraphProto, mixture: Mixture) -> None:
    """What the file says of the types of values that are float16 now."""
    for info in graph.value_info:
        if mixture.types.get(info.name) == HALF and info.name not in mixture.given_out:
            info.type.tensor_type.elem_type = TensorProto.FLOAT16
