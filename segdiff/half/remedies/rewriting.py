"""What is an exact rewrite? Edits of an ONNX file that leave its function as it is, but for rounding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from segdiff.core.captures import all_graphs
from segdiff.core.edit import Edit, apply
from segdiff.core.graph import Array, Graph, Op
from segdiff.half.static import called

RewriteKind = Literal["fold", "affine", "scale", "mask", "epsilon"]


@dataclass(frozen=True, eq=False)
class Rewrite:
    """A change of a few nodes.

    ``about`` is the index of the op that it is for, ``nodes`` the names of all that change, ``touched`` their
    indices; ``text`` says what to do, without a full stop. ``names`` are those of the new nodes, by what they
    write. ``always`` tells one that is exact whatever is fed from one that must be run to know.
    """

    kind: RewriteKind
    about: int
    nodes: tuple[str, ...]
    touched: frozenset[int]
    text: str
    edits: tuple[Edit, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    always: bool = True


def made(model: Any, rewrites: Iterable[Rewrite]) -> None:
    """Change an ``onnx.ModelProto`` in place by rewrites that touch different nodes, the new ones named as
    they say. Raises ModelError where a node is not there."""
    chosen = list(rewrites)
    apply(model, [edit for rewrite in chosen for edit in rewrite.edits])
    wanted = {output: name for rewrite in chosen for output, name in rewrite.names.items()}
    nodes = [node for graph in all_graphs(model.graph) for node in graph.node]
    renamed = [node for node in nodes if node.output and node.output[0] in wanted]
    taken = {node.name for node in nodes} - {node.name for node in renamed}
    for node in renamed:
        node.name = free(wanted[node.output[0]], taken)
        taken.add(node.name)


def disjoint(rewrites: Iterable[Rewrite]) -> list[Rewrite]:
    """The rewrites that touch no node of one before them."""
    found: list[Rewrite] = []
    touched: set[int] = set()
    for rewrite in rewrites:
        if touched.isdisjoint(rewrite.touched):
            found.append(rewrite)
            touched |= rewrite.touched
    return found


def free(name: str, taken: Iterable[str]) -> str:
    """The name, or the first of its kind that is not taken.

    >>> free("conv", {"conv", "conv_1"})
    'conv_2'
    """
    count, found = 0, name
    known = set(taken)
    while found in known:
        count += 1
        found = f"{name}_{count}"
    return found


def constant(graph: Graph, name: str) -> Array | None:
    """A parameter in plain floating point; None for anything else."""
    held = graph.parameters.get(name)
    if held is None or not held.dtype.startswith("float") or name in graph.quantised:
        return None
    return held.load()


def only_reader(graph: Graph, name: str) -> Op | None:
    """The op that alone reads a value, once, where the model does not give it out."""
    readers = graph.consumers.get(name, ())
    if len(readers) != 1 or name in graph.outputs or readers[0].inputs.count(name) != 1:
        return None
    return readers[0] if "captured" not in readers[0].slots else None


def operand(op: Op, slot: int) -> str | None:
    """What an op reads in that place; None where it was left out."""
    return next((name for name, place in zip(op.inputs, op.slots, strict=True) if place == str(slot)), None)


def names_of(ops: Iterable[Op]) -> tuple[str, ...]:
    """The names of some ops, in their order."""
    return tuple(called(op) for op in ops)


def unique_value(graph: Graph, stem: str, more: Iterable[str] = ()) -> str:
    """A name that no value or parameter of the graph has."""
    return free(stem, {*graph.values, *graph.parameters, *more})
