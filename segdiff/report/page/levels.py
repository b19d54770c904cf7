"""Which shade has an error? Nine of them, a decade each, from rounding to what is no number."""

from __future__ import annotations

import math

from segdiff.core.metrics import Comparison

FIRST = 1e-7
"""Errors up to here have the palest shade: a float32's last bit."""

LAST = 8
"""The shade of an error of 1 and more, and of one that is no number."""


def level(error: float) -> int:
    """0 to ``LAST``.

    >>> [level(error) for error in (0.0, 1e-7, 2e-7, 3e-3, 0.5, 1.0, float("nan"))]
    [0, 0, 1, 5, 7, 8, 8]
    """
    if math.isnan(error) or error >= 1:
        return LAST
    return 0 if error <= FIRST else int(math.log10(error / FIRST)) + 1


def level_of(comparison: Comparison | None) -> int | None:
    """The shade of a comparison's relative error; None where nothing was measured.

    Integers, which pick elements, have the share that differs.
    """
    if comparison is None:
        return None
    return LAST if comparison.mismatch else level(error_of(comparison))


def error_of(comparison: Comparison) -> float:
    """The relative error; of integers the share of elements that differ."""
    return comparison.changed if comparison.discrete else comparison.metrics.rel_l2
