"""Where in a tensor does the difference sit? At its border, in a channel, in every other row, everywhere."""

from __future__ import annotations

import numpy as np

from segdiff.core.graph import Array

COUNTS = 0.05
"""A slice takes part when its difference is above this share of the largest slice's."""

MOST = 0.95
"""The share of the squared difference that names a place."""


def where(reference: Array, candidate: Array) -> str:
    """One clause about the difference of two tensors of any shape, for a person.

    Raises nothing: tensors of another shape, empty ones and those with NaN have their own words.
    """
    if reference.shape != candidate.shape:
        return f"one of shape: {list(candidate.shape)} where the reference has {list(reference.shape)}"
    if reference.size == 0:
        return "in an empty tensor"
    square = np.square(np.subtract(candidate, reference, dtype=np.float64))
    if not np.isfinite(square).all():
        return "in values that are not finite"
    words = [_border(square), *(_axis(square, axis) for axis in range(square.ndim))]
    found = [word for word in words if word]
    share = float(np.mean(square > square.max() * COUNTS**2)) if square.max() else 0.0
    return "; ".join(found) if found else f"spread over the tensor ({share:.0%} of its elements take part)"


def statistics(array: Array) -> str:
    """Range, mean and standard deviation of the finite numbers of a tensor of any dtype, for a person."""
    numbers = np.asarray(array, np.float64).reshape(-1)
    finite = numbers[np.isfinite(numbers)]
    odd = f", and {numbers.size - finite.size} that are not finite" if finite.size < numbers.size else ""
    if finite.size == 0:
        return f"no number{odd}"
    low, high, mean, spread = finite.min(), finite.max(), finite.mean(), finite.std()
    return f"values from {low:.4g} to {high:.4g}, mean {mean:.4g}, standard deviation {spread:.4g}{odd}"


def _border(square: Array) -> str:
    """Whether it sits in the outermost rows and columns of height and width."""
    if square.ndim < 3 or min(square.shape[-2:]) < 5:
        return ""
    inner = square[..., 1:-1, 1:-1].sum()
    return "in the outermost rows and columns" if inner <= (1 - MOST) * square.sum() else ""


_NAMES = {0: "batch", 1: "channel", 2: "row", 3: "column"}


def _axis(square: Array, axis: int) -> str:
    """Whether a few places along one axis hold it, or every n-th."""
    length = square.shape[axis]
    if length < 3:
        return ""
    profile = square.sum(axis=tuple(a for a in range(square.ndim) if a != axis))
    taking = np.flatnonzero(profile > profile.max() * COUNTS**2)
    name = _NAMES.get(axis, f"place of axis {axis}") if square.ndim == 4 else f"place of axis {axis}"
    if len(taking) <= max(1, length // 8):
        shown = ", ".join(map(str, taking[:4])) + (", …" if len(taking) > 4 else "")
        return f"in {name}{'s' if len(taking) > 1 else ''} {shown} of {length}"
    steps = set(np.diff(taking).tolist())
    if len(steps) == 1 and (step := steps.pop()) > 1:
        return f"in every {step}{'nd' if step == 2 else 'rd' if step == 3 else 'th'} {name}"
    return ""
