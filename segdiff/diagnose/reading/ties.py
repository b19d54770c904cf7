"""Do two sides that pick other elements pick equal ones? Then no order of them is wrong."""

from __future__ import annotations

from segdiff.diagnose.reading.case import Case
from segdiff.walk.ties import PICKING, picks_equal


def equal_elements(case: Case) -> str | None:
    """A sentence, where the elements that a TopK or an argmax picks differ in nothing but their places."""
    for op in case.ops:
        if op.type not in PICKING:
            continue
        data = case.feeds.get(op.inputs[0])
        places = [(case.truth[name], case.got[name]) for name in op.outputs if name in case.got]
        indices = [(a, b) for a, b in places if a.dtype.kind in "iu" and a.shape == b.shape]
        if data is None or not indices:
            continue
        if all(picks_equal(op, data, a, b) for a, b in indices):
            return (
                f"{op.type} picks elements at other places that are equal to those of the reference: "
                "the order of equal elements is not defined, and no change of the file gives the same."
            )
    return None
