"""When is an isolated error a fault, and when is it rounding?

A fixed threshold cannot tell: a saturated softmax turns the last bit of its input into 4e-5, a batch norm
whose epsilon is wrong may change its output by 4e-6. So each segment is asked for its own rounding: it runs
once more on the reference's inputs with the last bit of every element disturbed at random. An error that is
many times what this disturbance does is not rounding. Only segments above a few roundings are asked, so a
healthy model pays for a few. The last bit is that of the coarsest type that the segment computes in, or keeps
its parameters in (:mod:`segdiff.core.precision`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segdiff.core.metrics import Comparison
from segdiff.core.precision import EPSILON, STEP
from segdiff.core.thresholds import Thresholds

NOISE_FACTOR = 24.0
"""How many times its own rounding a segment may err. See docs/thresholds.md for the measurement."""

STORED_FACTOR = 4.0
"""The same where a type coarser than float32 is stored. The sums are made in float32, so a value is rounded
once and does not drift: a healthy segment errs by 2.4 units at the most, an element by 4.6 (docs)."""

STEP_FACTOR = 2.0
"""The same where a tensor is quantised. Each step is disturbed where it is made, by twice what a rounding
does: a healthy segment errs by 0.63 times that at the most (docs)."""

TIE_FACTOR = 4.0
"""Likewise for integers (argmax, TopK): the share of elements that change, against the share that the
disturbance changes."""


COARSE = 0.1
"""Relative error that no rounding excuses by itself, unless it is not much more than that rounding."""

SHARED_SCALE = 0.3
"""Relative error from which one scale for all of a weight is no excuse where one for each channel errs far
less. Measured on PP-OCRv4: 0.63, 0.58, 0.36 where channels differ by orders, 0.22 at the most elsewhere."""

UNMOVED = 0.5
"""Share of an error (of its square sum) that lies where no disturbance moves anything: then it is a fault."""


Kind = Literal[
    "equal",
    "same",
    "bounded",
    "rounding",
    "tie",
    "within",
    "unfed",
    "misread",
    "harmless",
    "unsure",
    "crossed",
    "mismatch",
    "differs",
    "choice",
    "scale",
    "fault",
]
"""Why an error is none: ``equal`` to rounding, also of a function ``bounded`` by one; the ``same`` operators
on both sides, which were not run; within the segment's own ``rounding``; a ``tie`` of equal elements;
``within`` the user's thresholds; ``unfed``, since the reference's inputs do not fit the candidate's type (who
makes them is to blame); right on what a ``misread`` tensor of a dump really holds; ``harmless``, since what
its type does not hold, or what hides scores by another large number, costs nothing in the end; ``unsure``,
since a large error is within a coarse rounding and no disturbance tells the two apart. Or why it is one:
``crossed`` those thresholds; a ``mismatch`` of shapes or of what is not finite; ``differs`` though nothing
could be disturbed; a ``choice`` of other elements; a ``scale`` that all channels of a weight share, and
without which the segment would round far less; a ``fault`` of so many ``times`` the segment's rounding."""

FAULTS = frozenset({"crossed", "mismatch", "differs", "choice", "scale", "fault"})


@dataclass(frozen=True)
class Judgement:
    """What an isolated error is, by its ``kind``; ``noise`` is the segment's own rounding if measured.

    ``times`` says how many times that rounding a ``fault`` is, or what is due to a ``scale``; ``detail`` what
    a ``mismatch`` consists of.
    """

    kind: Kind
    noise: Comparison | None = None
    times: float | None = None
    detail: str | None = None

    @property
    def fault(self) -> bool:
        """Whether the segment errs."""
        return self.kind in FAULTS

    @property
    def right(self) -> bool:
        """Whether the segment is known not to err."""
        return self.kind not in FAULTS | {"unsure"}


