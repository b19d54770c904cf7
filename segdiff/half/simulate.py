"""What does a model give in half precision? The model again, every fused group's result rounded.

On a stock onnxruntime: a pair of Casts behind each group, the constants rounded, all sums in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx

from segdiff.core.captures import reads_of
from segdiff.half.body import half_body
from segdiff.half.groups import Group, groups_of
from segdiff.half.read import File
from segdiff.half.rounding import Maker, rounding
from segdiff.half.store import InMessage, Store
from segdiff.half.targets import How

PREFIX = "segdiff.half."
"""What the names of added values begin with."""


def groups(model: onnx.ModelProto, how: How) -> tuple[Group, ...]:
    """The fused groups of a model, in order, those of its inputs first (:mod:`segdiff.half.groups`)."""
    return groups_of(File(model), how)


def simulated(
    model: onnx.ModelProto,
    how: How,
    *,
    keep: frozenset[str] = frozenset(),
    only: frozenset[str] | None = None,
    path: Path = Path("model.onnx"),
    store: Store | None = None,
) -> onnx.ModelProto:
    """The model as it would compute in half precision; it reads and writes float32, as the model does.

    ``keep`` are nodes or values (their names) whose groups are computed in float32, with the constants of the
    file; what such a group writes is stored in half where anything reads it that is not kept. ``only``: these
    groups are rounded and no others, as their share is measured. Large tensors may have been left in the file
    ``path``; added constants go to ``store`` (the message, by default).
    """
    file = File(model, path)
    found = groups_of(file, how)
    kept = frozenset(each.value for each in found if each.is_named(keep))
    chosen = [each for each in found if only is None or each.is_named(only)]
    half = {each.value: each for each in chosen if each.value not in kept}
    maker, store = Maker(PREFIX), store or InMessage()
    readers = stored_for(file, found, half) if only is None else frozenset()
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.value_info[:]
    inner = {index: each for each in found for index in each.nodes}
    for index, node in enumerate(file.nodes):
        owner = inner.get(index)
        if owner is None or owner.value not in half:
            made.graph.node.add().CopyFrom(node)
            if owner is not None and owner.nodes[-1] == index:
                made.graph.node.extend(_narrowed(file, how, owner, made.graph, readers, maker))
        elif owner.nodes[-1] == index:
            body = half_body(file, how, owner, store, maker, {name: name for name in owner.outputs})
            made.graph.node.extend(body.nodes)
            made.graph.initializer.extend(body.tensors)
    round_inputs(file, how, made.graph, [each.value for each in half.values() if not each.nodes], maker)
    drop_unread(made.graph)
    return made


def stored_for(file: File, found: Iterable[Group], half: dict[str, Group]) -> frozenset[str]:
    """What something reads that is not kept, directly or behind what only moves it."""
    inner = {index: each for each in found for index in each.nodes}
    wanted: set[str] = set()
    for index in range(len(file.nodes) - 1, -1, -1):
        node, owner = file.nodes[index], inner.get(index)
        rounds = owner is not None and owner.value in half
        if rounds or (owner is None and any(name in wanted for name in node.output)):
            wanted.update(node.input)
    return frozenset(wanted)


def _narrowed(
    file: File, how: How, kept: Group, graph: onnx.GraphProto, readers: frozenset[str], maker: Maker
) -> Iterator[onnx.NodeProto]:
    """Store what a kept group writes in half where somebody reads it who is not kept."""
    writer = graph.node[-1]
    for place, name in enumerate(writer.output):
        if name in readers and name in kept.outputs:
            writer.output[place] = maker.fresh("kept")
            wide = writer.output[place]
            width = width_of(file, name)
            yield from rounding(wide, name, how, file.opset, maker, width=width, op=writer.op_type)


def round_inputs(file: File, how: How, graph: onnx.GraphProto, inputs: Iterable[str], maker: Maker) -> None:
    """Let the graph read some of its inputs as they are stored in half precision."""
    renamed = {name: maker.fresh("input") for name in inputs}
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
    rest = list(graph.node)
    del graph.node[:]
    for name, into in renamed.items():
        graph.node.extend(rounding(name, into, how, file.opset, maker, width=width_of(file, name)))
    graph.node.extend(rest)


def width_of(file: File, name: str) -> int:
    """The element type that a float has in the file."""
    return int(onnx.TensorProto.DOUBLE if file.floats[name] == "float64" else onnx.TensorProto.FLOAT)


def drop_unread(graph: onnx.GraphProto) -> None:
    """Leave out the constants that nothing reads any more."""
    read = {name for node in graph.node for name in reads_of(node)} | {item.name for item in graph.output}
    unread = [tensor for tensor in graph.initializer if tensor.name not in read]
    for tensor in unread:
        graph.initializer.remove(tensor)
    names = {tensor.name for tensor in unread}
    for node in [node for node in graph.node if node.op_type == "Constant" and node.output[0] not in read]:
        graph.node.remove(node)
    for item in [item for item in graph.input if item.name in names]:  # as files before IR 4 list them
        graph.input.remove(item)
