"""A read-only view of an ONNX graph: constants, shapes, and which nodes carry the image."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from . import runtime

Array = NDArray[Any]
Shape = tuple[int, ...]
Shapes = Mapping[str, Sequence[int]]

# Inputs that decide the shape or the place of an output instead of its values. Nodes that compute them are
# left alone: a fault there would change the shapes downstream.
_SHAPE_OPERANDS: dict[str, tuple[int, ...]] = {
    "Reshape": (1,),
    "Expand": (1,),
    "Tile": (1,),
    "ConstantOfShape": (0,),
    "Range": (0, 1, 2),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "Slice": (1, 2, 3, 4),
    "Pad": (1, 3),
    "Unsqueeze": (1,),
    "Squeeze": (1,),
    "Split": (1,),
    "TopK": (1,),
    "OneHot": (1,),
    "CenterCropPad": (1,),
    "AffineGrid": (1,),
}
_REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2", "ReduceL1")
_SHAPE_OPERANDS.update(dict.fromkeys(_REDUCTIONS, (1,)))

# Sizes for dynamic dimensions: divisible by 32 as segmentation networks want it, and all different, so that
# no two axes look interchangeable only because the probe happened to be square.
_DYNAMIC = {1: 3, 2: 64, 3: 96}


def subgraphs(node: NodeProto) -> Iterator[onnx.GraphProto]:
    """The bodies of If, Loop and Scan."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def reads(node: NodeProto) -> list[str]:
    """Every name the node uses, with what its bodies capture (or merely share a name with)."""
    names = [name for name in node.input if name]
    for body in subgraphs(node):
        names.extend(output.name for output in body.output)
        for inner in body.node:
            names.extend(reads(inner))
    return names


def constant_value(node: NodeProto) -> Array | None:
    """What a Constant node holds, or None for another operator or an exotic constant."""
    if node.op_type != "Constant" or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return numpy_helper.to_array(value)
    if attribute.name in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if attribute.name in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    return None


def _concrete(value: ValueInfoProto, wanted: Shapes) -> Shape:
    """The declared shape with every dynamic dimension filled in."""
    declared = value.type.tensor_type.shape.dim
    if value.name in wanted:
        return tuple(wanted[value.name])
    if len(wanted) == 1 and "" in wanted:
        return tuple(wanted[""])
    return tuple(d.dim_value if d.dim_value > 0 else _DYNAMIC.get(axis, 1) for axis, d in enumerate(declared))


