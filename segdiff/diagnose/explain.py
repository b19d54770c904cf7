"""Which cause has each origin? The largest errors first, until the time is up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from segdiff.align import Alignment, Segment
from segdiff.diagnose import families  # noqa: F401  (the families register themselves)
from segdiff.diagnose.case import Case, Form
from segdiff.diagnose.hypothesis import hypotheses
from segdiff.diagnose.search import Tested, search
from segdiff.diagnose.where import statistics, where
from segdiff.engines import Tensor
from segdiff.errors import EngineError
from segdiff.result import Cause
from segdiff.walk import Lockstep, Step
from segdiff.walk.trial import Bench, Trial

SECONDS = 60.0
"""For the diagnosis of all origins; one alone gets at most a third."""

SHARE = 3

Runner = Callable[[Iterable[str]], Iterator[tuple[str, Tensor]]]


def explain(
    alignment: Alignment,
    steps: Iterable[Step],
    lockstep: Lockstep,
    run: Runner,
    progress: Callable[[int], None] = lambda done: None,
    *,
    seconds: float = SECONDS,
) -> dict[Segment, Cause]:
    """The cause of every origin among ``steps``; one that could not be looked at in time is missing.

    ``run`` gives the reference's tensors once more.
    """
    end = time.monotonic() + seconds
    causes: dict[Segment, Cause] = {}
    for number, step in enumerate(by_size(steps)):
        left = end - time.monotonic()
        if left <= 0:
            break
        try:
            causes[step.segment] = _explain(alignment, step, lockstep, run, min(left, seconds / SHARE))
        except EngineError:
            continue  # the finding stands, its cause is not known
        progress(number + 1)
    return causes


def by_size(steps: Iterable[Step]) -> list[Step]:
    """The first origin, then the others by their isolated error."""
    origins = [step for step in steps if step.is_origin]
    return origins[:1] + sorted(origins[1:], key=_error, reverse=True)


def _error(step: Step) -> float:
    found = [pair.isolated for pair in step.pairs if pair.isolated]
    values = [float("inf") if c.mismatch else c.metrics.rel_l2 for c in found]
    return max((math.inf if math.isnan(value) else value for value in values), default=0.0)


def tensors_of(step: Step) -> set[str]:
    """The reference's values that the diagnosis of an origin needs."""
    return {r for r, _ in (*step.segment.inputs, *step.segment.outputs) if r}


def _explain(alignment: Alignment, step: Step, lockstep: Lockstep, run: Runner, seconds: float) -> Cause:
    tensors = dict(run(tensors_of(step)))
    feeds = {c: lockstep.fitting(c, tensors[r]) for r, c in step.segment.inputs if r in tensors}
    truth = {c: tensors[r] for r, c in step.segment.outputs if r in tensors}
    bench = Bench(lockstep, step.segment, feeds, truth)
    before = bench.attempt()
    case, got = _case(alignment, bench)
    found = search(hypotheses(case), bench.attempt, before, seconds)
    return _cause(found, before) if found else _unknown(truth, got)


def _case(alignment: Alignment, bench: Bench) -> tuple[Case, Mapping[str, Tensor]]:
    """The case, and the tensors that the segment makes of the reference's."""
    ours, theirs = alignment.reference.graph, alignment.candidate.graph
    segment = bench.segment
    nodes = tuple(theirs.op(index) for index in segment.nodes)
    ends = [c for _, c in segment.outputs]
    inner = [name for op in nodes for name in op.outputs if name in theirs.consumers or name in ends]
    got = bench.lockstep.candidate.run(bench.feeds, inner, segment.nodes)
    forms: dict[str, Form] = {
        name: (str(tensor.array.dtype), tensor.array.shape) for name, tensor in {**bench.feeds, **got}.items()
    }
    return Case(
        reference=ours,
        candidate=theirs,
        reference_ops=tuple(ours.op(index) for index in segment.reference_ops),
        ops=tuple(theirs.op(index) for index in segment.ops),
        nodes=nodes,
        inputs=segment.inputs,
        outputs=segment.outputs,
        feeds={name: tensor.array for name, tensor in bench.feeds.items()},
        truth={name: tensor.array for name, tensor in bench.truth.items()},
        got={name: got[name].array for name in ends if name in got},
        forms=forms,
    ), got


def _cause(found: Tested, before: Trial) -> Cause:
    hypothesis, trial = found.hypothesis, found.trial
    return Cause(
        hypothesis.kind, f"{hypothesis.text}.", trial.agrees, trial.worst, before.worst, hypothesis.edits
    )


def _unknown(truth: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> Cause:
    ours, theirs = next((truth[name].array, got[name].array) for name in truth if name in got)
    text = (
        f"No cause that segdiff knows fits. The difference is {where(ours, theirs)}. "
        f"The reference has {statistics(ours)}; the candidate {statistics(theirs)}."
    )
    return Cause("unknown", text, False)
