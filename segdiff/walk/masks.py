"""How many pixels change their class? Of a tensor that is a map of classes, or makes one."""

from __future__ import annotations

import numpy as np

from segdiff.core.classes import largest_class
from segdiff.core.graph import Array


def mask_changed(reference: Array, candidate: Array) -> float | None:
    """Share of pixels whose class differs; None where the tensor is not a map of classes.

    Integers are classes already; of a float ``(N, C, H, W)`` with C > 1 the class is the argmax over C.
    """
    if reference.shape != candidate.shape or reference.size == 0 or reference.ndim < 3:
        return None
    if reference.dtype.kind in "iu":
        return float(np.mean(reference != candidate))
    if reference.ndim != 4 or reference.shape[1] < 2:
        return None
    return float(np.mean(largest_class(reference, 1) != largest_class(candidate, 1)))


def pixels_of(classes: Array) -> int:
    """How many pixels a map of classes has (``mask_changed`` says which tensors are one)."""
    return classes.size if classes.dtype.kind in "iu" else classes.size // classes.shape[1]
