"""What of a graph computes? The matcher looks at a :class:`View`, not at the whole graph.

Left out: ops that hang on parameters alone (they are parameters themselves), arithmetic on shapes (one side
may have folded it), ops that hand a tensor on unchanged, and ops that only gather tensors into a list. What
remains are the *compute ops*. What writes an output of the model computes, whatever it hangs on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import networkx as nx

from segdiff.align.branches import with_whole_branches
from segdiff.align.kinds import QUANTISED_DATA, drops, is_identity, kind_of
from segdiff.core.graph import Graph, Op
from segdiff.core.sequences import sequences


@dataclass(frozen=True)
class View:
    """The compute ops of a graph and the values between them.

    ``alias`` leads from a value to the one it repeats; ``reads`` from an op's index to the values it
    computes on, aliases resolved, in slot order; ``parameters_of`` to the parameters it uses, directly or
    through ops on constants.
    """

    graph: Graph
    ops: tuple[Op, ...]
    alias: dict[str, str]
    reads: dict[int, tuple[str, ...]]
    parameters_of: dict[int, tuple[str, ...]]
    shape_values: frozenset[str] = field(repr=False)

    @cached_property
    def producer(self) -> dict[str, Op]:
        """Value -> the compute op that writes it."""
        return {name: op for op in self.ops for name in op.outputs if self.source(name) == name}

    @cached_property
    def readers(self) -> dict[str, tuple[Op, ...]]:
        """Value -> the compute ops that read it, in program order."""
        found: dict[str, list[Op]] = {}
        for op in self.ops:
            for name in dict.fromkeys(self.reads[op.index]):
                found.setdefault(name, []).append(op)
        return {name: tuple(ops) for name, ops in found.items()}

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The model's outputs, aliases resolved."""
        return tuple(self.source(name) for name in self.graph.outputs)

    @cached_property
    def values(self) -> tuple[str, ...]:
        """Tensors that someone reads or receives: the model's inputs, then in program order."""
        made = [name for op in self.ops for name in op.outputs if self.source(name) == name]
        wanted = (set(self.readers) | set(self.outputs)) - sequences(self.graph)
        return tuple(name for name in (*self.graph.inputs, *made) if name in wanted)

    @cached_property
    def flow(self) -> nx.DiGraph:
        """Compute ops (by index) and values (by name)."""
        graph = nx.DiGraph()
        graph.add_nodes_from(self.graph.inputs)
        for op in self.ops:
            graph.add_edges_from((name, op.index) for name in self.reads[op.index])
            graph.add_edges_from((op.index, name) for name in op.outputs)
        return graph

    def source(self, name: str) -> str:
        """The value that ``name`` repeats, or itself."""
        return self.alias.get(name, name)


_FIRST, _SECOND, _LATE = 0, 1, 3
_SLOT_ORDER = {
    "Condition": -1,
    "Mask": -1,
    "X": _FIRST,
    "Input": _FIRST,
    "Logits": _FIRST,
    "Bias": _LATE,
} | dict.fromkeys(("Y", "Filter", "Grid", "Index", "Ids", "W", "Offset"), _SECOND)
"""A .pdmodel lists slots by the alphabet (Filter before Input); ONNX has the data first."""


def in_onnx_order(op: Op) -> tuple[str, ...]:
    """The inputs of an op with the data first, as ONNX orders them."""
    slots = zip(op.slots, op.inputs, strict=True)
    return tuple(name for _, name in sorted(slots, key=lambda item: _SLOT_ORDER.get(item[0], _LATE - 1)))


def computed_on(op: Op) -> tuple[str, ...]:
    """The inputs of an op without its scales and zero points."""
    places = QUANTISED_DATA.get(op.type)
    if places is None:
        return op.inputs
    return tuple(name for slot, name in zip(op.slots, op.inputs, strict=True) if slot in places)


def view_of(graph: Graph) -> View:
    """Classify the ops of a graph and keep those that compute and whose result is used.

    >>> from pathlib import Path
    >>> rows = [("Identity", "x", "i"), ("Relu", "i", "y"), ("Shape", "x", "s"), ("Neg", "x", "n")]
    >>> ops = tuple(Op(k, kind, "", (read,), ("0",), (to,), {}) for k, (kind, read, to) in enumerate(rows))
    >>> view = view_of(Graph("onnx", Path("m"), ops, {}, {}, ("x",), ("y",)))
    >>> [op.type for op in view.ops], view.reads, view.source("i")
    (['Relu'], {1: ('x',)}, 'x')
    """
    constants = {name: frozenset([name]) for name in graph.parameters}
    shapes: set[str] = set()
    alias: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    computing: list[Op] = []
    finals = frozenset(graph.outputs)
    parts = {op.inputs[0]: op.outputs for op in graph.ops if op.type == "builtin.split"}
    for op in with_whole_branches(graph):
        if op.type == "builtin.split":
            continue
        if len(op.outputs) == 1 and op.outputs[0] in parts:  # PIR: a list, taken apart by builtin.split
            op = replace(op, outputs=parts[op.outputs[0]])
        known = [name for name in op.inputs if name in constants]
        free = [name for name in op.inputs if name not in constants and name not in shapes]
        apart = kind_of(op) in ("shape", "fill_like") or (not free and kind_of(op) != "random")
        if apart and finals.intersection(op.outputs):
            computing.append(op)
        if kind_of(op) in ("shape", "fill_like"):
            shapes.update(op.outputs)
        elif not free and kind_of(op) != "random":
            roots = frozenset(root for name in known for root in constants[name])
            if len(known) == len(op.inputs):
                constants.update(dict.fromkeys(op.outputs, roots))
            else:
                shapes.update(op.outputs)
        elif op.type == "builtin.combine":
            lists[op.outputs[0]] = op.inputs
        elif is_identity(op) and op.outputs and not drops(graph, op):
            alias[op.outputs[0]] = alias.get(op.inputs[0], op.inputs[0])
        else:
            computing.append(op)
    return _assemble(graph, computing, alias, lists, constants, shapes)


def _assemble(
    graph: Graph,
    computing: list[Op],
    alias: dict[str, str],
    lists: dict[str, tuple[str, ...]],
    constants: dict[str, frozenset[str]],
    shapes: set[str],
) -> View:
    def flows(names: Iterable[str]) -> tuple[str, ...]:
        spread = [item for n in names for item in lists.get(n, (n,))]
        return tuple(alias.get(n, n) for n in spread if n not in constants and n not in shapes)

    def roots(names: Iterable[str]) -> tuple[str, ...]:
        spread = [item for n in names for item in lists.get(n, (n,))]
        return tuple(dict.fromkeys(root for n in spread for root in sorted(constants.get(n, ()))))

    used = {alias.get(name, name) for name in graph.outputs}
    alive = []
    for op in reversed(computing):
        if used.intersection(op.outputs):
            used.update(flows(op.inputs))
            alive.append(op)
    alive.reverse()
    return View(
        graph=graph,
        ops=tuple(alive),
        alias=alias,
        reads={op.index: flows(in_onnx_order(op)) for op in alive},
        parameters_of={op.index: roots(computed_on(op)) for op in alive},
        shape_values=frozenset(shapes),
    )
