"""How does a model with functions of its own become one without?

``onnx.inliner`` replaces the calls, but trusts the file: functions that call themselves would never end, and
a few that call each other several times would fill the memory. Both are counted out beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx

from segdiff.core.errors import ModelError

_MAX_NODES = 1_000_000
"""Nodes after inlining; the largest models have some ten thousand."""

_Key = tuple[str, str]


def inlined(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """The same model without calls of local functions; ModelError where that has no end."""
    if not model.functions:
        return model
    size = _Sizes({(item.domain, item.name): item for item in model.functions}, path).of(model.graph.node)
    if size > _MAX_NODES:
        raise ModelError(
            f"{path}: its functions would expand to {size} nodes; export the model without functions"
        )
    try:
        from onnx import inliner
    except ImportError as error:
        raise ModelError(f"{path}: uses local functions; reading them needs onnx 1.15 or newer") from error
    return inliner.inline_local_functions(model)


class _Sizes:
    """Number of nodes every function expands to."""

    def __init__(self, functions: dict[_Key, onnx.FunctionProto], path: Path) -> None:
        self.functions = functions
        self.path = path
        self.known: dict[_Key, int] = {}
        self.open: set[_Key] = set()

    def of(self, nodes: Iterable[onnx.NodeProto]) -> int:
        """Nodes in the expansion of ``nodes``, those of subgraphs included."""
        return sum(self._node(node) for node in nodes)

    def _node(self, node: onnx.NodeProto) -> int:
        inside = sum(self.of(graph.node) for attr in node.attribute for graph in (attr.g, *attr.graphs))
        key = (node.domain, node.op_type)
        return inside + (self._function(key) if key in self.functions else 1)

    def _function(self, key: _Key) -> int:
        if key in self.open:
            raise ModelError(f"{self.path}: function {key[1]} calls itself; export the model again")
        if key not in self.known:
            self.open.add(key)
            self.known[key] = self.of(self.functions[key].node)
            self.open.discard(key)
        return self.known[key]
