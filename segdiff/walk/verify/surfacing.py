"""Is an error that a tensor's size hides seen further on? Then both places are judged as one.

A constant of 1e-8 that is lost from a softmax changes nothing that the norm of its tensor shows, and the
logarithm behind it errs by percents: both operators are right by themselves. No rounding does that. So where
the candidate's error grows all at once in an operator that is right on equal inputs, that operator is judged
together with those before it: the rounding of both is that of the last bit of what goes into the first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from segdiff.align import Segment, cut
from segdiff.core.errors import EngineError
from segdiff.walk.hidden import ABOVE, GROWS, VISIBLE
from segdiff.walk.run import Run
from segdiff.walk.steps import PairResult, Step, error_size
from segdiff.walk.verify.rewalk import rewalk

SEGMENTS = ABOVE
"""Segments above that are judged together with one at most."""

SECONDS = 10.0
"""For all of them: one takes what a segment takes."""


def surfaced(run: Run, seconds: float = SECONDS) -> Run:
    """The run with what hides an error and what shows it in one segment, where that errs. Never raises.

    A run with an origin comes back as it is: its error is explained.
    """
    end = time.monotonic() + run.walk.patience(seconds)
    if run.walk.problem or run.walk.diverges:
        return run
    for step in jumps(run):
        wider = run.alignment.pairs
        names = {pair.reference for pair in step.pairs}
        for _ in range(SEGMENTS):
            if time.monotonic() > end:
                return run
            above = inner_inputs(run, wider, names)
            if not above:
                break
            wider = {r: c for r, c in wider.items() if r not in above}
            found = judged_with(run, wider, step)
            if found is not None:
                return found
            names |= above
    return run


def jumps(run: Run) -> Iterator[Step]:
    """The steps that are right, and out of which comes far more error than goes in; the largest first."""
    errors = {p.reference: size(p) for step in run.walk.steps for p in step.pairs}
    found: list[tuple[float, Step]] = []
    for step in run.walk.steps:
        unit = run.probe.unit(step.segment)
        before = max([unit, *(errors.get(r, 0.0) for r, _ in step.segment.inputs)])
        after = max((size(pair) for pair in step.pairs), default=0.0)
        if after > VISIBLE * unit and after > GROWS * before:
            found.append((after, step))
    yield from (step for _, step in sorted(found, key=lambda each: -each[0]))


def size(pair: PairResult) -> float:
    """The relative error of a pair from the image; 0 where it has none that is a number."""
    return 0.0 if pair.cumulative is None else error_size(pair.cumulative)


def inner_inputs(run: Run, pairs: dict[str, str], names: set[str]) -> set[str]:
    """What goes into the segments that make some of the reference's values, but for the model's inputs."""
    segments = cut(run.alignment.reference, run.alignment.candidate, pairs)
    fixed = set(run.alignment.reference.graph.inputs) | {r for r, _ in run.outputs}
    read = {r for s in segments if makes(s, names) for r, _ in s.inputs if r}
    return read - fixed


def makes(segment: Segment, names: set[str]) -> bool:
    """Whether a segment ends in one of these values of the reference."""
    return any(r in names for r, _ in segment.outputs)


def judged_with(run: Run, pairs: dict[str, str], step: Step) -> Run | None:
    """The run with those pairs alone, where the step's output then errs; None where it does not."""
    known = run.alignment
    segments = cut(known.reference, known.candidate, pairs)
    evidence = {name: why for name, why in known.evidence.items() if name in pairs}
    alignment = replace(known, pairs=pairs, evidence=evidence, segments=segments)
    try:
        walk = rewalk(run, segments)
    except EngineError:
        return None
    ends = {(pair.reference, pair.candidate) for pair in step.pairs}
    errs = any(each.is_origin and ends & set(each.segment.outputs) for each in walk.steps)
    if walk.problem or not errs:
        return None
    run.reference.keep({r for each in walk.steps if each.is_origin for r, _ in each.segment.inputs if r})
    return replace(run, alignment=alignment, walk=walk)
