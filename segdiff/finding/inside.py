"""What errs inside an If or a Loop? The block it runs, as a model of its own, is walked like any other.

An op that runs a block is one segment outside. Where it errs, the block is cut out of both files, with what
it captures and carries as inputs, and fed the reference's tensors: the branch that the reference takes, or a
loop's body, iteration after iteration until one errs. What the walk finds there is the operator to blame; its
cause counts where the op as a whole then agrees. Where a block cannot be cut or shows nothing, the op stands
as it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from segdiff.align import Alignment, Segment
from segdiff.core.answer import Cause
from segdiff.core.edit import merged
from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Op
from segdiff.core.inside import InsideOf
from segdiff.diagnose import explain
from segdiff.diagnose.families.control_flow import DECIDES
from segdiff.engines import Blocks, Tensor
from segdiff.engines.session import Engines, started
from segdiff.finding.meeting import Files, Meeting, paired
from segdiff.readers import read
from segdiff.readers.block_cut import block_of
from segdiff.readers.blocks import BRANCHES, LOOPS, Block
from segdiff.walk import Run, Step, ends_of, walked
from segdiff.walk.probe import Bench
from segdiff.walk.verify import verify

SECONDS = 30.0
"""For the iterations of one loop; the iteration where an error begins is among the first few, if at all."""

CAUSE_SECONDS = 20.0
"""For the causes of what errs inside one block."""

MOST = 3
"""Origins that are looked into: each starts both engines once more."""

DEEPEST = 4
"""Blocks within blocks."""


@dataclass(frozen=True)
class Limits:
    """What the engines of a block may take: bytes, seconds of silence, threads."""

    memory: int
    timeout: float
    threads: int | None


@dataclass(frozen=True)
class Inside:
    """What was found inside the op of a segment.

    ``path`` leads from the outer op to the block, ``step`` is the segment in it that errs first, between the
    graphs of ``alignment``; ``cause`` is its cause.
    """

    path: tuple[InsideOf, ...]
    step: Step
    alignment: Alignment
    cause: Cause | None


def look_inside(
    run: Run, files: Files, limits: Limits, causes: Mapping[Segment, Cause], reasons: list[str]
) -> dict[Segment, Inside]:
    """What errs inside the origins that run a block, by their segment.

    Where what decides on a block is proven to be the cause, there is nothing to look for in it. Raises
    nothing that an engine does: why a block could not be looked into goes to ``reasons``.
    """
    found: dict[Segment, Inside] = {}
    decided = {segment for segment, cause in causes.items() if cause.proven and decides(cause)}
    with_blocks = [
        step for step in run.origins if step.segment not in decided and _op_pair(run, step) is not None
    ]
    for step in with_blocks[:MOST]:
        try:
            inside = _inside(run, step, files, limits, DEEPEST)
        except SegdiffError as error:
            ends = ", ".join(c for _, c in step.segment.outputs)
            reasons.append(f"Which operator inside errs is not known at {ends}: {error}")
            continue
        if inside is not None:
            found[step.segment] = inside
    return found


def decides(cause: Cause) -> bool:
    """Whether a cause lies in what the op with the block says itself, and not in the block."""
    return cause.kind in DECIDES or cause.kind.startswith("scan.")


def causes_with(causes: Mapping[Segment, Cause], found: Mapping[Segment, Inside]) -> dict[Segment, Cause]:
    """The causes of all origins: what was proven inside goes before what was found of the op as a whole."""
    mended = dict(causes)
    for segment, inside in found.items():
        known = causes.get(segment)
        if inside.cause is not None and (inside.cause.proven or known is None or not known.proven):
            mended[segment] = inside.cause
    return mended


def _op_pair(run: Run, step: Step) -> tuple[Op, Op] | None:
    """The ops with blocks of a segment, one a side and of one sort, else None."""
    ours = [run.probe.reference.op(index) for index in step.segment.reference_ops]
    theirs = [run.probe.graph.op(index) for index in step.segment.ops]
    for kinds in (BRANCHES, LOOPS):
        mine, other = ([op for op in ops if op.type in kinds] for ops in (ours, theirs))
        if mine and len(other) == 1 and (len(mine) == 1 or mine[0].type == "select_input"):
            faulty = {pair.reference for pair in step.pairs if pair.judgement and pair.judgement.fault}
            return next((op for op in mine if faulty & set(op.outputs)), mine[0]), other[0]
    return None


def _inside(run: Run, step: Step, files: Files, limits: Limits, depth: int) -> Inside | None:
    ops = _op_pair(run, step)
    if ops is None or depth == 0:
        return None
    loop = ops[1].type in LOOPS
    tensors = dict(run.reference(ends_of(step)))
    bench = run.probe.bench(step.segment, tensors)
    taken = loop or bool(_scalar(run, _condition(ops[0])))
    graphs = run.probe.reference, run.probe.graph
    blocks = block_of(files[0], graphs[0], ops[0], taken), block_of(files[1], graphs[1], ops[1], taken)
    names = [*blocks[0].captured, *blocks[0].initial]
    words = [*blocks[0].captured, *blocks[0].carried]
    ours = dict(zip(words, _reference_tensors(run, names), strict=True))
    ours |= _of_a_loop(blocks[0], run.probe.blocks)
    trips = int(_scalar(run, blocks[0].trips)) if blocks[0].trips else None
    theirs = _candidate_tensors(bench, blocks[1])
    meeting = Meeting(blocks, ours, theirs, paired(step.segment, blocks, ours, theirs), trips)
    with TemporaryDirectory(prefix="segdiff-") as folder:
        cut_out = meeting.written(Path(folder), step.segment, ops)
        with started(cut_out, limits.memory, limits.timeout, limits.threads) as engines:
            return _walked_inside(run, bench, engines, cut_out, meeting, ops[1], limits, depth)


def _walked_inside(
    run: Run,
    bench: Bench,
    engines: Engines,
    files: Files,
    meeting: Meeting,
    op: Op,
    limits: Limits,
    depth: int,
) -> Inside | None:
    graphs = read(files[0]), read(files[1])
    engines.wait_until_ready()
    meeting.move_to(engines)
    alignment = meeting.aligned(*graphs, engines.hidden(graphs[0]))
    end = time.monotonic() + run.walk.patience(SECONDS)
    loop, turn = op.type in LOOPS, 0
    while time.monotonic() < end:
        feeds = meeting.feeds(engines, alignment, turn)
        found = walked(engines, alignment, feeds, run.probe.thresholds, limits.memory // 2, lambda done: None)
        found = verify(found) if found.walk.diverges else found
        if found.origins:
            first = found.origins[0]
            path = (InsideOf(op.name, op.type, meeting.blocks[1].word, turn + 1 if loop else None),)
            decided = _decides(found, first, bench, op)
            if decided is not None:
                return Inside(path, first, found.alignment, decided)
            deeper = _inside(found, first, files, limits, depth - 1)
            if deeper:
                cause = _outside(deeper.cause, bench, op)
                return replace(deeper, path=(*path, *deeper.path), cause=cause)
            return Inside(path, first, found.alignment, _cause(found, bench, op))
        turn += 1
        if not loop or not meeting.turn(engines, graphs, feeds, turn):
            return None
    return None


def _decides(found: Run, first: Step, bench: Bench, op: Op) -> Cause | None:
    """The cause of an origin that runs a block itself, where what decides on the block is proven to err: then
    there is nothing to look for in it."""
    if _op_pair(found, first) is None:
        return None
    cause = _cause(found, bench, op)
    return cause if cause is not None and cause.proven and cause.kind in DECIDES else None


def _cause(found: Run, bench: Bench, op: Op) -> Cause | None:
    """The cause of the first origin inside, together with those of the others where all are proven."""
    causes = explain(found, seconds=CAUSE_SECONDS)
    known = [causes[step.segment] for step in found.origins if step.segment in causes]
    if not known:
        return None
    if len(known) > 1 and all(cause.proven for cause in known):
        edits = merged(edit for cause in known for edit in cause.edits)
        text = "; and ".join(cause.text.removesuffix(".") for cause in known)
        joined = _outside(replace(known[0], edits=edits, text=f"{text}."), bench, op)
        if joined is not None and joined.proven:
            return joined
    return _outside(known[0], bench, op)


def _outside(cause: Cause | None, bench: Bench, op: Op) -> Cause | None:
    """A cause that was proven in a block, as one of the op around it.

    It stays proven where that op agrees with it: only then can it mend the file.
    """
    if cause is None or not cause.proven:
        return cause
    edits = tuple(replace(edit, inside=op.outputs[0]) for edit in cause.edits)
    return replace(cause, edits=edits, proven=bench.attempt(edits).agrees)


def _condition(op: Op) -> str:
    """The value that decides: a branch's first input, or a ``select_input``'s mask."""
    return op.inputs[op.slots.index("Mask")] if "Mask" in op.slots else op.inputs[0]


def _reference_tensors(run: Run, names: Sequence[str]) -> list[Tensor]:
    """Values of the reference, parameters included."""
    graph = run.probe.reference
    known = {
        name: run.probe.blocks.tensor(graph.parameters[name].load())
        for name in names
        if name in graph.parameters
    }
    known |= dict(run.reference([name for name in names if name not in known]))
    if missing := [name for name in names if name not in known]:
        raise SegdiffError(f"{missing[0]!r} could not be had")
    return [known[name] for name in names]


def _candidate_tensors(bench: Bench, block: Block) -> dict[str, Tensor]:
    """What the candidate's block is fed, by its own words: all of it made from the reference's tensors."""
    graph, blocks = bench.probe.graph, bench.probe.blocks
    words = [*block.captured, *block.carried]
    names = [*block.captured, *block.initial]
    known = {**bench.probe.feeds, **bench.feeds}
    made = [name for name in names if name not in known and name not in graph.parameters]
    known |= bench.run(list(dict.fromkeys(made))) if made else {}
    for name in names:
        if name in graph.parameters:
            known[name] = blocks.tensor(graph.parameters[name].load())
    found = {word: known[name] for word, name in zip(words, names, strict=True)}
    return found | _of_a_loop(block, blocks)


def _of_a_loop(block: Block, blocks: Blocks) -> dict[str, Tensor]:
    """What a loop tells its body, by the body's words: the number of the iteration, and that it goes on."""
    told = zip(block.told, (np.array(0, np.int64), np.array(True)), strict=True)
    return {word: blocks.tensor(array) for word, array in told if word}


def _scalar(run: Run, name: str) -> Any:
    """The number in a value of the reference."""
    return _reference_tensors(run, [name])[0].array.reshape(-1)[0]
