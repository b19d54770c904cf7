"""What need not run in a walk? A segment that holds the same operators on both sides, run by one runtime.

On equal inputs it gives equal bits, so its isolated error is nought by construction, and of the reference
only what other segments read or make, and the outputs, is shown. As soon as anything errs, or an output is
apart, the walk is made anew and every segment runs: then the bits decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from segdiff.align import Alignment, Segment
from segdiff.align.view import view_of
from segdiff.core.graph import Graph
from segdiff.core.metrics import EQUAL, Comparison
from segdiff.engines import Tensor
from segdiff.engines.dumped import DumpedReference
from segdiff.engines.session import Engines
from segdiff.walk.hidden import watched_together
from segdiff.walk.judge import Judgement
from segdiff.walk.probe import Probe
from segdiff.walk.same_ops import same_segments
from segdiff.walk.steps import Form, PairResult, Step, Walk, form_of, spoils
from segdiff.walk.walker import walk_through

ENOUGH = 1 / 3
"""The share of segments that must be the same. Where fewer are, little is saved when nothing errs, and a walk
that finds an origin is made twice."""

NOTHING: frozenset[Segment] = frozenset()


def need_not_run(engines: Engines, alignment: Alignment) -> frozenset[Segment]:
    """The segments that one runtime need not run, because both sides have the same operators there.

    One that might show an error which another hides runs if that other one does. Raises ModelError where a
    file can no longer be read.
    """
    if not one_runtime(engines):
        return NOTHING
    same = same_segments(alignment)
    for group in watched_together(alignment.candidate.graph, alignment.segments):
        if not group <= same:
            same -= group
    return same if same and len(same) >= ENOUGH * len(alignment.segments) else NOTHING


def one_runtime(engines: Engines) -> bool:
    """Whether the same engine, of the same versions, computes both sides."""
    if isinstance(engines.reference, DumpedReference):
        return False
    ours, theirs = engines.reference.engine, engines.candidate.engine
    return ours.row == theirs.row and ours.loaded is not None and ours.loaded == theirs.loaded


def walk_past(
    probe: Probe,
    reference: Iterator[tuple[str, Tensor]],
    segments: tuple[Segment, ...],
    same: frozenset[Segment],
    feeds: Mapping[str, Tensor],
    progress: Callable[[int], None],
) -> Walk:
    """Walk the segments, but for those that are the ``same``: these give the reference's values.

    The other arguments are those of :func:`segdiff.walk.walker.walk_through`. The walk ends where
    anything errs; so it says no more than that, or that nothing does.
    """
    partners = {r: c for segment in same for r, c in segment.outputs}
    outputs = frozenset(view_of(probe.graph).outputs)
    finals: dict[str, Tensor] = {}
    ours: dict[str, Form] = {name: form_of(tensor) for name, tensor in feeds.items()}

    def noted() -> Iterator[tuple[str, Tensor]]:
        for name, tensor in reference:
            ours[name] = form_of(tensor)
            if partners.get(name) in outputs:
                finals[name] = tensor
            yield name, tensor

    rest = tuple(segment for segment in segments if segment not in same)
    walk = walk_through(probe, noted(), rest, feeds, lambda done: progress(done + len(same)), "nowhere")
    if not rest:
        progress(len(segments))
    ran = {step.segment: step for step in walk.steps}
    steps = tuple(ran.get(segment) or taken(segment, probe.graph) for segment in segments)
    forms = {**walk.forms, **{c: ours[r] for r, c in partners.items() if r in ours}}
    leaps = walk.leaps or strange(probe.graph, same, ours, walk.forms)
    return replace(walk, steps=steps, forms=forms, finals={**walk.finals, **finals}, leaps=leaps)


def strange(
    graph: Graph, same: frozenset[Segment], ours: Mapping[str, Form], theirs: Mapping[str, Form]
) -> bool:
    """Whether the candidate has another form than the reference where a segment that was not run begins, or
    its file declares another type where one ends: then it may compute otherwise."""
    read = {pair for segment in same for pair in segment.inputs}
    made = {pair for segment in same for pair in segment.outputs}
    declared = {c: graph.value(c).dtype for r, c in made if r in ours}
    return any(r in ours and c in theirs and ours[r] != theirs[c] for r, c in read) or any(
        declared[c] not in (None, ours[r][0].name) for r, c in made if r in ours
    )


def taken(segment: Segment, graph: Graph) -> Step:
    """The step of a segment of the candidate that was not run."""
    return Step(segment, tuple(_taken(r, c, graph) for r, c in segment.outputs))


def _taken(r: str, c: str, graph: Graph) -> PairResult:
    """A pair that is equal by construction; its shape is what the file says, if that says all of it."""
    said = graph.value(c).shape or ()
    shape = tuple(length for length in said if length is not None)
    if len(shape) < len(said):
        shape = ()
    equal = Comparison(EQUAL, scale=math.nan, rms=math.nan, size=math.prod(shape))
    return PairResult(r, c, shape, None, equal, Judgement("same"))


def not_run(step: Step) -> bool:
    """Whether a segment was not run, for both sides have the same operators there."""
    return {pair.judgement.kind if pair.judgement else None for pair in step.pairs} == {"same"}


def with_earlier(walk: Walk, earlier: Walk) -> Walk:
    """A walk that was made anew, with what an earlier one has measured where this one did not get to."""
    if walk.problem is None:
        return walk
    ran = {step.segment: step for step in earlier.steps if not (not_run(step) or step.failed)}
    steps = tuple(ran.get(step.segment, step) if step.failed else step for step in walk.steps)
    forms = {**earlier.forms, **walk.forms}
    return replace(walk, steps=steps, forms=forms, own="from the first origin")


def spoiled(walk: Walk) -> bool:
    """Whether a walk in which segments were not run has found anything that another one, in which all run,
    must tell."""
    return walk.leaps or walk.problem is not None or any(map(spoils, walk.steps))
