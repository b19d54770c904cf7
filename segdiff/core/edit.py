"""How is an ONNX model changed? By edits: plain data that say what becomes of one node.

A hypothesis is a few edits, tried on a segment; a repair is the same edits on the whole file. So both use
:func:`apply`. A node is told by a tensor it writes: that is unique in a graph, whatever nodes are called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segdiff.core.captures import all_graphs, captured
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array

Operand = str | Array | None
"""A tensor by its name, a constant, or nothing (an optional input left out)."""


@dataclass(frozen=True, eq=False)
class Node:
    """A node as it shall be written; every operand may be a constant, ``outputs`` are names."""

    op_type: str
    inputs: tuple[Operand, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    domain: str = ""


@dataclass(frozen=True, eq=False)
class Edit:
    """What becomes of the node that writes ``output``.

    ``op_type`` its new operator; ``attributes`` the attributes that get another value (None: are removed);
    ``inputs`` the operands that change, by position; ``before`` nodes that are put in front of it, for the
    new operands to read. With ``nodes`` the node goes, and these stand in its place: together they must write
    all of its outputs. A node in the block of an If or a Loop is told by its output too; ``inside`` is then
    what that op writes.
    """

    output: str
    op_type: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[int, Operand] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    before: tuple[Node, ...] = ()
    inside: str = ""

    @property
    def place(self) -> str:
        """What the changed node of the graph itself writes: it, or the op around it."""
        return self.inside or self.output

    @property
    def reads(self) -> frozenset[str]:
        """The tensors that the changed and the new nodes are told to read."""
        new = (*self.inputs.values(), *(o for node in (*self.before, *self.nodes) for o in node.inputs))
        return frozenset(operand for operand in new if isinstance(operand, str))

    @property
    def size(self) -> int:
        """How much it changes: the smaller of two repairs is the likelier one."""
        written = len(self.nodes) + len(self.before)
        return bool(self.op_type) + len(self.attributes) + len(self.inputs) + 3 * written


def merged(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """Edits of the same node become one, the later winning; one that replaces the node wins over all.

    >>> both = Edit("y", "Relu"), Edit("y", attributes={"alpha": 0.1})
    >>> [(edit.op_type, edit.attributes) for edit in merged(both)]
    [('Relu', {'alpha': 0.1})]
    """
    found: dict[str, Edit] = {}
    for edit in edits:
        before = found.get(edit.output)
        if before is None or edit.nodes:
            found[edit.output] = edit
        elif not before.nodes:
            found[edit.output] = Edit(
                edit.output,
                edit.op_type or before.op_type,
                {**before.attributes, **edit.attributes},
                {**before.inputs, **edit.inputs},
                before=_each_once((*before.before, *edit.before)),
                inside=edit.inside or before.inside,
            )
    return tuple(found.values())


def _each_once(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Nodes of which no two write the same tensors."""
    return tuple({node.outputs: node for node in nodes}.values())


def apply(model: Any, edits: Iterable[Edit]) -> None:
    """Change an ``onnx.ModelProto`` in place; what only the old nodes read goes with them.

    A node may lie inside the block of an If or a Loop: its new constants then stand there, too. Raises
    ModelError where no node writes an edit's ``output``.

    >>> from onnx import parser
    >>> text = '<ir_version: 8, opset_import: ["" : 17]> m (float[N] x) => (float[N] y) { y = LeakyRelu(x) }'
    >>> model = parser.parse_model(text)
    >>> apply(model, [Edit("y", attributes={"alpha": 0.25})])
    >>> [(attribute.name, attribute.f) for attribute in model.graph.node[0].attribute]
    [('alpha', 0.25)]
    """
    graphs, asked = list(all_graphs(model.graph)), tuple(edits)
    writer = {
        name: place for place, graph in enumerate(graphs) for node in graph.node for name in node.output
    }
    for edit in asked:
        if edit.output not in writer:
            raise ModelError(f"no node writes {edit.output!r}, so it cannot be changed")
    before = _reads(model.graph)
    for place, graph in enumerate(graphs):
        _apply(graph, [edit for edit in asked if writer[edit.output] == place])
    _drop_unread(model.graph, before)


def _apply(graph: Any, edits: list[Edit]) -> None:
    """The edits of one graph's own nodes."""
    place = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    constants = _Constants(graph)
    for edit in sorted(merged(edits), key=lambda edit: -place[edit.output]):
        index = place[edit.output]
        if edit.nodes:
            _replace(graph, index, [_node(node, constants) for node in edit.nodes])
        else:
            _change(graph.node[index], edit, constants)
            _insert(graph, index, [_node(node, constants) for node in edit.before])


