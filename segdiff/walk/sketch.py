"""Could two tensors be one? A sketch of each, a few numbers long, says no at once where they could not.

The sketch is a sample of elements at fixed places. Two tensors that hold the same values in the same order
agree there too, so a sketch never parts what belongs together; unrelated tensors differ in nearly every
place.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segdiff.core.graph import Array
from segdiff.core.precision import EPSILON

SAMPLED = 64
"""Elements: of two unrelated tensors the chance that so many agree to a thousandth is nothing."""

SAME_MAX_REL = 1e-3
"""By how much of their largest element two tensors computed from the same inputs may differ, if they are one:
far above rounding (4e-5 at the most in measured segments), far below what unrelated tensors reach."""

SAME_UNITS = 32.0
"""The same in units of a type coarser than float32: 1.6% in float16; ten times that for a single element."""


@dataclass(frozen=True)
class Sketch:
    """How many elements a tensor has, its largest, and a sample of them in order."""

    size: int
    scale: float
    sample: tuple[float, ...]


def sketch_of(array: Array) -> Sketch:
    """The sketch of a tensor of any shape and dtype."""
    flat = array.reshape(-1)
    if not flat.size or flat.dtype.kind in "OUS":
        return Sketch(flat.size, 0.0, ())
    places = np.linspace(0, flat.size - 1, min(SAMPLED, flat.size)).astype(np.int64)
    with np.errstate(invalid="ignore"):
        scale = float(np.max(np.abs(flat), initial=0, where=np.isfinite(flat)))
    return Sketch(flat.size, scale, tuple(flat[places].astype(np.float64).tolist()))


def largest_error(unit: float) -> float:
    """By how much of its largest element a tensor may differ and be the same, with roundings of that unit."""
    return max(SAME_MAX_REL, 10 * SAME_UNITS * unit if unit > EPSILON else 0.0)


def could_be(ours: Sequence[Sketch], theirs: Sequence[Sketch], unit: float) -> Array:
    """Which of ``theirs`` could be which of ``ours``: ``(len(ours), len(theirs))``, bool.

    >>> import numpy as np
    >>> one, other = sketch_of(np.arange(6.0)), sketch_of(np.arange(6.0)[::-1])
    >>> could_be([one, other], [other], unit=2.0**-24)
    array([[False],
           [ True]])
    """
    found = np.zeros((len(ours), len(theirs)), bool)
    for size in {sketch.size for sketch in ours}:
        mine = [i for i, sketch in enumerate(ours) if sketch.size == size]
        other = [j for j, sketch in enumerate(theirs) if sketch.size == size]
        if not other:
            continue
        samples = np.array([theirs[j].sample for j in other])
        for i in mine:
            sample = np.array(ours[i].sample)
            with np.errstate(invalid="ignore"):
                near = np.abs(samples - sample) <= largest_error(unit) * ours[i].scale
            near |= (samples == sample) | (np.isnan(samples) & np.isnan(sample))
            found[i, other] = near.all(axis=1)
    return found


def digest_of(array: Array) -> int:
    """A checksum of an array's bytes."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
