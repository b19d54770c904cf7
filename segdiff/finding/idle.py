"""Which origins cost nothing in the end, and are none by their own measure?

One scale for all channels rounds like any other. What a type does not hold is lost for good, but where
nothing reads it the outputs err as by any rounding. And what hides scores from a softmax may be any large
number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from segdiff.align import Segment
from segdiff.core.answer import Cause
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array
from segdiff.core.metrics import compare_arrays
from segdiff.walk import Run, Step, ends_of
from segdiff.walk.judge import STORED_FACTOR, Judgement, Kind, floor_of, size_of
from segdiff.walk.steps import PairResult

WORSE = 0.02
"""Share of the final error by which a change may let it grow, or lessen it for nothing: rounding takes
another way then."""

LIMITS = frozenset({"precision.overflow", "precision.underflow", "precision.clipped"})
"""Causes that are limits of a type, and no operator's fault: they count by what they cost in the end."""

HIDING = -1e3
"""From here down a number in front of a softmax is as good as minus infinity: exp(-1000) is zero, also where
the scores it is added to are large. Files have -1e4 (made by float16 tools), -1e9, -3.4e38, -inf."""


def tolerable(run: Run, step: Step, cause: Cause | None, removed: float) -> float | None:
    """How many times what is left without it a final error may be that a segment brings, for it to cost
    nothing; None where it has to be right, whatever it costs.

    ``removed`` is the share of the final error that goes with it: where that is much, no tensor is looked at.
    """
    if only_shares_a_scale(step):
        return 1.0
    if cause is not None and cause.proven and cause.kind in LIMITS:
        return STORED_FACTOR
    return 1.0 if removed <= WORSE and hides_otherwise(run, step) else None


def only_shares_a_scale(step: Step) -> bool:
    """Whether all that a segment does wrong is to round with one scale for all channels of a weight."""
    found = {pair.judgement.kind for pair in step.pairs if pair.judgement and pair.judgement.fault}
    return found == {"scale"}


def hides_otherwise(run: Run, step: Step) -> bool:
    """Whether a segment differs only where both sides have a number that hides what it stands for."""
    try:
        bench = run.probe.bench(step.segment, dict(run.reference(ends_of(step))))
        got = bench.run([c for _, c in step.segment.outputs])
    except EngineError:
        return False
    floor = floor_of(run.probe.unit(step.segment))
    return bool(bench.truth) and all(
        equal_but_hidden(truth.array, got[c].array, floor) for c, truth in bench.truth.items()
    )


def equal_but_hidden(truth: Array, got: Array, floor: float) -> bool:
    """Whether two arrays are equal up to ``floor`` where not both are at :data:`HIDING` or below.

    >>> truth, got = np.array([1.0, -np.inf, -1e9]), np.array([1.0, -1e9, -np.inf])
    >>> equal_but_hidden(truth, got, 1e-6), equal_but_hidden(truth, -got, 1e-6)
    (True, False)
    """
    if truth.shape != got.shape or truth.dtype.kind != "f" or got.dtype.kind != "f":
        return False
    hidden = (truth <= HIDING) & (got <= HIDING)
    if not hidden.any():
        return False
    return size_of(compare_arrays(np.where(hidden, 0, truth), np.where(hidden, 0, got))) <= floor


def without_idle(
    run: Run, causes: Mapping[Segment, Cause], idle: frozenset[Segment], reasons: list[str]
) -> Run:
    """The run in which what costs nothing in the end is what it is by its own measure: rounding, or harmless.

    What was found of it is told in ``reasons``.
    """
    if not idle:
        return run
    reasons += [told(step, causes.get(step.segment)) for step in run.walk.steps if step.segment in idle]
    ends = {pair for segment in idle for pair in segment.outputs}
    steps = tuple(
        replace(step, pairs=tuple(_idle(step, pair) for pair in step.pairs))
        if step.segment in idle
        else _fed(run, step)
        if ends & set(step.segment.inputs)
        else step
        for step in run.walk.steps
    )
    return replace(run, walk=replace(run.walk, steps=steps))


def told(step: Step, cause: Cause | None) -> str:
    """What an idle origin does, and that it costs nothing."""
    pair = next(pair for pair in step.pairs if pair.judgement and pair.judgement.fault)
    if only_shares_a_scale(step):
        error = pair.isolated.metrics.rel_l2 if pair.isolated else float("nan")
        return (
            f"{pair.candidate!r} errs by {error:.2g} on equal inputs, since all channels of a weight share "
            "one scale; a scale for each channel brings the outputs no nearer here."
        )
    if cause is not None and cause.kind in LIMITS:
        text = cause.text.rstrip(".")
        return f"{pair.candidate!r}: {text}; but the outputs err no more for it here than by its rounding."
    return (
        f"{pair.candidate!r} hides scores by another large number than the reference; "
        "the outputs are as near as without that."
    )


def _fed(run: Run, step: Step) -> Step:
    """A step that reads what its type does not hold, judged on the nearest that it does hold."""
    unfed = [pair for pair in step.pairs if pair.judgement is not None and pair.judgement.kind == "unfed"]
    try:
        if (
            not unfed
            or not run.probe.bench(step.segment, dict(run.reference(ends_of(step)))).attempt().agrees
        ):
            return step
    except EngineError:
        return step  # then it stays what could not be judged
    pairs = (replace(pair, judgement=Judgement("rounding")) if pair in unfed else pair for pair in step.pairs)
    return replace(step, pairs=tuple(pairs))


def _idle(step: Step, pair: PairResult) -> PairResult:
    if pair.judgement is None or not pair.judgement.fault:
        return pair
    kind: Kind = "rounding" if only_shares_a_scale(step) else "harmless"
    return replace(pair, judgement=Judgement(kind, pair.judgement.noise))
