"""What did the errors do on the way? The walk as a curve on a log axis, as SVG paths and percentages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segdiff.core.answer import Report
from segdiff.core.metrics import Comparison
from segdiff.report.page.levels import error_of

LOWEST = -9
"""The decade at the foot of the curve; what is smaller, and zero, lies on it."""

HEIGHT = 1000
"""Units of the drawing's height, which is stretched to the page's."""

POINTS = 3000
"""Points of a line at most; of more pairs, one point has the largest of several."""


@dataclass(frozen=True)
class Decade:
    """A line across the curve, so many percent from the top."""

    at: float
    text: str


@dataclass(frozen=True)
class Cliff:
    """An origin on the curve: percent from the left and from the top, its number and its pair (from 0)."""

    x: float
    y: float
    number: int
    pair: int


@dataclass(frozen=True)
class Curve:
    """``cumulative`` is a line, ``isolated`` dots, ``rounding`` an area, each an SVG path in a box of
    ``count`` x ``HEIGHT``; ``top`` is the decade at its upper edge."""

    count: int
    top: int
    cumulative: str
    isolated: str
    rounding: str
    decades: tuple[Decade, ...]
    cliffs: tuple[Cliff, ...]


def curve_of(report: Report) -> Curve | None:
    """The curve; None where no pair was measured."""
    pairs = report.pairs
    alone = [_error(pair.isolated) for pair in pairs]
    together = [_error(pair.cumulative) for pair in pairs]
    if not any(value is not None for value in (*alone, *together)):
        return None
    finite = [v for v in (*alone, *together) if v is not None and math.isfinite(v) and v > 0]
    top = max(0, min(6, math.ceil(math.log10(max(finite, default=1.0)))))
    own = [_error(pair.noise) for pair in pairs]
    place = {(pair.reference, pair.candidate): i for i, pair in reversed(list(enumerate(pairs)))}
    cliffs = []
    for number, origin in enumerate(report.origins, 1):
        at = place.get((origin.pair.reference, origin.pair.candidate))
        if at is not None and not origin.runtime:
            y = height(_error(origin.pair.isolated), top) / HEIGHT * 100
            cliffs.append(Cliff(round((at + 0.5) / len(pairs) * 100, 3), round(y, 2), number, at))
    return Curve(
        len(pairs),
        top,
        _line(together, top),
        "".join(f"M{x:g} {height(v, top):g}h0" for x, v in _points(alone)),
        "".join(f"M{i} {height(v, top):g}H{i + 1}V{HEIGHT}H{i}Z" for i, v in enumerate(own) if v is not None),
        tuple(
            Decade(round((top - decade) / (top - LOWEST) * 100, 3), f"1e{decade}" if decade else "1")
            for decade in range(top, LOWEST, -2 if top % 2 == 0 else -1)
            if decade % 2 == 0
        ),
        tuple(cliffs),
    )


def height(error: float | None, top: int) -> int:
    """Units from the top at which an error stands.

    >>> height(1.0, 0), height(0.0, 0), height(float("inf"), 0), height(1e-3, 0)
    (0, 1000, 0, 333)
    """
    if error is None or error <= 10.0**LOWEST:
        return HEIGHT
    if not math.isfinite(error):
        return 0
    return round(max(0.0, (top - math.log10(error)) / (top - LOWEST)) * HEIGHT)


def _error(comparison: Comparison | None) -> float | None:
    if comparison is None:
        return None
    error = math.inf if comparison.mismatch else error_of(comparison)
    return math.inf if math.isnan(error) else error


def _points(values: Sequence[float | None]) -> Iterable[tuple[float, float]]:
    """The values with the middle of what each stands for; of many, the largest of every few. Where both sides
    are equal to the last bit nothing is drawn."""
    size = max(1, -(-len(values) // POINTS))
    for start in range(0, len(values), size):
        known = [value for value in values[start : start + size] if value]
        if known:
            yield start + size / 2, max(known)


def _line(values: Sequence[float | None], top: int) -> str:
    points = [f"{x:g} {height(value, top):g}" for x, value in _points(values)]
    return f"M{'L'.join(points)}" if points else ""
