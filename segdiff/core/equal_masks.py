"""Is it the values alone that differ? Masks hide what does not change the largest class."""

from __future__ import annotations

from segdiff.core.answer import Report
from segdiff.core.thresholds import CROSSING


def masks_alone_equal(report: Report) -> bool:
    """Whether an operator errs, an output departs visibly, and yet no pixel of a mask changes its class."""
    masks = [output for output in report.outputs if output.mask_changed is not None]
    visible = any(CROSSING.crossed(output.cumulative) for output in masks if output.cumulative)
    return "network" in report.homes and visible and not any(output.mask_changed for output in masks)
