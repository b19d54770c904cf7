"""What does a segment do with some edits? A trial: the error that is left, and whether that is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segdiff.core.metrics import Comparison, Metrics


@dataclass(frozen=True)
class Trial:
    """What a segment does with some edits. ``agrees``: no output crosses the walk's own threshold.

    ``problem`` says why it could not run, else None; ``comparisons`` are by the candidate's value.
    """

    agrees: bool
    comparisons: Mapping[str, Comparison]
    problem: str | None = None

    @property
    def error(self) -> float:
        """The largest relative L2 error of an output; infinite where it did not run or has another shape."""
        if self.problem or any(c.mismatch for c in self.comparisons.values()):
            return float("inf")
        return max((_relative(c) for c in self.comparisons.values()), default=0.0)

    @property
    def worst(self) -> Metrics | None:
        """The metrics of the output that errs most."""
        found = sorted(self.comparisons.values(), key=lambda c: (c.mismatch is not None, _relative(c)))
        return found[-1].metrics if found else None


def _relative(comparison: Comparison) -> float:
    value = comparison.changed if comparison.discrete else comparison.metrics.rel_l2
    return float("inf") if np.isnan(value) else float(value)
