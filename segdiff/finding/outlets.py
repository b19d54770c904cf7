"""Which change of its outputs makes the candidate give what the reference gives? The repair of their form.

Outputs in another order are put in order, one more is given up, one that is lost is given out where the
candidate computes it, or else made by the reference's own operators, written in ONNX where that is known. The
same operators are appended where the reference ends in a tail that the candidate does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segdiff.align.outputs import names_agree
from segdiff.core.edit import Edit, Node
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array, Op
from segdiff.core.outlets import Outlet, Outlets
from segdiff.diagnose.reading import constants
from segdiff.diagnose.reading.case import Case, Form
from segdiff.diagnose.reading.pieces import SPELT_NOWHERE, spelt
from segdiff.diagnose.reading.schema import respelt
from segdiff.diagnose.reading.translation import SPELT_IN
from segdiff.walk import Run
from segdiff.walk.upstream import upstream

MOST_NODES = 60
"""Operators that are written anew: a head of a network has fewer, and a network is no repair."""


@dataclass(frozen=True, eq=False)
class Built:
    """A tensor by its name, and the nodes that make it of the candidate's."""

    value: str
    nodes: tuple[Node, ...] = ()


def whole(run: Run, places: Mapping[int, int]) -> Outlets | None:
    """The list of outputs as the reference has it; ``places`` lead from its outputs to the candidate's.

    None where one of them can neither be had nor made.
    """
    ours, theirs = run.alignment.reference, run.alignment.candidate
    listed: list[Outlet] = []
    for place, value in enumerate(ours.outputs):
        if place in places:
            name = theirs.graph.outputs[places[place]]
            listed.append(Outlet(name, name, of=name))
            continue
        made = built(run, value, run.alignment.pairs)
        if made is None:
            return None
        listed.append(Outlet(ours.graph.outputs[place], made.value, made.nodes))
    return Outlets(tuple(_named(run, listed)))


def _named(run: Run, listed: list[Outlet]) -> list[Outlet]:
    """The outputs under their own names, or under those that stand in their place where these are right."""
    ours, theirs = run.alignment.reference.graph.outputs, run.alignment.candidate.graph
    old = theirs.outputs
    right = len(old) == len(listed) and all(map(names_agree, ours, old))
    taken: set[str] = {*theirs.inputs}
    found = []
    for place, outlet in enumerate(listed):
        name = old[place] if right else outlet.name
        while name in taken:
            name = f"{name}.segdiff"
        taken.add(name)
        found.append(Outlet(name, outlet.value, outlet.nodes, outlet.of))
    return found


def built(run: Run, name: str, known: Mapping[str, str]) -> Built | None:
    """A value of the reference made of the candidate's tensors; ``known`` lead from the reference's values to
    the candidate's. None where that cannot be written in ONNX."""
    ours, theirs = run.alignment.reference, run.alignment.candidate
    found: dict[int, Op] = {}
    starts: dict[str, str] = {}
    queue = [name]
    while queue:
        value = queue.pop()
        source = ours.source(value)
        if source in known:
            starts[value] = known[source]
        elif constants.value(ours.graph, value) is None:
            op = ours.graph.producer.get(value)
            if op is None or len(found) > MOST_NODES:
                return None
            if op.index not in found:
                found[op.index] = op
                queue += op.inputs
    ops = tuple(found[index] for index in sorted(found))
    if not ops and name in starts:
        return Built(starts[name])
    held = constants.value(ours.graph, name)
    if held is not None:
        return Built(f"{name}.held", (Node("Identity", (held,), (f"{name}.held",)),))
    nodes = _written(run, ops, starts, name)
    if nodes is None:
        return None
    made = {each for node in nodes for each in node.outputs}
    names = {each: f"{theirs.graph.outputs[0]}.{each}" for each in made} | starts
    return Built(names[name], tuple(_renamed(node, names) for node in nodes)) if name in made else None


def _written(run: Run, ops: tuple[Op, ...], starts: Mapping[str, str], end: str) -> list[Node] | None:
    ours, theirs = run.alignment.reference.graph, run.alignment.candidate.graph
    forms: dict[str, Form] = {c: (str(dtype), shape) for c, (dtype, shape) in run.probe.forms.items()}
    forms |= {c: (str(t.array.dtype), t.array.shape) for c, t in run.probe.feeds.items()}
    pairs = tuple(starts.items())
    case = Case(ours, theirs, ops, (), (), pairs, ((end, ""),), {}, {}, {}, forms)
    nodes: list[Node] = []
    for op in ops:
        pieces = () if op.type in SPELT_NOWHERE else spelt(case, op)
        if pieces is None:
            return None
        nodes += [piece.node for piece in pieces]
    return nodes


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    inputs = tuple(names.get(o, o) if isinstance(o, str) else o for o in node.inputs)
    outputs = tuple(names.get(each, each) for each in node.outputs)
    return Node(node.op_type, inputs, outputs, node.attributes, node.domain)


def in_form(run: Run, value: str, have: Array, want: Array) -> Built | None:
    """A tensor of the candidate in the form of another: its type, and axes of length one where it has them.

    None where it would have to be reshaped by numbers that only this run has.
    """
    if [size for size in have.shape if size != 1] != [size for size in want.shape if size != 1]:
        return None
    nodes: list[Node] = []
    here = value
    for op_type, shape in (("Squeeze", have.shape), ("Unsqueeze", want.shape)):
        axes = [axis for axis, size in enumerate(shape) if size == 1]
        if have.shape != want.shape and axes:
            to = f"{value}.{op_type.lower()}"
            node = Node(op_type, (here, np.array(axes, np.int64)), (to,))
            nodes.append(respelt(node, SPELT_IN, run.alignment.candidate.graph.opset))
            here = to
    if (have.dtype.kind == "f") != (want.dtype.kind == "f"):
        from onnx import helper

        nodes.append(
            Node("Cast", (here,), (f"{value}.cast",), {"to": helper.np_dtype_to_tensor_dtype(want.dtype)})
        )
        here = f"{value}.cast"
    return Built(here, tuple(nodes))


def shown(run: Run, value: str, made: Built) -> Array | None:
    """What the candidate gives as ``value`` with these nodes where now another writes it; None where
    that does not run. A constant needs no run."""
    graph = run.probe.graph
    constant = made.nodes[0].inputs[0] if len(made.nodes) == 1 else None
    if isinstance(constant, np.ndarray):
        return constant
    writer = graph.producer.get(value)
    if writer is None or len(writer.outputs) > 1:
        return None
    nodes = (*made.nodes, Node("Identity", (made.value,), (value,)))
    read = {each for node in nodes for each in node.inputs if isinstance(each, str)}
    ops = tuple(sorted({*upstream(graph, [*read], frozenset()), writer.index}))
    needed = {name for index in ops for name in graph.op(index).inputs} | read
    feeds = {name: tensor for name, tensor in run.probe.feeds.items() if name in needed}
    try:
        return run.probe.candidate.run(feeds, [value], ops, (Edit(value, nodes=nodes),))[value].array
    except EngineError:
        return None


def outlet(run: Run, value: str, made: Built | None) -> Outlet | None:
    """The output that holds a value of the candidate, as it is to be made instead."""
    if made is None:
        return None
    name = run.alignment.output_name(value)
    return Outlet(name, made.value, made.nodes, of=name)
