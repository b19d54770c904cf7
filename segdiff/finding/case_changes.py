"""How does a person say what to change? By a node and its attributes, an operator, or another constant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from segdiff.core.edit import Edit, merged
from segdiff.core.errors import InputError
from segdiff.core.graph import Array, Graph, Op
from segdiff.core.meant import did_you_mean
from segdiff.core.printable import clean
from segdiff.readers.onnx import ops_within

BLOCKS = frozenset({"If", "Loop", "Scan"})

SHOWN = 5
"""Values that a message names."""

Changes = Mapping[str, Any] | Iterable[Edit]
"""``{"Resize.0": {"mode": "nearest"}}``, ``{"Relu.3": "LeakyRelu"}``, ``{"weight": array}``; or ready edits,
as a cause has them."""


def edits_of(graph: Graph, changes: Changes) -> tuple[Edit, ...]:
    """The edits that these changes are.

    A node is named by its name or a value that it writes, one in the block of an If or a Loop, too; its
    attributes (None takes one away), or a word for another operator, stand behind it. A constant is named
    by itself, with the array to put in its place. Raises InputError for a name or an attribute that does
    not exist.
    """
    if isinstance(changes, Edit):
        changes = (changes,)
    if not isinstance(changes, Mapping):
        found = list(changes)
        if not all(isinstance(each, Edit) for each in found):
            raise InputError(
                'changes are {"node": {"attribute": value}}, or the edits of a cause; '
                f"got {type(found[0]).__name__!r}"
            )
    else:
        found = [edit for name, what in changes.items() for edit in _edits(graph, name, what)]
    lost = next((edit for edit in found if edit.place not in graph.producer), None)
    if lost is not None:
        near = did_you_mean(lost.place, graph.producer)
        raise InputError(f"{graph.path}: no node writes {clean(lost.place)!r}{near}")
    if not found:
        raise InputError('nothing is to be changed: give {"node": {"attribute": value}}')
    return merged(found)


def _edits(graph: Graph, name: str, what: Any) -> Iterator[Edit]:
    if name in graph.parameters and not isinstance(what, str | Mapping):
        yield from _constant(graph, name, what)
        return
    op, inside = node_or_inner(graph, name)
    if isinstance(what, str):
        yield replace(_other_operator(graph, op, what), inside=inside)
    elif isinstance(what, Mapping):
        known = attributes_of(graph, op)
        for key in what:
            if known and key not in known:
                raise InputError(f"{op.type} has no attribute {clean(key)!r}{did_you_mean(str(key), known)}")
        yield Edit(op.outputs[0], attributes=dict(what), inside=inside)
    else:
        raise InputError(
            f"{clean(name)!r} is a node: say which attributes to change, or a word for another operator"
        )


def _other_operator(graph: Graph, op: Op, what: str) -> Edit:
    """Another operator, without the attributes that it does not have."""
    from onnx import defs

    if "." not in what and not defs.has(what, ""):
        names = (schema.name for schema in defs.get_all_schemas())
        raise InputError(f"ONNX has no operator {clean(what)!r}{did_you_mean(what, names)}")
    known = attributes_of(graph, replace(op, type=what, attributes={}))
    return Edit(op.outputs[0], op_type=what, attributes=dict.fromkeys(op.attributes.keys() - known))


def _constant(graph: Graph, name: str, value: Any) -> Iterator[Edit]:
    """Whatever reads a constant reads another one."""
    old = graph.parameters[name]
    array: Array = np.asarray(value)
    if array.dtype.kind == np.dtype(old.dtype).kind or array.dtype.kind in "iu":
        array = array.astype(old.dtype)
    for op in graph.consumers.get(name, ()):
        slots = zip(op.slots, op.inputs, strict=True)
        places = [int(slot) for slot, operand in slots if operand == name and slot.isdigit()]
        if places:
            yield Edit(op.outputs[0], inputs=dict.fromkeys(places, array))


def node_named(graph: Graph, name: str) -> Op:
    """The op of that name, or that writes the value of that name; a unique ending of a name will do.

    Raises InputError.
    """
    names = names_of(graph)
    if name in names:
        return names[name]
    ending = {key: op for key, op in names.items() if key.endswith((f".{name}", f"/{name}"))}
    if name and len({op.index for op in ending.values()}) == 1:
        return next(iter(ending.values()))
    near = did_you_mean(str(name), (*names, *graph.parameters))
    raise InputError(f"{graph.path}: no node or constant is called {clean(name)!r}{near}")


def node_or_inner(graph: Graph, name: str) -> tuple[Op, str]:
    """The op of that name, and what the op around it writes where it lies in the block of an If or a Loop
    ("" for an op of the graph itself). Raises InputError, also where ops of several blocks have that name."""
    try:
        return node_named(graph, name), ""
    except InputError:
        found = [(index, op) for index, op in _within(graph) if name in (op.name, *op.outputs)]
        if not found:
            raise
    if len({op.outputs for _, op in found}) > 1:
        values = ", ".join(clean(op.outputs[0]) for _, op in found[:SHOWN])
        raise InputError(
            f"{graph.path}: {len(found)} nodes in blocks are called {clean(name)!r}; name the value that one "
            f"writes: {values}"
        )
    index, op = found[0]
    return op, graph.op(index).outputs[0]


def _within(graph: Graph) -> list[tuple[int, Op]]:
    """The ops in the blocks of a graph; none where it has no blocks."""
    return ops_within(graph.path) if any(op.type in BLOCKS for op in graph.ops) else []


def names_of(graph: Graph) -> dict[str, Op]:
    """The ops of a graph by their names and by what they write; a name that several have means the first."""
    found: dict[str, Op] = {}
    for op in graph.ops:
        found.setdefault(op.name, op)
    for op in graph.ops:
        for output in op.outputs:
            found.setdefault(output, op)
    found.pop("", None)
    return found


def attributes_of(graph: Graph, op: Op) -> frozenset[str]:
    """The attributes that an operator can have in the graph's opset; nothing where nobody knows."""
    from onnx import defs

    domain, _, op_type = op.type.rpartition(".")
    if domain or not defs.has(op_type, ""):
        return frozenset()
    try:
        schema = defs.get_schema(op_type, graph.opset or defs.onnx_opset_version(), "")
    except Exception:  # onnx's own SchemaError: the operator is not in that opset
        return frozenset()
    return frozenset(schema.attributes) | frozenset(op.attributes)


def described(graph: Graph, edits: Iterable[Edit]) -> Iterator[tuple[str, str]]:
    """What each edit changes: the node, and every setting before and after; in words."""
    for edit in edits:
        op = graph.producer.get(edit.place)
        if edit.inside:
            op = next((inner for _, inner in _within(graph) if edit.output in inner.outputs), None)
        name = op.name if op else edit.place
        if edit.nodes:
            yield name, f"{op.type if op else 'the node'} becomes {', '.join(n.op_type for n in edit.nodes)}"
            continue
        if edit.op_type:
            yield name, f"{op.type if op else 'the operator'} becomes {edit.op_type}"
        for key, value in edit.attributes.items():
            if edit.op_type and value is None:
                continue
            yield name, f"{key} {_told(op.attributes.get(key) if op else None)} → {_told(value)}"
        for place, operand in edit.inputs.items():
            yield name, f"operand {place} becomes {_told(operand)}"


def _told(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, np.ndarray) and value.size > 6:
        return f"{value.dtype} {list(value.shape)}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return clean(value.tolist() if isinstance(value, np.ndarray) else value, 80)
