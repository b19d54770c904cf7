"""What must be known of an ONNX file before it is simulated? Its constants, types, readers, activations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from segdiff.core.captures import captured, reads_of, subgraphs
from segdiff.core.graph import Array, Value
from segdiff.half.kinds import SHAPES
from segdiff.readers import onnx_shapes
from segdiff.readers.onnx_tensors import dtype_name, parameter

FLOATS = frozenset({"float32", "float64"})
"""What is stored in half precision instead."""

NO_FLOATS = frozenset(
    {
        "Shape", "Size", "ArgMax", "ArgMin", "NonZero", "Equal", "Less", "Greater", "LessOrEqual",
        "GreaterOrEqual", "And", "Or", "Not", "Xor", "IsNaN", "IsInf", "QuantizeLinear", "NonMaxSuppression",
        "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear",
    }
)  # fmt: skip
"""Ops whose results are no floats, where inference does not say of what type they are."""


@dataclass(frozen=True)
class File:
    """An ONNX model, and the file its large tensors lie in where they were left there."""

    model: onnx.ModelProto
    path: Path = Path("model.onnx")

    @cached_property
    def nodes(self) -> list[onnx.NodeProto]:
        """The nodes of the graph, in file order."""
        return list(self.model.graph.node)

    @cached_property
    def tensors(self) -> Mapping[str, onnx.TensorProto]:
        """The constants that are tensors: initializers and Constant nodes."""
        found = {tensor.name: tensor for tensor in self.model.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and node.output:
                found.update((node.output[0], attr.t) for attr in node.attribute if attr.name == "value")
        return found

    @cached_property
    def scalars(self) -> Mapping[str, Array]:
        """The constants that are plain floats."""
        found: dict[str, Array] = {}
        for node in self.nodes:
            if node.op_type == "Constant" and node.output:
                for attr in node.attribute:
                    if attr.name in ("value_float", "value_floats"):
                        value = onnx.helper.get_attribute_value(attr)
                        found[node.output[0]] = np.array(value, np.float32)
        return found

    def constant(self, name: str) -> Array | None:
        """A constant by its name; None for any other value."""
        if name in self.scalars:
            return self.scalars[name]
        tensor = self.tensors.get(name)
        if tensor is None:
            return None
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            return parameter(name, tensor, self.path).load()
        return np.asarray(numpy_helper.to_array(tensor))

    def is_constant(self, name: str) -> bool:
        """Whether a value is a constant."""
        return name in self.tensors or name in self.scalars

    @cached_property
    def values(self) -> Mapping[str, Value]:
        """What is known of the values' types and shapes."""
        return onnx_shapes.values(self.model)

    @cached_property
    def floats(self) -> Mapping[str, str]:
        """The values and constants that are floats, with numpy's name of their type."""
        found = {name: dtype_name(tensor.data_type) or "" for name, tensor in self.tensors.items()}
        found |= dict.fromkeys(self.scalars, "float32")
        found |= {item.name: self.values[item.name].dtype or "float32" for item in self.model.graph.input}
        for node in self.nodes:
            for name in node.output:
                known = self.values[name].dtype if name in self.values else None
                if name and name not in found:
                    block = given_by_block(node, name)  # what inference says of those may be another's type
                    found[name] = block or known or (guessed(node, found) if block is None else "")
        return {name: dtype for name, dtype in found.items() if dtype in FLOATS}

    @cached_property
    def readers(self) -> Mapping[str, tuple[int, ...]]:
        """The nodes that read each value, by index; -1 for the graph's end and for what a block captures."""
        found: dict[str, list[int]] = defaultdict(list)
        for index, node in enumerate(self.nodes):
            for name in node.input:
                if name:
                    found[name].append(index)
            for name in captured(node):
                found[name].append(-1)
        for item in self.model.graph.output:
            found[item.name].append(-1)
        return {name: tuple(indices) for name, indices in found.items()}

    @cached_property
    def producers(self) -> Mapping[str, int]:
        """The node that writes each value, by index."""
        return {name: index for index, node in enumerate(self.nodes) for name in node.output if name}

    @cached_property
    def activations(self) -> frozenset[str]:
        """Values that depend on the numbers of an input, not on its size alone."""
        held = {tensor.name for tensor in self.model.graph.initializer}
        found = {item.name for item in self.model.graph.input if item.name not in held}
        for node in self.nodes:
            if node.op_type not in SHAPES and any(name in found for name in reads_of(node)):
                found.update(name for name in node.output if name)
        return frozenset(found)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of what is fed."""
        held = {tensor.name for tensor in self.model.graph.initializer}
        return tuple(item.name for item in self.model.graph.input if item.name not in held)

    @cached_property
    def opset(self) -> int:
        """The version of ONNX's own operators."""
        known = [item.version for item in self.model.opset_import if item.domain in ("", "ai.onnx")]
        return max(known, default=1)


def given_by_block(node: onnx.NodeProto, name: str) -> str | None:
    """The type that a block of an If, a Loop or a Scan says its result has; "" where it says none, None for
    any other node."""
    block = next(subgraphs(node), None)
    if block is None:
        return None
    behind_condition = 1 if node.op_type == "Loop" else 0
    results = list(block.output)[behind_condition:]
    place = list(node.output).index(name)
    number = results[place].type.tensor_type.elem_type if place < len(results) else 0
    return dtype_name(number) or ""


def guessed(node: onnx.NodeProto, known: Mapping[str, str]) -> str:
    """The type of a node's result where inference does not say: that of the first float it reads."""
    if node.op_type == "Cast":
        number = next((attr.i for attr in node.attribute if attr.name == "to"), 0)
        return dtype_name(number) or ""
    if node.op_type in NO_FLOATS:
        return ""
    return next((known[name] for name in node.input if known.get(name) in FLOATS), "")
