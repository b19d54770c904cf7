"""Which shape and element type has every value of an ONNX graph?

What the file states, completed by onnx's shape inference. Inference sees the graph without its weights: it
needs only the small integer tensors that are shapes, and would copy all the rest.

Inference runs in C++ and divides by what the file says: a stride of 0, which paddle2onnx 1.3 writes for an
adaptive pooling that enlarges, ends the whole process with SIGFPE (onnx 1.17). Such nodes are kept from it,
and the values behind them stay without a shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
from onnx import shape_inference

from segdiff.core.graph import Shape, Value
from segdiff.core.precision import INTEGER_OPS
from segdiff.readers.onnx_tensors import dtype_name

_SMALL = 1024
"""Elements; a tensor up to this size may be a shape, an axes list, a scale of Resize."""

_MAX_BYTES = 256 * 1024 * 1024
"""Size of the graph without weights above which inference is left out; it would copy that several times."""

_UNSAFE = frozenset({"Einsum", "GRU", "LSTM", "OneHot", "RNN", "STFT", "SplitToSequence"})
"""Ops whose inference crashed, or divides by a tensor, when every schema of onnx 1.17 was tried with
attributes and constants of 0, -1, 2^62 and -2^63 and inputs of rank 0 to 5."""

_DIVISORS = frozenset({"strides", "dilations", "kernel_shape", "blocksize", "group", "num_outputs"})
"""Attributes that have to be positive, because inference divides by them."""

_MAX_INT = 2**31
"""No attribute of a real model is larger, but for INT64_MAX as the end of a slice; products overflow."""


def values(model: onnx.ModelProto) -> dict[str, Value]:
    """Name -> value for everything the file or shape inference describes."""
    graph = model.graph
    stated = _described([*graph.input, *graph.value_info, *graph.output])
    inferred = _described(_inferred(model))  # starts from what is stated and fills its gaps
    found = {**stated, **{name: value for name, value in inferred.items() if value.shape is not None}}
    return found | {name: Value(name, None, dtype) for name, dtype in _types_behind(model, found).items()}


def _types_behind(model: onnx.ModelProto, known: Mapping[str, Value]) -> dict[str, str]:
    """The element types behind operators that inference is kept from or does not know, as far as they follow
    from an input's."""
    opsets = {each.domain: each.version for each in model.opset_import}
    dtypes = {name: value.dtype for name, value in known.items() if value.dtype}
    dtypes |= {
        tensor.name: dtype for tensor in model.graph.initializer if (dtype := dtype_name(tensor.data_type))
    }
    found: dict[str, str] = {}
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            like = (
                _input_like(node, place, opsets)
                if name and name not in known and name not in dtypes
                else None
            )
            dtype = None if like is None else dtypes.get(like)
            if dtype:
                dtypes[name] = found[name] = dtype
    return found


def _input_like(node: onnx.NodeProto, place: int, opsets: Mapping[str, int]) -> str | None:
    """The input whose element type an output has, by the operator's schema; None where none is."""
    if node.domain not in ("", "ai.onnx"):
        plain = not any(word in node.op_type for word in INTEGER_OPS)
        return node.input[0] if plain and node.input and place == 0 else None
    try:
        schema = onnx.defs.get_schema(node.op_type, opsets.get(node.domain, 1), "")
    except onnx.defs.SchemaError:
        return None
    outputs, inputs = schema.outputs, schema.inputs
    if not outputs or not inputs:
        return None
    wanted = outputs[min(place, len(outputs) - 1)].type_str
    both = ((inputs[min(n, len(inputs) - 1)], name) for n, name in enumerate(node.input) if name)
    return next((name for formal, name in both if formal.type_str == wanted), None)


def _inferred(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What inference adds; nothing where it fails, it is a convenience."""
    try:
        light = _without_weights(model)
        if light.ByteSize() > _MAX_BYTES:
            return []
        graph = shape_inference.infer_shapes(light, check_type=False, strict_mode=False).graph
    except Exception:
        return []
    return [*graph.value_info, *graph.output]


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    light = onnx.ModelProto(ir_version=max(model.ir_version, 4))  # from 4 on, an initializer needs no input
    light.opset_import.extend(model.opset_import)
    graph = light.graph
    graph.name = "shapes"
    graph.node.extend(node for node in model.graph.node if _is_safe(node))
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    listed = {item.name for item in graph.input}
    for tensor in model.graph.initializer:
        if _elements(tensor) <= _SMALL and tensor.data_location != onnx.TensorProto.EXTERNAL:
            graph.initializer.append(tensor)
        elif tensor.name not in listed:
            graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    return light


def _is_safe(node: onnx.NodeProto) -> bool:
    """Whether inference of that node, and of the nodes inside it, can be trusted not to crash."""
    if node.op_type in _UNSAFE or (
        node.input and not node.input[0]
    ):  # EyeLike reads the type of its only input
        return False
    return all(
        _is_safe_attribute(attr)
        and all(_is_safe(inner) for graph in (attr.g, *attr.graphs) for inner in graph.node)
        for attr in node.attribute
    )


def _is_safe_attribute(attr: onnx.AttributeProto) -> bool:
    numbers = [attr.i] if attr.type == onnx.AttributeProto.INT else list(attr.ints)
    if attr.name in _DIVISORS:
        return all(0 < number < _MAX_INT for number in numbers)
    if attr.name == "batch_dims" and any(number < 0 for number in numbers):  # GatherND indexes with it
        return False
    return attr.name in ("starts", "ends") or all(abs(number) < _MAX_INT for number in numbers)


def _elements(tensor: onnx.TensorProto) -> int:
    count = 1
    for dim in tensor.dims:
        count *= dim
    return count


def _described(infos: Iterable[onnx.ValueInfoProto]) -> dict[str, Value]:
    return {info.name: _value(info) for info in infos if info.name}


def _value(info: onnx.ValueInfoProto) -> Value:
    """A sequence, map or optional has neither shape nor dtype."""
    if not info.type.HasField("tensor_type"):
        return Value(info.name)
    tensor = info.type.tensor_type
    shape: Shape | None = None
    if tensor.HasField("shape"):
        shape = tuple(
            dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else None
            for dim in tensor.shape.dim
        )
    return Value(info.name, shape, dtype_name(tensor.elem_type))
