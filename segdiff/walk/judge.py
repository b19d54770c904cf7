"""When is an isolated error a fault, and when is it rounding?

A fixed threshold cannot tell: a saturated softmax turns the last bit of its input into 4e-5, a batch norm
whose epsilon is wrong may change its output by 4e-6. So each segment is asked for its own rounding: it runs
once more on the reference's inputs with the last bit of every element disturbed at random. An error that is
many times what this disturbance does is not rounding. Only segments above a few roundings of float32 are
asked, so a healthy model pays for a few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segdiff.core.graph import Array
from segdiff.core.metrics import Comparison
from segdiff.core.thresholds import Thresholds

EPSILON = 2.0**-24
"""Relative rounding error of one float32 operation."""

NOISE_FACTOR = 24.0
"""How many times its own rounding a segment may err. See docs/thresholds.md for the measurement."""

TIE_FACTOR = 4.0
"""Likewise for integers (argmax, TopK): the share of elements that change, against the share that the
disturbance changes."""


Kind = Literal[
    "equal", "bounded", "rounding", "tie", "within", "crossed", "mismatch", "differs", "choice", "fault"
]
"""Why an error is none: ``equal`` to rounding, also of a function ``bounded`` by one; within the segment's
own ``rounding``; a ``tie`` of equal elements; ``within`` the user's thresholds. Or why it is one: ``crossed``
those; a ``mismatch`` of shapes or of what is not finite; ``differs`` though nothing could be disturbed; a
``choice`` of other elements; a ``fault`` of so many ``times`` the segment's rounding."""

FAULTS = frozenset({"crossed", "mismatch", "differs", "choice", "fault"})


@dataclass(frozen=True)
class Judgement:
    """What an isolated error is, by its ``kind``; ``noise`` is the segment's own rounding if measured.

    ``times`` says how many times that rounding a ``fault`` is; ``detail`` what a ``mismatch`` consists of.
    """

    kind: Kind
    noise: Comparison | None = None
    times: float | None = None
    detail: str | None = None

    @property
    def fault(self) -> bool:
        """Whether the segment errs."""
        return self.kind in FAULTS


def judge(
    comparison: Comparison,
    thresholds: Thresholds,
    disturb: Callable[[], Comparison | None],
    *,
    bounded: bool,
    roundings: float = 0.0,
) -> Judgement:
    """Judge one isolated error.

    ``disturb`` runs the segment on disturbed inputs and compares with the undisturbed run (None where it
    cannot). ``bounded`` says that the segment computes a function bounded by one (see
    ``segdiff.align.kinds.BOUNDED``), whose implementations agree to some ulp of one; ``roundings`` is how
    many float32 roundings it may differ by because it adds in another order (``segdiff.walk.rounding``).
    """
    if comparison.mismatch:
        return Judgement("mismatch", detail=comparison.mismatch)
    if thresholds.given:
        return Judgement("crossed" if thresholds.crossed(comparison) else "within")
    metrics = comparison.metrics
    least = EPSILON * max(1.0, roundings / NOISE_FACTOR)
    if max(metrics.rel_l2, metrics.max_rel) <= NOISE_FACTOR * least:
        return Judgement("equal")
    if bounded and metrics.max_abs <= NOISE_FACTOR * EPSILON:
        return Judgement("bounded")
    noise = disturb()
    if noise is None or noise.mismatch:
        return Judgement("differs", noise)
    if comparison.discrete:
        tied = comparison.changed <= TIE_FACTOR * noise.changed
        return Judgement("tie" if tied else "choice", noise)
    allowed_l2 = NOISE_FACTOR * max(noise.metrics.rel_l2, least)
    allowed_max = NOISE_FACTOR * max(noise.metrics.max_abs, least * comparison.scale)
    if metrics.rel_l2 <= allowed_l2 and metrics.max_abs <= allowed_max:
        return Judgement("rounding", noise)
    times = max(ratio(metrics.rel_l2, allowed_l2), ratio(metrics.max_abs, allowed_max)) * NOISE_FACTOR
    return Judgement("fault", noise, float(times))


def ratio(error: float, allowed: float) -> float:
    """How many times as large; nothing is allowed where the reference is all zero, and nothing moves it."""
    return error / allowed if allowed else np.inf * error if error else 0.0


PATTERN = 65521
"""Length of the random pattern of the disturbance: a prime, so that no axis repeats it in step."""


def disturbed(array: Array, seed: int) -> Array:
    """A copy with the last bit of every float disturbed at random: times ``1 ± 2**-23``."""
    if array.dtype.kind != "f" or array.size == 0:
        return array
    signs = np.random.default_rng(seed).integers(0, 2, min(PATTERN, array.size)) * 2 - 1
    factors = (1 + 2 * EPSILON * signs).astype(array.dtype)
    flat, out = array.reshape(-1), np.empty(array.size, array.dtype)
    for start in range(0, array.size, PATTERN):
        stop = min(start + PATTERN, array.size)
        np.multiply(flat[start:stop], factors[: stop - start], out=out[start:stop])
    return out.reshape(array.shape)
