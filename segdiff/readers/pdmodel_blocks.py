"""How does a sub-block of a ``.pdmodel`` become a program of its own?

Its ops move to block 0, between feeds and fetches. A sub-block writes its results into variables of the block
around it, a loop's body over what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from segdiff.core.errors import ModelError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Graph, Op
from segdiff.readers import pdmodel
from segdiff.readers.blocks import LOOPS, Block, BlockInput
from segdiff.readers.framework_proto import dtype_number
from segdiff.readers.guard import guard


def block(files: ModelFiles, graph: Graph, op: Op, taken: bool) -> Block:
    """The block that the op runs: a ``while``'s, or of a ``select_input`` the conditional block it takes."""
    desc = pdmodel.parse(files.program)
    with guard(files.program, "the program"):
        return _loop(files, graph, op, desc) if op.type in LOOPS else _branch(files, graph, op, desc, taken)


def _loop(files: ModelFiles, graph: Graph, op: Op, desc: Any) -> Block:
    item = desc.blocks[0].ops[op.index]
    reads = [var for slot, var in pdmodel.arguments(item.inputs) if slot == "X"]
    condition = next(var for slot, var in pdmodel.arguments(item.inputs) if slot == "Condition")
    writes = {var for _, var in pdmodel.arguments(item.outputs)}
    named = dict(zip((var for _, var in pdmodel.arguments(item.inputs)), op.inputs, strict=True))
    carried = tuple(var for var in reads if var in writes and var != condition)
    captured = {named[var]: var for var in reads if var not in writes and named[var] not in graph.parameters}
    words = captured | {var: var for var in carried}
    results = (condition, *carried)
    return Block(
        word="block",
        captured=tuple(captured),
        carried=carried,
        results=results,
        initial=tuple(named[var] for var in carried),
        write=lambda folder, inputs, wanted: _write(
            files, desc, _sub_block(item), words, [results[place] for place in wanted], folder, inputs
        ),
    )


def _branch(files: ModelFiles, graph: Graph, op: Op, desc: Any, taken: bool) -> Block:
    select = desc.blocks[0].ops[op.index]
    result = [var for slot, var in pdmodel.arguments(select.inputs) if slot == "X"][int(taken)]
    place, item = next(
        (place, each)
        for place, each in enumerate(desc.blocks[0].ops)
        if each.type == "conditional_block" and result in {var for _, var in pdmodel.arguments(each.outputs)}
    )
    reads = list(pdmodel.arguments(item.inputs))
    named = dict(zip((var for _, var in reads), graph.op(place).inputs, strict=True))
    inputs_of = [var for slot, var in reads if slot != "Cond"]
    words = {named[var]: var for var in inputs_of if named[var] not in graph.parameters}
    return Block(
        word="true block" if taken else "false block",
        captured=tuple(words),
        carried=(),
        results=(result,),
        write=lambda folder, inputs, wanted: _write(
            files, desc, _sub_block(item), words, [result for _ in wanted], folder, inputs
        ),
    )


def _sub_block(item: Any) -> int:
    return next(int(attr.block_idx) for attr in item.attrs if attr.name == "sub_block")


def _write(
    files: ModelFiles,
    whole: Any,
    number: int,
    words: Mapping[str, str],
    wanted: Sequence[str],
    folder: Path,
    inputs: Mapping[str, BlockInput],
) -> ModelFiles:
    desc = type(whole)()
    desc.CopyFrom(whole)
    outer, part = desc.blocks[0], desc.blocks[number]
    names = {words[word]: given.name for word, given in inputs.items()}
    used = {v for each in _inside(desc, number) for _, v in pdmodel.arguments([*each.inputs, *each.outputs])}
    kept = [var for var in outer.vars if var.persistable or var.name in used or var.name in names]
    kept += [var for var in part.vars if var.name not in {var.name for var in kept}]
    if clash := {var.name for var in kept if var.name not in names} & set(names.values()):
        raise ModelError(f"{files.program}: {min(clash)!r} is a variable of the block already")
    kept = [type(var).FromString(var.SerializeToString()) for var in kept]
    del outer.vars[:]
    outer.vars.extend(kept)
    for each in _inside(desc, number):
        for slot in (*each.inputs, *each.outputs):
            slot.arguments[:] = [names.get(var, var) for var in slot.arguments]
    ops = [type(op).FromString(op.SerializeToString()) for op in part.ops]
    del outer.ops[:]
    for place, (word, given) in enumerate(inputs.items()):
        _declare(outer, words[word], given)
        _transfer(outer, "feed", ("feed", given.name), place)
    outer.ops.extend(ops)
    for place, var in enumerate(wanted):
        _transfer(outer, "fetch", (names.get(var, var), "fetch"), place)
    for each in desc.blocks:
        if each.parent_idx == number:
            each.parent_idx = 0
    path = folder / "block.pdmodel"
    path.write_bytes(desc.SerializeToString())
    return ModelFiles("pdmodel", path, files.params, None)


def _inside(desc: Any, number: int) -> Iterator[Any]:
    """The ops of a block and of all blocks within it."""
    for op in desc.blocks[number].ops:
        yield op
        for attr in op.attrs:
            if attr.name == "sub_block":
                yield from _inside(desc, int(attr.block_idx))


def _declare(outer: Any, old: str, given: BlockInput) -> None:
    """The variable of an input: like the one it stands for, its shape that of the tensor it will be fed."""
    like = next(var for var in outer.vars if var.name == old)
    var = like
    if given.name != old:
        var = outer.vars.add()
        var.CopyFrom(like)
        var.name = given.name
    var.persistable = False
    tensor = pdmodel.tensor_type(var.type).tensor
    tensor.dims[:] = given.shape
    tensor.data_type = dtype_number(given.dtype)


def _transfer(outer: Any, kind: str, ends: tuple[str, str], column: int) -> None:
    op = outer.ops.add(type=kind)
    op.inputs.add(parameter="X", arguments=[ends[0]])
    op.outputs.add(parameter="Out", arguments=[ends[1]])
    op.attrs.add(name="col", type=0, i=column)
