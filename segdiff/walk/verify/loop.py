"""Round after round: origins are grouped, their regions run again, wrong pairs mended and walked anew."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

from segdiff.align import cut
from segdiff.core.errors import EngineError
from segdiff.walk.run import Run
from segdiff.walk.steps import Walk
from segdiff.walk.verify.misfits import drop_misfits
from segdiff.walk.verify.pairing import mend
from segdiff.walk.verify.regions import Region, key_of, regions_of
from segdiff.walk.verify.rewalk import rewalk

ROUNDS = 8
"""How often a region may be cut anew: wrong pairs in a row are settled front to back. Three did not suffice
for a SegFormer as onnxruntime's optimiser writes it; the clock bounds what this costs."""


SECONDS = 30.0
"""For all proofs together: those of the converted models took a second or two."""


AHEAD = 16
"""Regions whose reference tensors come from one run. When each had one of its own, that was 64 of the 67 s
that the proofs of 84 wrong pairs in a U2Net took."""


def verify(run: Run, seconds: float = SECONDS) -> Run:
    """Put every origin to the proof; returns the run with alignment and walk as far as they were mended.

    Regions of origins run again on the reference's tensors, in the shape and dtype that the candidate has in
    their place; values that hold the same numbers become pairs, those that this refutes are dropped, and what
    was cut anew is walked again. A run without doubtful steps comes back as it is.

    Raises nothing that an engine does: a proof that failed leaves its origins as they were measured, and its
    reason stands in the walk's ``reasons``; where a process died of it, that is the walk's ``problem``, too.
    So do the origins whose turn does not come before ``seconds`` are up, or a multiple of what the walk took
    where that is more: they are ``unproven``.
    """
    seconds = run.walk.patience(seconds)
    end = time.monotonic() + seconds
    seen: set[tuple[tuple[str, str], ...]] = set()
    for _ in range(ROUNDS):
        regions = [r for r in regions_of(run) if r.wide]
        todo = [r for r in regions if key_of(r) not in seen]
        known = run.alignment
        pairs, evidence = dict(known.pairs), dict(known.evidence)
        drop_misfits(run, pairs, evidence)
        misses = due = 0
        for place, region in enumerate(todo if pairs == known.pairs else ()):
            if time.monotonic() > end:
                run = replace(run, walk=out_of_time(run.walk, todo[place:], seconds))
                break
            seen.add(key_of(region))
            if place >= due and not run.reference.at_hand(region.wanted):
                look_ahead(run, todo[place : place + AHEAD])
                misses = 0 if run.reference.at_hand(region.wanted) else misses + 1
                due = place + max(1, misses)  # one that is too large runs by itself, and so may the next
            trial = dict(pairs), dict(evidence)
            try:
                mend(region, run, *trial, end)
                pairs, evidence = trial
            except EngineError as error:  # the finding stands unconfirmed
                run = replace(run, walk=unproven(run.walk, region, error))
        run.reference.ahead(())
        if pairs == known.pairs:
            break
        segments = cut(known.reference, known.candidate, pairs)
        alignment = replace(known, pairs=pairs, evidence=evidence, segments=segments)
        walk = rewalk(run, segments)
        if walk.problem and not run.walk.problem:
            return replace(run, walk=replace(run.walk, problem=walk.problem))  # what was measured stands
        run = replace(run, alignment=alignment, walk=walk)
    return run


def look_ahead(run: Run, regions: list[Region]) -> None:
    """Have the reference's tensors of some regions at hand, as far as the memory allows."""
    wanted = [name for region in regions for name in region.wanted]
    with suppress(EngineError):  # then each region asks for itself, and tells why it could not
        run.reference.ahead(wanted)


def out_of_time(walk: Walk, left: list[Region], seconds: float) -> Walk:
    """The walk with the origins that nothing was tried on, and why."""
    steps = [s for region in left for s in region.steps if s.is_origin and s.segment not in walk.unproven]
    if not steps:
        return walk
    first = steps[0].segment.outputs[0][1]
    what = "1 origin was" if len(steps) == 1 else f"{len(steps)} origins were"
    reason = f"{what} not put to the proof, first {first!r}: the {seconds:g} s for all of them were up."
    segments = walk.unproven | {step.segment for step in steps}
    return replace(walk, unproven=segments, reasons=(*walk.reasons, reason))


def unproven(walk: Walk, region: Region, error: EngineError) -> Walk:
    """The walk with why a region could not be put to the proof; what agrees as a whole needs none."""
    if not any(step.is_origin or step.failed for step in region.steps) and not error.died:
        return walk
    first = region.steps[0].segment.outputs[0][1]
    reason = f"The origin at {first!r} could not be put to the proof: {error}"
    problem = walk.problem or (str(error) if error.died else None)
    left = walk.unproven | {step.segment for step in region.steps if step.is_origin}
    return replace(walk, problem=problem, reasons=(*walk.reasons, reason), unproven=left)
