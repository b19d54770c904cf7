"""What do the segments do that a mended pair has cut anew? Only those are walked again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from segdiff.align import Segment
from segdiff.core.errors import EngineError
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.walk.run import Run
from segdiff.walk.sketch import digest_of
from segdiff.walk.steps import Step, Walk
from segdiff.walk.walker import walk_through

TOGETHER = 16
"""New pairs that are measured in one run of both models, so that few tensors are held at once."""


def rewalk(run: Run, segments: tuple[Segment, ...]) -> Walk:
    """Walk the segments that changed; the others keep their steps."""
    walk = run.walk
    known = {step.segment: step for step in walk.steps}
    changed = tuple(segment for segment in segments if segment not in known)
    wanted = {r for segment in changed for r, _ in (*segment.inputs, *segment.outputs) if r}
    fresh = walk_through(run.probe, run.reference(wanted), changed, {}, lambda done: None)
    measured = {step.segment: step for step in _with_cumulative(fresh.steps, run)}
    steps = tuple(known.get(segment) or measured[segment] for segment in segments)
    return replace(walk, steps=steps, problem=walk.problem or fresh.problem)


def _with_cumulative(steps: tuple[Step, ...], run: Run) -> list[Step]:
    """The steps with cumulative errors: those of the first walk, or from one more run where a pair is new; of
    a walk that has not looked at the candidate's own tensors there are none."""
    known = {(pair.reference, pair.candidate): pair for old in run.walk.steps for pair in old.pairs}
    missing = [(p.reference, p.candidate) for step in steps for p in step.pairs if p.cumulative is None]
    new = list(dict.fromkeys(pair for pair in missing if pair not in known and run.walk.own != "nowhere"))
    found: dict[tuple[str, str], Comparison] = {}
    problem: str | None = None
    try:
        for start in range(0, len(new), TOGETHER):
            found |= _cumulative(new[start : start + TOGETHER], run)
    except EngineError as error:
        problem = str(error)
    measured = []
    for step in steps:
        pairs = []
        for pair in step.pairs:
            key = pair.reference, pair.candidate
            if old := known.get(key):
                pair = replace(pair, cumulative=old.cumulative, mask_changed=old.mask_changed)
            elif key in found:
                pair = replace(pair, cumulative=found[key])
            pairs.append(pair)
        lacking = any((p.reference, p.candidate) in new and p.cumulative is None for p in pairs)
        measured.append(
            replace(step, pairs=tuple(pairs), problem=step.problem or (problem if lacking else None))
        )
    return measured


def _cumulative(pairs: list[tuple[str, str]], run: Run) -> dict[tuple[str, str], Comparison]:
    """The errors of some pairs in a run of both models. Raises EngineError."""
    ours = dict(run.reference([r for r, _ in pairs]))
    theirs = run.probe.candidate.run(run.probe.feeds, [c for _, c in pairs])
    both = [(r, c) for r, c in pairs if r in ours and c in theirs]
    return {(r, c): compare_arrays(ours[r].array, theirs[c].array) for r, c in both}


def repeats_itself(run: Run, told: Collection[Segment] = ()) -> list[str]:
    """The faulty pairs' reference values that come out differently on a second run; not of the segments whose
    cause is ``told``: a change that brings a segment to the reference's tensors has shown what they are.

    Raises EngineError.
    """
    steps = [step for step in run.walk.steps if step.segment not in told]
    digests = {p.reference: p.digest for s in steps for p in s.pairs if p.digest is not None}
    return [
        name for name, tensor in run.reference.repeated(digests) if digest_of(tensor.array) != digests[name]
    ]
