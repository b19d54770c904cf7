"""Do two sides that pick other elements pick equal ones? Then no order of them is wrong."""

from __future__ import annotations

import numpy as np

from segdiff.core.graph import Array
from segdiff.diagnose.reading.case import Case


def equal_elements(case: Case) -> str | None:
    """A sentence, where the elements that a TopK or an argmax picks differ in nothing but their places."""
    for op in case.ops:
        if op.type not in ("TopK", "ArgMax", "ArgMin"):
            continue
        data = case.feeds.get(op.inputs[0])
        places = [(case.truth[name], case.got[name]) for name in op.outputs if name in case.got]
        indices = [(a, b) for a, b in places if a.dtype.kind in "iu" and a.shape == b.shape]
        if data is None or not indices:
            continue
        axis = int(op.attributes.get("axis", -1 if op.type == "TopK" else 0))
        if all(_equal(data, a, b, axis) for a, b in indices):
            return (
                f"{op.type} picks elements at other places that are equal to those of the reference: "
                "the order of equal elements is not defined, and no change of the file gives the same."
            )
    return None


def _equal(data: Array, ours: Array, theirs: Array, axis: int) -> bool:
    if ours.ndim == data.ndim - 1:
        ours, theirs = (np.expand_dims(places, axis) for places in (ours, theirs))
    if ours.ndim != data.ndim:
        return False
    taken = [np.take_along_axis(data, places.astype(np.int64), axis) for places in (ours, theirs)]
    return np.array_equal(taken[0], taken[1])
