"""What does half precision change in the end? Errors of outputs and masks, added up over images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from segdiff.core.graph import Array
from segdiff.core.half import Cost
from segdiff.score.output import argmax

THRESHOLD = 0.5
"""Where a map of one channel within 0 and 1 is a mask of two classes: above it is the second one."""

CHUNK = 1 << 20
"""Elements that are compared at a time: a copy of a large output is never made."""


class Held(Protocol):
    """A tensor, wherever it lies."""

    @property
    def array(self) -> Array:
        """Its numbers."""


@dataclass(frozen=True)
class Difference:
    """One output against the plain one: sums of squares, the largest difference, pixels of the mask (0 where
    it is no map of classes), and numbers that are no longer finite."""

    error: float
    size: float
    max_abs: float
    changed: int = 0
    pixels: int = 0
    lost: int = 0

    @property
    def relative(self) -> float:
        """The relative error; what is not finite counts as if nothing were left of it."""
        if not self.size:
            return 0.0 if not self.error else 1.0
        return math.sqrt(self.error / self.size)


def difference(plain: Array, found: Array, threshold: float = THRESHOLD) -> Difference:
    """How an output departs from the plain one, of the same shape.

    >>> difference(np.array([3.0, 4.0]), np.array([3.0, 5.0])).relative
    0.2
    """
    a, b = plain.reshape(-1), found.reshape(-1)
    error = size = largest = 0.0
    lost = 0
    for start in range(0, a.size, CHUNK):
        ours = a[start : start + CHUNK].astype(np.float64)
        theirs = b[start : start + CHUNK].astype(np.float64)
        broken = ~np.isfinite(theirs) & np.isfinite(ours)
        lost += int(np.count_nonzero(broken))
        theirs[~np.isfinite(theirs)] = 0.0
        ours[~np.isfinite(ours)] = 0.0
        size += float(ours @ ours)
        ours -= theirs
        error += float(ours @ ours)
        largest = max(largest, float(np.abs(ours).max(initial=0.0)))
    classes = mask_of(plain, plain, threshold)
    if classes is None:
        return Difference(error, size, largest, lost=lost)
    others = mask_of(found, plain, threshold)
    changed = int(np.count_nonzero(classes != others))
    return Difference(error, size, largest, changed, classes.size, lost)


def mask_of(array: Array, plain: Array, threshold: float) -> Array | None:
    """The classes of an output; None where it is no map of classes.

    Integers are classes already, of ``(N, C, H, W)`` the largest of C is taken, and a map of one channel
    whose plain values lie within 0 and 1 is cut at the threshold.
    """
    if not plain.size or plain.ndim < 3:
        return None
    if plain.dtype.kind in "iu":
        return array
    if plain.ndim != 4:
        return None
    if plain.shape[1] > 1:
        return np.stack([argmax(iter(image)) for image in array])  # plane by plane: no copy of the whole
    within = float(plain.min()) >= 0 and float(plain.max()) <= 1
    return np.asarray(array > threshold) if within else None


@dataclass
class Tally:
    """Differences of each output, added up over images."""

    outputs: dict[str, Difference] = field(default_factory=dict)
    images: int = 0

    def add(self, found: Mapping[str, Difference]) -> None:
        """One more image."""
        self.images += 1
        for name, new in found.items():
            old = self.outputs.get(name, Difference(0.0, 0.0, 0.0))
            self.outputs[name] = Difference(
                old.error + new.error,
                old.size + new.size,
                max(old.max_abs, new.max_abs),
                old.changed + new.changed,
                old.pixels + new.pixels,
                old.lost + new.lost,
            )

    def cost(self, miou_points: float | None = None) -> Cost:
        """What it comes to: the output that errs most, the mask that changes most.

        An output that is no longer finite somewhere has an infinite ``max_abs``.
        """
        found = list(self.outputs.values())
        masks = [each.changed / each.pixels for each in found if each.pixels]
        errors = [each.relative for each in found] or [0.0]
        largest = [math.inf if each.lost else each.max_abs for each in found] or [0.0]
        return Cost(max(errors), max(largest), max(masks, default=None), miou_points)


def differences(
    plain: Mapping[str, Held], found: Mapping[str, Held], threshold: float = THRESHOLD
) -> dict[str, Difference]:
    """Each output against the plain one, by its name. One of another shape has lost everything."""
    made = {}
    for name, tensor in plain.items():
        ours, theirs = tensor.array, found[name].array
        if ours.shape != theirs.shape:
            theirs = np.full(ours.shape, np.nan, np.float32)
        made[name] = difference(ours, theirs, threshold)
    return made


def squared(found: Mapping[str, Difference]) -> float:
    """The squared relative error of all float outputs together, by which shares are counted."""
    return float(sum(each.relative**2 for each in found.values()))