def judge(
    comparison: Comparison,
    thresholds: Thresholds,
    disturb: Callable[[], Comparison | None],
    *,
    bounded: bool,
    roundings: float = 0.0,
    unit: float = EPSILON,
    unmoved: Callable[[], float] = lambda: 0.0,
    finest: Callable[[], Comparison | None] = lambda: None,
) -> Judgement:
    """Judge one isolated error.

    ``disturb`` runs the segment on disturbed inputs and compares with the undisturbed run (None where it
    cannot). ``bounded`` says that the segment computes a function bounded by one (see
    ``segdiff.align.kinds.BOUNDED``), whose implementations agree to some ulp of one; ``roundings`` is how
    many float32 roundings it may differ by because it adds in another order (``segdiff.walk.rounding``);
    ``unit`` is one rounding of the coarsest type that it is stored in. ``unmoved`` measures which share of
    the error lies where no disturbance moves anything; of integers, where none reaches the reference's.
    ``finest`` disturbs as ``disturb`` does, but weights of one scale by the steps of a scale for each channel
    (None where there are no such weights).

    >>> from segdiff.core.metrics import compare_arrays
    >>> r = np.linspace(-1, 1, 1000, dtype=np.float32)
    >>> def disturbed() -> Comparison:  # what the last bits of the inputs do to this segment's output
    ...     return compare_arrays(r, r * np.float32(1 + 1e-6))
    >>> judge(compare_arrays(r, r * np.float32(1 + 5e-6)), Thresholds(), disturbed, bounded=False).kind
    'rounding'
    >>> found = judge(compare_arrays(r, r * np.float32(1.01)), Thresholds(), disturbed, bounded=False)
    >>> found.kind, found.fault
    ('fault', True)
    >>> judge(compare_arrays(r, r[:10]), Thresholds(), disturbed, bounded=False).kind
    'mismatch'
    """
    if comparison.mismatch:
        return Judgement("mismatch", detail=comparison.mismatch)
    if thresholds.given:
        return Judgement("crossed" if thresholds.crossed(comparison) else "within")
    metrics = comparison.metrics
    factor = factor_of(unit)
    least = max(unit, EPSILON * roundings / factor)
    if max(metrics.rel_l2, metrics.max_rel) <= factor * least:
        return Judgement("equal")
    if bounded and metrics.max_abs <= NOISE_FACTOR * EPSILON:
        return Judgement("bounded")
    noise = disturb()
    if noise is None or noise.mismatch:
        return Judgement("differs", noise)
    if comparison.discrete:
        if comparison.changed > TIE_FACTOR * noise.changed:
            return Judgement("choice", noise)
        if comparison.changed > COARSE and unmoved() >= UNMOVED:
            return Judgement("unsure", noise, detail=_unreached(comparison, noise))
        return Judgement("tie", noise)
    allowed_l2 = factor * max(noise.metrics.rel_l2, least)
    allowed_max = factor * max(noise.metrics.max_abs, least * comparison.scale)
    if metrics.rel_l2 <= allowed_l2 and metrics.max_abs <= allowed_max:
        least_noise = finest() if metrics.rel_l2 > SHARED_SCALE else None
        if least_noise is not None and not least_noise.mismatch:
            times = ratio(metrics.rel_l2, least_noise.metrics.rel_l2)
            if times > factor:
                return Judgement("scale", least_noise, float(times))
        if metrics.rel_l2 <= max(COARSE, TIE_FACTOR * noise.metrics.rel_l2):
            return Judgement("rounding", noise)
        if unmoved() < UNMOVED:
            return Judgement("unsure", noise, detail=_unsure(comparison, noise))
    times = max(ratio(metrics.rel_l2, allowed_l2), ratio(metrics.max_abs, allowed_max)) * factor
    return Judgement("fault", noise, float(times))


def _unsure(comparison: Comparison, noise: Comparison) -> str:
    return (
        f"it errs by {comparison.metrics.rel_l2:.2g} on equal inputs, and its own rounding is "
        f"{noise.metrics.rel_l2:.2g}: a fault cannot be told from rounding there"
    )


def _unreached(comparison: Comparison, noise: Comparison) -> str:
    return (
        f"{comparison.changed:.0%} of its elements are others on equal inputs, and the last bit of the inputs"
        f" changes {noise.changed:.0%}, but seldom to the reference's: a fault cannot be told from ties there"
    )


def factor_of(unit: float) -> float:
    """How many times its own rounding a segment of that unit may err."""
    return NOISE_FACTOR if unit <= EPSILON else STEP_FACTOR if unit == STEP else STORED_FACTOR


def floor_of(unit: float) -> float:
    """The error below which nothing more is asked."""
    return factor_of(unit) * unit


def size_of(comparison: Comparison) -> float:
    """An error as the floor has it: in norm and at its largest, relative; infinite for a mismatch."""
    if comparison.mismatch:
        return float("inf")
    return max(comparison.metrics.rel_l2, comparison.metrics.max_rel)


def ratio(error: float, allowed: float) -> float:
    """How many times as large; nothing is allowed where the reference is all zero, and nothing moves it.

    >>> ratio(3.0, 1.5), ratio(1.0, 0.0), ratio(0.0, 0.0)
    (2.0, inf, 0.0)
    """
    return error / allowed if allowed else np.inf * error if error else 0.0