class View:
    """What the fault kinds need to know of a model; nothing here changes the model."""

    def __init__(self, model: ModelProto, shapes: Shapes | None = None) -> None:
        self.model = model
        self.nodes = model.graph.node
        self._wanted = shapes or {}
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.producers = {name: i for i, node in enumerate(self.nodes) for name in node.output if name}
        self.uses = Counter(name for node in self.nodes for name in reads(node))
        self.uses.update(output.name for output in model.graph.output)
        self._arrays: dict[str, Array | None] = {}

    @property
    def inputs(self) -> list[ValueInfoProto]:
        """Graph inputs that a caller feeds (before IR 4 the initializers are listed there too)."""
        return [value for value in self.model.graph.input if value.name not in self.initializers]

    def constant(self, name: str) -> Array | None:
        """The value of an initializer or of a Constant node's output; None when it is computed."""
        if name not in self._arrays:
            self._arrays[name] = self._constant(name)
        return self._arrays[name]

    def _constant(self, name: str) -> Array | None:
        if name in self.initializers:
            return numpy_helper.to_array(self.initializers[name])
        if name in self.producers:
            return constant_value(self.nodes[self.producers[name]])
        return None

    def ancestors(self, names: Iterable[str], stop: frozenset[str] = frozenset()) -> set[int]:
        """Nodes on which the named tensors depend; the walk does not pass operators in ``stop``."""
        found: set[int] = set()
        pending = [name for name in names if name in self.producers]
        while pending:
            index = self.producers[pending.pop()]
            if index in found or self.nodes[index].op_type in stop:
                continue
            found.add(index)
            pending.extend(name for name in reads(self.nodes[index]) if name in self.producers)
        return found

    def _descendants(self) -> set[int]:
        """Nodes that depend on what the caller feeds, by value (not only by shape)."""
        fed = {value.name for value in self.inputs}
        found = set()
        for index, node in enumerate(self.nodes):
            if node.op_type not in ("Shape", "Size") and fed.intersection(reads(node)):
                found.add(index)
                fed.update(node.output)
        return found

    @cached_property
    def candidates(self) -> list[int]:
        """Nodes that compute the answer from the image: reached from an input, read by an output, shapeless.

        A fault in dead code shows nowhere, one in a constant subgraph belongs to whoever folds it, and one
        in shape arithmetic breaks the model instead of bending it.
        """
        live = self.ancestors(output.name for output in self.model.graph.output)
        operands = [
            node.input[i]
            for node in self.nodes
            for i in _SHAPE_OPERANDS.get(node.op_type, ())
            if i < len(node.input)
        ]
        shaping = self.ancestors(operands, frozenset({"Shape", "Size"}))
        plain = (i for i in sorted(live & self._descendants() - shaping))
        return [i for i in plain if not any(True for _ in subgraphs(self.nodes[i]))]

    @cached_property
    def _inferred(self) -> tuple[dict[str, Shape], dict[str, int]]:
        """Shapes and element types by name, of all that the candidates read and write.

        From onnxruntime, not from onnx.shape_inference: that gives up at the first computed Reshape, and
        onnx 1.17 dies of SIGFPE on a pooling with stride 0, where onnxruntime says so.
        """
        types = {name: tensor.data_type for name, tensor in self.initializers.items()}
        types |= {value.name: value.type.tensor_type.elem_type for value in self.inputs}
        shapes = {name: tuple(tensor.dims) for name, tensor in self.initializers.items()}
        shapes |= {value.name: _concrete(value, self._wanted) for value in self.inputs}
        used = {n for i in self.candidates for n in (*self.nodes[i].input, *self.nodes[i].output) if n}
        names = sorted(used - shapes.keys())
        return shapes | self._probe_shapes(names), types | self._probe_types(names)

    def _without_outputs(self) -> ModelProto:
        model = ModelProto()
        model.CopyFrom(self.model)
        del model.graph.output[:]
        return model

    def _probe_types(self, names: list[str]) -> dict[str, int]:
        """Element types as a session sees them; nothing runs."""
        model = self._without_outputs()
        model.graph.output.extend(ValueInfoProto(name=name) for name in names)
        return runtime.output_types(model) if names else {}

    def _probe_shapes(self, names: list[str]) -> dict[str, Shape]:
        """Run once with a Shape node behind each name: exact for any graph, and cheap in memory."""
        model = self._without_outputs()
        for name in names:
            model.graph.node.append(helper.make_node("Shape", [name], [f"{name}::shape"]))
            model.graph.output.append(
                helper.make_tensor_value_info(f"{name}::shape", TensorProto.INT64, None)
            )
        if not names:
            return {}
        results = runtime.run(model, self.sample_inputs(np.random.default_rng(0)))
        return {name: tuple(int(d) for d in results[f"{name}::shape"]) for name in names}

    def sample_inputs(self, rng: np.random.Generator) -> dict[str, Array]:
        """Random inputs of the shape that all other shapes were derived from."""
        return {
            value.name: runtime.sample(
                rng, _concrete(value, self._wanted), value.type.tensor_type.elem_type, spread=0.0
            )
            for value in self.inputs
        }

    def shape(self, name: str) -> Shape | None:
        """The concrete shape of a tensor, at the concrete input shapes of this view."""
        return self._inferred[0].get(name)

    def elem_type(self, name: str) -> int:
        """The ONNX element type of a tensor, 0 when unknown."""
        return self._inferred[1].get(name, 0)

    def isolated(self, index: int) -> ModelProto:
        """A model of one node: constant operands come along, computed ones become graph inputs.

        The declared types are those of the whole model, the shapes are left open.
        """
        node = self.nodes[index]
        names = list(dict.fromkeys(name for name in node.input if name))
        constants = {name: value for name in names if (value := self.constant(name)) is not None}
        inputs = [
            helper.make_tensor_value_info(name, self.elem_type(name) or TensorProto.FLOAT, None)
            for name in names
            if name not in constants
        ]
        return self.like(
            [node],
            inputs,
            [ValueInfoProto(name=name) for name in node.output if name],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )

    def like(
        self,
        nodes: Sequence[NodeProto],
        inputs: Sequence[ValueInfoProto],
        outputs: Sequence[ValueInfoProto],
        initializers: Sequence[TensorProto],
    ) -> ModelProto:
        """A model with the opsets and functions of this one; IR 4 at least: constants stay constant."""
        graph = helper.make_graph(nodes, "part", inputs, outputs, initializers)
        model = helper.make_model(graph, opset_imports=self.model.opset_import)
        model.ir_version = max(self.model.ir_version, 4)
        model.functions.extend(self.model.functions)
        return model


class Site:
    """One node of a view, as a fault kind sees it."""

    def __init__(self, view: View, index: int) -> None:
        self.view = view
        self.node = view.nodes[index]
        self.opset = view.opset

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute in Python terms: str for bytes, list for repeated ones."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                value = helper.get_attribute_value(attribute)
                if isinstance(value, bytes):
                    return value.decode()
                return (
                    list(value) if attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS) else value
                )
        return default

    def has_input(self, position: int) -> bool:
        """Whether an optional input is there."""
        return position < len(self.node.input) and bool(self.node.input[position])

    def const(self, position: int) -> Array | None:
        """The constant operand at a position, None when absent or computed."""
        return self.view.constant(self.node.input[position]) if self.has_input(position) else None

    def shape(self, position: int = 0) -> Shape | None:
        """The shape of an input."""
        return self.view.shape(self.node.input[position]) if self.has_input(position) else None

    def is_float(self) -> bool:
        """Whether the first output holds floating point numbers."""
        kind = self.view.elem_type(self.node.output[0])
        return kind in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)

    def consumers(self) -> list[NodeProto]:
        """Nodes that read the first output."""
        return [node for node in self.view.nodes if self.node.output[0] in node.input]

    def spatial_kernel(self) -> list[int] | None:
        """Kernel size of a convolution (by its weight) or of a pooling (by its attribute)."""
        weight = self.shape(1) if self.node.op_type in ("Conv", "ConvTranspose") else None
        return list(weight[2:]) if weight else self.attr("kernel_shape")


def close(a: float, b: float) -> bool:
    """Equal as float32 attributes: 0.2 read back from a file is 0.20000000298."""
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12)
