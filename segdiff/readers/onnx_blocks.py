"""How does a branch of an If, or the body of a Loop, become an ONNX file of its own?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from segdiff.core.captures import read_from_outside, reads_of, subgraphs
from segdiff.core.errors import ModelError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Graph, Op, Parameter
from segdiff.readers.blocks import LOOPS, Block, BlockInput
from segdiff.readers.onnx import load
from segdiff.readers.onnx_scan import body_of


def block(files: ModelFiles, graph: Graph, op: Op, taken: bool) -> Block:
    """The block that the node runs. Raises ModelError where it has none."""
    model = load(files.program)
    word = "body" if op.type in LOOPS else "then_branch" if taken else "else_branch"
    found = [attr.g for attr in model.graph.node[op.index].attribute if attr.name == word]
    if not found:
        raise ModelError(f"{files.program}: {op.name} has no {word}")
    scan = op.type == "Scan"
    part = body_of(model.graph.node[op.index], found[0]) if scan else found[0]
    made = {name for node in part.node for name in node.output}
    own, ends = [item.name for item in part.input], [item.name for item in part.output]
    given = dict(zip(op.slots, op.inputs, strict=True))
    first = 0 if scan else 2  # a Loop has two inputs more before what it carries
    initial = {name: given.get(str(place), "") for place, name in enumerate(own[2:], start=first)}
    fixed = {
        name: graph.parameters[start]
        for place, (name, start) in enumerate(initial.items(), start=1)
        if start in graph.parameters and ends[place : place + 1] == [name]
    }  # weights that a loop carries and never changes are weights of its body
    known = graph.lists
    lists = {name for name, start in initial.items() if start in known}
    shown = without_lists(part, lists)
    carried = tuple(name for name in initial if name not in fixed and name not in lists)
    skipped = {place for place, name in enumerate(initial, start=1) if name in lists}
    results = [name for n, name in enumerate(ends) if name not in fixed and n not in skipped]
    results += [part_of for n in sorted(skipped) for part_of in put_in(part, ends[n : n + 1])]
    return Block(
        word=word,
        captured=tuple(
            dict.fromkeys(name for name in read_from_outside(part) if name not in graph.parameters)
        ),
        carried=carried,
        results=tuple(name if name in made else None for name in results),
        write=lambda folder, inputs, wanted: _write(
            files.program, model, shown, fixed, folder, inputs, [results[each] for each in wanted]
        ),
        initial=tuple(initial[name] for name in carried),
        count=own[0] if own else None,
        condition=own[1] if len(own) > 1 else None,
        trips=given.get("0") if own and not scan else None,
    )


def put_in(part: onnx.GraphProto, ends: Sequence[str]) -> Iterator[str]:
    """The tensor that an iteration puts into a list it hands on: it can be shown, and the list cannot."""
    for node in part.node:
        if node.op_type == "SequenceInsert" and node.output[0] in ends:
            yield node.input[1]


def without_lists(part: onnx.GraphProto, lists: set[str]) -> onnx.GraphProto:
    """A block without the nodes that hang on lists of tensors: a model cannot be fed those."""
    if not lists:
        return part
    copy, gone = onnx.GraphProto(), set(lists)
    copy.CopyFrom(part)
    del copy.node[:]
    for node in part.node:
        if gone.intersection(reads_of(node)):
            gone.update(node.output)
        else:
            copy.node.append(node)
    del copy.output[:]
    copy.output.extend(item for item in part.output if item.name not in gone)
    return copy


def _write(
    source: Path,
    model: onnx.ModelProto,
    part: onnx.GraphProto,
    fixed: Mapping[str, Parameter],
    folder: Path,
    inputs: Mapping[str, BlockInput],
    wanted: Sequence[str],
) -> ModelFiles:
    names = {old: given.name for old, given in inputs.items()}
    nodes = [_renamed(node, names) for node in part.node]
    written = {name for node in nodes for name in node.output}
    if clash := written & set(names.values()):
        raise ModelError(f"{source}: {min(clash)!r} is written inside the block that is to be fed it")
    outer = set(read_from_outside(part))
    known = [node for node in model.graph.node if node.op_type == "Constant" and outer & set(node.output)]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in outer]
    graph = helper.make_graph(
        [*known, *nodes],
        "block",
        [_info(given) for given in inputs.values()],
        [helper.make_empty_tensor_value_info(name) for name in wanted],
        [*weights, *part.initializer, *(numpy_helper.from_array(p.load(), n) for n, p in fixed.items())],
        sparse_initializer=list(part.sparse_initializer),
    )
    made = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.load_external_data_for_model(made, str(source.parent))
    path = folder / "block.onnx"
    onnx.save(made, path)
    return ModelFiles("onnx", path, None, None)


def _info(given: BlockInput) -> onnx.ValueInfoProto:
    """The input as declared: its lengths open, but for integers, which may be a shape themselves."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(given.dtype))
    whole = np.dtype(given.dtype).kind in "iub"
    return helper.make_tensor_value_info(
        given.name, kind, list(given.shape) if whole else [None] * len(given.shape)
    )


def _renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """A copy of a node that reads other tensors, in its own blocks too."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for inner in _all_nodes([copy]):
        inner.input[:] = [names.get(name, name) for name in inner.input]
    for graph in subgraphs(copy):
        for output in graph.output:
            output.name = names.get(output.name, output.name)
    return copy


def _all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from _all_nodes(graph.node)
