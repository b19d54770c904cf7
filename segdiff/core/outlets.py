"""What shall a changed file give out? Its outputs in order, each a tensor that it has or that new nodes make.

An :class:`~segdiff.core.edit.Edit` changes a node; this changes the list of outputs. One output may be made
of another tensor (:class:`Outlet`), or the whole list may be written anew (:class:`Outlets`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from segdiff.core.captures import all_graphs
from segdiff.core.edit import Node, new_nodes
from segdiff.core.errors import ModelError


@dataclass(frozen=True, eq=False)
class Outlet:
    """One output: under ``name`` the tensor ``value``, which ``nodes`` make where the file has none such.

    ``of`` is the output of the unchanged file that it stands for; empty for one that the file has not.
    """

    name: str
    value: str
    nodes: tuple[Node, ...] = ()
    of: str = ""


@dataclass(frozen=True, eq=False)
class Outlets:
    """All the outputs of a file, in order; those of the unchanged file that are not named are given up."""

    outputs: tuple[Outlet, ...]


Ends = Outlet | Outlets


def joined(names: Iterable[str], changes: Iterable[Ends]) -> Outlets:
    """The whole list, of a file with outputs of these names and of changes to it.

    >>> whole = joined(["a", "b"], [Outlet("b", "c", of="b"), Outlets((Outlet("b", "b", of="b"),))])
    >>> [(each.name, each.value) for each in whole.outputs]
    [('b', 'c')]
    """
    listed = tuple(Outlet(name, name, of=name) for name in names)
    single: dict[str, Outlet] = {}
    for change in changes:
        if isinstance(change, Outlets):
            listed = change.outputs
        else:
            single[change.of] = change
    return Outlets(tuple(_made(each, single.get(each.of)) for each in listed))


def _made(outlet: Outlet, change: Outlet | None) -> Outlet:
    """An output of the list, as a change makes it."""
    return outlet if change is None else replace(outlet, value=change.value, nodes=change.nodes)


def give_out(model: Any, outlets: Outlets) -> None:
    """Let an ``onnx.ModelProto`` give these outputs; in place. What no output needs any more stays in it.

    A tensor that holds the name of an output by accident gets another one. The types of new outputs are left
    open. Raises ModelError where there is no such tensor, or where an input has an output's name.

    >>> from onnx import parser
    >>> text = '<ir_version: 8, opset_import: ["" : 17]> m (float[N] x) => (float[N] y, float[N] z)'
    >>> model = parser.parse_model(text + ' { y = Relu(x) z = Abs(x) }')
    >>> give_out(model, Outlets((Outlet("z", "z"), Outlet("w", "y"))))
    >>> [output.name for output in model.graph.output]
    ['z', 'w']
    """
    from onnx import ValueInfoProto, helper

    graph = model.graph
    for outlet in outlets.outputs:
        graph.node.extend(new_nodes(graph, outlet.nodes))
    known = {name for node in graph.node for name in node.output}
    inputs = {each.name for each in graph.input}
    held = {tensor.name for tensor in graph.initializer}
    declared = {each.name: each for each in (*graph.input, *graph.output)}
    moved: dict[str, str] = {}
    for outlet in outlets.outputs:
        if outlet.value not in known | inputs | held:
            raise ModelError(f"the model has no tensor {outlet.value!r} that it could give out")
        if outlet.name != outlet.value and outlet.name in known | held:
            moved[outlet.name] = f"{outlet.name}.segdiff"
        if outlet.name != outlet.value and outlet.name in inputs:
            raise ModelError(f"an input has the name {outlet.name!r}, so no output can have it")
    _rename(graph, moved)
    infos = []
    for outlet in outlets.outputs:
        info = ValueInfoProto()
        if outlet.value in declared:
            info.CopyFrom(declared[outlet.value])
        info.name = outlet.name
        infos.append(info)
        if outlet.name != outlet.value:
            source = moved.get(outlet.value, outlet.value)
            graph.node.append(helper.make_node("Identity", [source], [outlet.name]))
    del graph.output[:]
    graph.output.extend(infos)


def _rename(graph: Any, names: dict[str, str]) -> None:
    """Give tensors other names wherever they are written or read, in blocks too."""
    for each in all_graphs(graph):
        for node in each.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        for tensor in each.initializer:
            tensor.name = names.get(tensor.name, tensor.name)
        for info in each.value_info:
            info.name = names.get(info.name, info.name)
        for output in each.output if each is not graph else ():
            output.name = names.get(output.name, output.name)
