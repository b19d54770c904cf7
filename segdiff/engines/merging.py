"""How do several cuts of one model run in one go? As one model, in which none has to do with another.

A session for every few nodes costs more than the nodes, where tensors are small.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from segdiff.core.captures import subgraphs
from segdiff.engines.protocol import of_part


def merged(cuts: Mapping[int, onnx.ModelProto]) -> onnx.ModelProto:
    """One model of several cuts of one file, in which the values of each bear its number
    (:func:`segdiff.engines.protocol.of_part`). The cuts are used up; weights that they share are there once.
    """
    first = next(iter(cuts.values()))
    model = onnx.ModelProto(ir_version=first.ir_version, opset_import=first.opset_import)
    model.graph.name = first.graph.name
    weights: dict[str, onnx.TensorProto] = {}
    for number, cut in cuts.items():
        weights |= {tensor.name: tensor for tensor in cut.graph.initializer}
        _rename(cut.graph, number)
        model.graph.node.extend(cut.graph.node)
        model.graph.input.extend(cut.graph.input)
        model.graph.output.extend(cut.graph.output)
    model.graph.initializer.extend(weights.values())
    return model


def mergeable(cut: onnx.ModelProto) -> bool:
    """Whether new names for its values set a cut apart from others: no block reads from around it."""
    graph = cut.graph
    return not (graph.sparse_initializer or any(next(subgraphs(node), None) for node in graph.node))


def _rename(graph: onnx.GraphProto, number: int) -> None:
    """The values of a cut under its number; its weights keep their names."""
    kept = {"", *(tensor.name for tensor in graph.initializer)}

    def named(name: str) -> str:
        return name if name in kept else of_part(number, name)

    for node in graph.node:
        node.input[:] = map(named, node.input)
        node.output[:] = map(named, node.output)
        node.ClearField("name")  # may be another's, and nobody asks for it
    for value in (*graph.input, *graph.output):
        value.name = named(value.name)
