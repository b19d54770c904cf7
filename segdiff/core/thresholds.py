"""From which error on does a user want to hear of it? By thresholds of their own, or where it is visible."""

from __future__ import annotations

from dataclasses import dataclass

from segdiff.core.metrics import Comparison


@dataclass(frozen=True)
class Thresholds:
    """What the user asks for; None leaves it to the measured rounding of each segment.

    A segment is an origin when its isolated error crosses any threshold that is set. ``cosine`` is a lower
    bound, ``abs_error`` bounds ``max_abs``, ``rel_l2`` bounds ``rel_l2``.
    """

    cosine: float | None = None
    abs_error: float | None = None
    rel_l2: float | None = None

    @property
    def given(self) -> bool:
        """Whether the user set any."""
        return any(bound is not None for bound in (self.cosine, self.abs_error, self.rel_l2))

    def crossed(self, comparison: Comparison) -> bool:
        """Whether an error crosses a threshold that is set."""
        metrics = comparison.metrics
        return (
            (self.cosine is not None and metrics.cosine < self.cosine)
            or (self.abs_error is not None and metrics.max_abs > self.abs_error)
            or (self.rel_l2 is not None and metrics.rel_l2 > self.rel_l2)
        )


VISIBLE_UNITS = 200.0
"""The same of a file that computes more coarsely than float32, in units of its type: 10% in float16."""


def crossing(unit: float) -> Thresholds:
    """From which cumulative error on a user sees a difference, in a model that rounds by that unit."""
    coarse = VISIBLE_UNITS * unit
    return Thresholds(rel_l2=coarse) if coarse > (CROSSING.rel_l2 or 0.0) else CROSSING


CROSSING = Thresholds(cosine=0.999, rel_l2=1e-2)
"""Cumulative error from which a user sees a difference, where no threshold is set: 1% of the tensor."""


def crosses(thresholds: Thresholds, cumulative: Comparison | None) -> bool:
    """Whether a cumulative error is one that the user would see; picking other elements is not one yet."""
    if cumulative is None:
        return False
    bounds = thresholds if thresholds.given else CROSSING
    return cumulative.mismatch is not None or bounds.crossed(cumulative)
