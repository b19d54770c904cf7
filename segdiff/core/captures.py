"""What do the subgraphs of an ONNX node read from around them? If, Loop and Scan capture tensors by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def reads_of(node: Any) -> list[str]:
    """Names of all the tensors that a ``NodeProto`` reads: its inputs, then what its subgraphs capture."""
    return [name for name in node.input if name] + list(dict.fromkeys(captured(node)))


def captured(node: Any) -> Iterator[str]:
    """Names that the subgraphs of a ``NodeProto`` read and do not make themselves, as often as they do."""
    for graph in subgraphs(node):
        yield from read_from_outside(graph)


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs that a node has as attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_graphs(graph: Any) -> Iterator[Any]:
    """A graph and all that lie within its nodes, the inner ones first."""
    for node in graph.node:
        for part in subgraphs(node):
            yield from all_graphs(part)
    yield graph


def read_from_outside(graph: Any) -> Iterator[str]:
    """Names that a subgraph reads from around it, blocks within it included; some come several times."""
    own = {item.name for item in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {tensor.values.name for tensor in graph.sparse_initializer}
    own |= {name for node in graph.node for name in node.output}
    reads = [name for node in graph.node for name in (*node.input, *captured(node))]
    reads += [item.name for item in graph.output]
    yield from (name for name in reads if name and name not in own)
