"""What are both sides of a case in one language? ONNX nodes of the candidate's opset, constants spelt out.

A piece is one node with the op that it comes from. An ONNX reference is copied; a Paddle op is written out
in nodes where :mod:`segdiff.diagnose.reading.translation` knows its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from segdiff.core.edit import Node, Operand
from segdiff.core.graph import Graph, Op
from segdiff.diagnose.reading import constants
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import copied
from segdiff.diagnose.reading.schema import respelt
from segdiff.diagnose.reading.translation import translated

MOST = 400
"""Ops of one side that are looked at: a segment beyond that is not one operator gone wrong."""

SPELT_NOWHERE = frozenset({"feed", "fetch", "data", "parameter", "builtin.combine", "builtin.split"})
"""Ops that compute nothing: who reads them reads what they gather or take apart."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A node, and the op of its side that it stands for. Operands are names of that side, or constants."""

    op: Op
    node: Node


def copyable(op: Op) -> bool:
    """Whether a node can be written anew: attributes of plain values, and nothing captured by a subgraph."""
    plain = (int, float, str, list, tuple, np.ndarray, np.generic)
    return "captured" not in op.slots and all(isinstance(value, plain) for value in op.attributes.values())


@lru_cache(maxsize=2)
def candidate_pieces(case: Case) -> tuple[Piece, ...]:
    """The candidate's nodes of a case, in program order."""
    return tuple(_copied(case.candidate, op) for op in case.nodes)


@lru_cache(maxsize=2)
def reference_pieces(case: Case) -> tuple[Piece, ...] | None:
    """The reference's ops between the ends of a case, in program order.

    None where one of them has no spelling in ONNX, or reads what the segment does not have.
    """
    ops = between(case)
    if ops is None:
        return None
    found: list[Piece] = []
    for op in ops:
        made = () if op.type in SPELT_NOWHERE else spelt(case, op)
        if made is None:
            return None
        found += made
    return tuple(found)


def spelt(case: Case, op: Op) -> tuple[Piece, ...] | None:
    """One op of the reference in ONNX nodes, operands by the reference's names; None where it has none."""
    if case.reference.format == "onnx":
        if not copyable(op):
            return None
        piece = _copied(case.reference, op)
        node = respelt(piece.node, case.reference.opset, case.opset)
        return (Piece(op, node),)
    nodes = translated(case, op)
    return None if nodes is None else tuple(Piece(op, _held(case.reference, node)) for node in nodes)


def _held(graph: Graph, node: Node) -> Node:
    """A node with the constants that it reads spelt out."""
    inputs: list[Operand] = []
    for operand in node.inputs:
        found = constants.value(graph, operand) if isinstance(operand, str) else None
        if found is None or not isinstance(operand, str):
            inputs.append(operand)
            continue
        dtype = None if operand in graph.parameters else graph.value(operand).dtype
        inputs.append(found.astype(dtype) if dtype else found)
    return Node(node.op_type, tuple(inputs), node.outputs, node.attributes, node.domain)


def _copied(graph: Graph, op: Op) -> Piece:
    node = copied(op, {}) if op.slots and "captured" not in op.slots else _bare(op)
    inputs = tuple(_resolved(graph, operand) for operand in node.inputs)
    return Piece(op, Node(node.op_type, inputs, node.outputs, node.attributes, node.domain))


def _bare(op: Op) -> Node:
    """A node whose subgraphs read more than its operands, for comparing alone."""
    domain, _, op_type = op.type.rpartition(".")
    own = [name for name, slot in zip(op.inputs, op.slots, strict=True) if slot != "captured"]
    return Node(op_type, tuple(own), op.outputs, dict(op.attributes), domain)


def _resolved(graph: Graph, operand: Operand) -> Operand:
    """A parameter as its content, anything else as it is."""
    if isinstance(operand, str) and operand in graph.parameters:
        found = constants.value(graph, operand)
        return operand if found is None else found
    return operand


def between(case: Case) -> tuple[Op, ...] | None:
    """All ops of the reference that turn the segment's inputs into its outputs, shape arithmetic too."""
    graph, starts = case.reference, {r for r, _ in case.inputs if r}
    found: dict[int, Op] = {}
    ends = {r for r, _ in case.outputs}
    queue = list(ends)
    while queue:
        name = queue.pop()
        op = graph.producer.get(name)
        if name in graph.parameters or (name in starts and name not in ends):
            continue
        if graph.format != "onnx" and case.reference_constant(name) is not None:
            continue  # written down by the op that reads it
        if op is None or len(found) > MOST:
            return None
        if op.index not in found:
            found[op.index] = op
            queue += [each for each in op.inputs if each not in starts]
    return tuple(found[index] for index in sorted(found))
