"""What do the segments do that a mended pair has cut anew? Only those are walked again."""

from __future__ import annotations

from dataclasses import replace

from segdiff.align import Segment
from segdiff.core.errors import EngineError
from segdiff.core.metrics import compare_arrays
from segdiff.engines import Tensor
from segdiff.walk.run import Run
from segdiff.walk.steps import Step, Walk
from segdiff.walk.walker import digest_of, walk_through


def rewalk(run: Run, segments: tuple[Segment, ...]) -> Walk:
    """Walk the segments that changed; the others keep their steps."""
    walk = run.walk
    known = {step.segment: step for step in walk.steps}
    changed = tuple(segment for segment in segments if segment not in known)
    wanted = {r for segment in changed for r, _ in (*segment.inputs, *segment.outputs) if r}
    fresh = walk_through(run.probe, run.reference(wanted), changed, {}, lambda done: None)
    measured = {step.segment: _with_cumulative(step, run) for step in fresh.steps}
    steps = tuple(known.get(segment) or measured[segment] for segment in segments)
    return replace(walk, steps=steps, problem=walk.problem or fresh.problem)


def _with_cumulative(step: Step, run: Run) -> Step:
    """Cumulative errors: as the first walk measured them, or from one more run where the pair is new."""
    known = {(pair.reference, pair.candidate): pair for old in run.walk.steps for pair in old.pairs}
    new = [pair for pair in step.pairs if pair.cumulative is None]
    new = [pair for pair in new if (pair.reference, pair.candidate) not in known]
    problem, probe = step.problem, run.probe
    ours: dict[str, Tensor] = {}
    theirs: dict[str, Tensor] = {}
    try:
        ours = dict(run.reference([pair.reference for pair in new])) if new else {}
        theirs = probe.candidate.run(probe.feeds, [p.candidate for p in new]) if new else {}
    except EngineError as error:
        problem = problem or str(error)
    pairs = []
    for pair in step.pairs:
        if old := known.get((pair.reference, pair.candidate)):
            pairs.append(replace(pair, cumulative=old.cumulative, mask_changed=old.mask_changed))
        elif pair in new and pair.reference in ours and pair.candidate in theirs:
            found = compare_arrays(ours[pair.reference].array, theirs[pair.candidate].array)
            pairs.append(replace(pair, cumulative=found))
        else:
            pairs.append(pair)
    return replace(step, pairs=tuple(pairs), problem=problem)


def repeats_itself(run: Run) -> list[str]:
    """The faulty pairs' reference values that come out differently on a second run."""
    digests = {p.reference: p.digest for s in run.walk.steps for p in s.pairs if p.digest is not None}
    return [name for name, tensor in run.reference(digests) if digest_of(tensor.array) != digests[name]]
