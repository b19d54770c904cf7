"""What would a device compute? Every value of an ONNX file by onnxruntime, also as half precision has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

Array = NDArray[Any]
Values = dict[str, Array]


def recorded(model: ModelProto, feeds: Mapping[str, Array]) -> Values:
    """Every tensor that flows, by its name, as the nodes compute it one by one."""
    exposed = ModelProto()
    exposed.CopyFrom(model)
    there = {output.name for output in exposed.graph.output}
    names = [name for node in exposed.graph.node for name in node.output if name and name not in there]
    exposed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(exposed.SerializeToString(), options, ["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    return {**feeds, **dict(zip(outputs, session.run(None, dict(feeds)), strict=True))}


def halves(model: ModelProto, keep: Iterable[str] = ()) -> ModelProto:
    """The model with every float tensor stored in half precision after its node, but for those of ``keep``
    (inside of a fused operator): sums stay in float32, as on an NPU."""
    floats = _floats(model) - set(keep)
    half = ModelProto()
    half.CopyFrom(model)
    del half.graph.node[:]
    for node in model.graph.node:
        copy = half.graph.node.add()
        copy.CopyFrom(node)
        for place, name in enumerate(node.output):
            if name in floats:
                copy.output[place] = f"{name}/full"
                half.graph.node.extend(
                    [
                        helper.make_node("Cast", [f"{name}/full"], [f"{name}/half"], to=TensorProto.FLOAT16),
                        helper.make_node("Cast", [f"{name}/half"], [name], to=TensorProto.FLOAT),
                    ]
                )
    return half


def _floats(model: ModelProto) -> set[str]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {one.name: one.type.tensor_type.elem_type for one in [*graph.value_info, *graph.output]}
    return {
        name
        for node in model.graph.node
        for name in node.output
        if types.get(name) == TensorProto.FLOAT and node.op_type != "Constant"
    }


def recorded_half(model: ModelProto, feeds: Mapping[str, Array], keep: Iterable[str] = ()) -> Values:
    """As :func:`recorded`, computed and given in half precision; only the names that the model has."""
    names = {*feeds, *(name for node in model.graph.node for name in node.output if name)}
    rounded = {
        name: array.astype(np.float16).astype(np.float32) if array.dtype == np.float32 else array
        for name, array in feeds.items()
    }
    values = recorded(halves(model, keep), rounded)
    return {
        name: array.astype(np.float16) if array.dtype == np.float32 else array
        for name, array in values.items()
        if name in names
    }
