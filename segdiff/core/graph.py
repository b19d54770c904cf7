"""What is a model, whatever framework wrote it? Ops, values and parameters on a networkx graph.

Readers make a :class:`Graph`; alignment, the walk and the diagnosis only know this one. Every value is
written exactly once (readers rename what a framework overwrites), so the flow is a directed acyclic graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segdiff.core.quantised import Quantisation

if TYPE_CHECKING:
    import networkx as nx

Array = NDArray[Any]
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Value:
    """A tensor that flows through the graph.

    ``shape`` has None where a dimension is dynamic and is None where nothing is known; ``dtype`` is numpy's
    name of the element type (``float32``, ``int64``, ``bool``) or None.
    """

    name: str
    shape: Shape | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class Parameter:
    """A tensor that is known without running: a weight, a statistic, a constant.

    ``load`` reads the data, a C-contiguous array of ``shape`` and ``dtype``; nothing is kept in memory by
    the graph itself. It raises :class:`segdiff.core.errors.ModelError` where the file is damaged.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], Array] = field(repr=False, compare=False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Op:
    """One operator as its framework wrote it.

    ``index`` is its place in program order, which is a topological order; ``type`` is the framework's own
    word (``conv2d``, ``Conv``, ``com.microsoft.FusedConv``). ``inputs`` and ``outputs`` are names of values
    or parameters; ``slots`` names the role of every input (``Filter``, or the position in ONNX), so absent
    optional inputs do not shift the others. ``attributes`` are plain Python values or small arrays.
    """

    index: int
    type: str
    name: str
    inputs: tuple[str, ...]
    slots: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """A model as a dataflow graph.

    ``format`` is ``pdmodel``, ``pir`` or ``onnx``; ``ops`` stand in program order; ``inputs`` and
    ``outputs`` are the names the user feeds and receives, in the model's order; ``opset`` is that of ONNX's
    default domain, 0 in the other formats. ``quantised`` says how those values and parameters
    are quantised that are, or, of a parameter in float32, the integers that it was made of. ``unwritten`` are
    outputs that the file declares and nothing in it makes; they are none of the ``outputs``; ``lists``
    are the values that are lists of tensors; ``replaceable`` are parameters that stand among the file's
    inputs, so that a caller may replace them, and an optimiser must take them for variables.

    >>> relu = Op(0, "relu", "first", ("x",), ("X",), ("h",), {})
    >>> scale = Op(1, "scale", "second", ("h",), ("X",), ("y",), {"scale": 2.0})
    >>> graph = Graph("pdmodel", Path("model"), (relu, scale), {}, {}, ("x",), ("y",))
    >>> graph.producer["h"].name, [op.name for op in graph.consumers["h"]]
    ('first', ['second'])
    >>> from networkx import topological_sort
    >>> list(topological_sort(graph.flow))
    ['x', 0, 'h', 1, 'y']
    """

    format: str
    path: Path
    ops: tuple[Op, ...]
    values: Mapping[str, Value]
    parameters: Mapping[str, Parameter]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int = 0
    quantised: Mapping[str, Quantisation] = field(default_factory=dict, repr=False, compare=False)
    unwritten: tuple[str, ...] = ()
    lists: frozenset[str] = frozenset()
    replaceable: frozenset[str] = frozenset()

    @cached_property
    def _by_index(self) -> dict[int, Op]:
        return {op.index: op for op in self.ops}

    def op(self, index: int) -> Op:
        """The op of that index (indices may skip numbers)."""
        return self._by_index[index]

    @cached_property
    def producer(self) -> dict[str, Op]:
        """Value name -> the op that writes it (graph inputs and parameters have none)."""
        return {name: op for op in self.ops for name in op.outputs}

    @cached_property
    def consumers(self) -> dict[str, tuple[Op, ...]]:
        """Value or parameter name -> the ops that read it, in program order."""
        found: dict[str, list[Op]] = {}
        for op in self.ops:
            for name in dict.fromkeys(op.inputs):
                found.setdefault(name, []).append(op)
        return {name: tuple(ops) for name, ops in found.items()}

    @cached_property
    def flow(self) -> nx.DiGraph:
        """Bipartite graph: op nodes are their index, value nodes their name; parameters are left out."""
        import networkx as nx  # here: an engine asks for no flow, and this takes 10 to 14 MB of its process

        graph = nx.DiGraph()
        graph.add_nodes_from(self.inputs)
        for op in self.ops:
            graph.add_node(op.index)
            graph.add_edges_from((name, op.index) for name in op.inputs if name not in self.parameters)
            graph.add_edges_from((op.index, name) for name in op.outputs)
        return graph

    def value(self, name: str) -> Value:
        """The value of that name; a value no reader described has neither shape nor dtype."""
        return self.values.get(name) or Value(name)