def _change(node: Any, edit: Edit, constants: _Constants) -> None:
    if edit.op_type:
        node.op_type = edit.op_type
    kept = [attribute for attribute in node.attribute if attribute.name not in edit.attributes]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(_attributes(node.op_type, node.domain, edit.attributes))
    names = list(node.input)
    for position, operand in sorted(edit.inputs.items()):
        names += [""] * (position + 1 - len(names))
        names[position] = constants.name_of(operand, f"{edit.output}.{position}")
    while names and not names[-1]:
        names.pop()
    del node.input[:]
    node.input.extend(names)


def _replace(graph: Any, index: int, nodes: list[Any]) -> None:
    """Nodes in place of one; the last of them inherits its name."""
    nodes[-1].name = graph.node[index].name
    _insert(graph, index + 1, nodes)
    del graph.node[index]


def _insert(graph: Any, index: int, nodes: list[Any]) -> None:
    """Nodes in front of the one at that place."""
    if nodes:
        rest = [*nodes, *graph.node[index:]]
        del graph.node[index:]
        graph.node.extend(rest)


def new_nodes(graph: Any, nodes: Iterable[Node]) -> list[Any]:
    """Nodes as protos; their constants become initializers of the graph (``onnx.GraphProto``)."""
    constants = _Constants(graph)
    return [_node(node, constants) for node in nodes]


def _node(node: Node, constants: _Constants) -> Any:
    from onnx import helper

    names = [
        constants.name_of(operand, f"{node.outputs[0]}.{position}")
        for position, operand in enumerate(node.inputs)
    ]
    made = helper.make_node(node.op_type, names, list(node.outputs), domain=node.domain)
    made.attribute.extend(_attributes(node.op_type, node.domain, node.attributes))
    return made


def _attributes(op_type: str, domain: str, values: Mapping[str, Any]) -> Iterable[Any]:
    """Attributes in the type that the operator's schema wants (1 as a float, [] as integers)."""
    from onnx import AttributeProto, defs, helper, numpy_helper

    schema = defs.get_schema(op_type, domain=domain) if defs.has(op_type, domain) else None
    for name, value in values.items():
        if value is None:
            continue
        plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        known: Any = schema.attributes.get(name) if schema else None
        kind = known.type.value if known else None
        if kind == AttributeProto.TENSOR:
            plain = numpy_helper.from_array(np.asarray(value), name)
        yield helper.make_attribute(name, _as(kind, plain), attr_type=kind)


def _as(kind: int | None, value: Any) -> Any:
    """A number, or a list of them, as the kind of attribute wants it."""
    from onnx import AttributeProto

    if kind in (AttributeProto.FLOAT, AttributeProto.FLOATS):
        return [float(item) for item in value] if isinstance(value, list | tuple) else float(value)
    if kind in (AttributeProto.INT, AttributeProto.INTS):
        return [int(item) for item in value] if isinstance(value, list | tuple) else int(value)
    return value


class _Constants:
    """New initializers, under names that nothing has."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.taken = {name for node in graph.node for name in (*node.input, *node.output)}
        self.taken |= {tensor.name for tensor in graph.initializer}

    def name_of(self, operand: Operand, stem: str) -> str:
        """The name to write for an operand; a constant becomes an initializer."""
        from onnx import numpy_helper

        if operand is None or isinstance(operand, str):
            return operand or ""
        name, count = f"{stem}.segdiff", 0
        while name in self.taken:
            count += 1
            name = f"{stem}.segdiff.{count}"
        self.taken.add(name)
        array = np.asarray(operand, order="C")
        if array.dtype.name == "bfloat16":  # onnx's helper knows no such array
            self.graph.initializer.append(_bfloat16(array, name))
        else:
            self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name


def _bfloat16(array: Array, name: str) -> Any:
    from onnx import TensorProto

    raw = array.view(np.uint16).astype("<u2").tobytes()
    return TensorProto(name=name, data_type=TensorProto.BFLOAT16, dims=array.shape, raw_data=raw)


def _reads(graph: Any) -> Counter[str]:
    """How often each tensor is read, by nodes (and what captures it in their subgraphs) or as an output."""
    found: Counter[str] = Counter(output.name for output in graph.output)
    for node in graph.node:
        found.update(node.input)
        found.update(captured(node))
    return found


def _drop_unread(graph: Any, before: Counter[str]) -> None:
    """Initializers and nodes that nothing reads any more, though something did before."""
    while True:
        now = _reads(graph)
        gone = {name for name in before if name not in now}
        kept = [node for node in graph.node if not _idle(node, gone, now)]
        if len(kept) == len(graph.node):
            break
        del graph.node[:]
        graph.node.extend(kept)
    tensors = [tensor for tensor in graph.initializer if tensor.name not in gone]
    if len(tensors) != len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(tensors)


def _idle(node: Any, gone: set[str], now: Counter[str]) -> bool:
    """Whether a node writes nothing that is read, and something that was."""
    names = [name for name in node.output if name]
    return any(name in gone for name in names) and not any(name in now for name in names)
