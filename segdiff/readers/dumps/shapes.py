"""Which shapes does a graph with open sizes have, once it is known what it was fed?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph, Value
from segdiff.readers import onnx_shapes
from segdiff.readers.onnx import load_light


def with_inputs(graph: Graph, inputs: Mapping[str, tuple[int, ...]]) -> Graph:
    """The graph of an ONNX file whose values have the shapes that follow from those of its inputs.

    What does not follow stays as it is; so does all of it where the file cannot be read again.
    """
    if not inputs or all(_is_static(value) for value in graph.values.values()):
        return graph
    try:
        model = load_light(graph.path)
    except ModelError:
        return graph
    for item in model.graph.input:
        given, dims = inputs.get(item.name), item.type.tensor_type.shape.dim
        if given is not None and len(given) == len(dims):
            for dim, size in zip(dims, given, strict=True):
                dim.dim_value = size
    del model.graph.value_info[:]  # they say that a size is open, and inference would believe them
    known = onnx_shapes.values(model)
    values = {
        name: value if _is_static(value) else _better(value, known.get(name))
        for name, value in graph.values.items()
    }
    return replace(graph, values=values)


def _is_static(value: Value) -> bool:
    return value.shape is not None and None not in value.shape


def _better(value: Value, found: Value | None) -> Value:
    return value if found is None or found.shape is None else replace(value, shape=found.shape)
