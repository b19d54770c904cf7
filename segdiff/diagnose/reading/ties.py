"""Do two sides that pick other elements pick equal ones? Then no order of them is wrong."""

from __future__ import annotations

import numpy as np

from segdiff.core.graph import Array
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
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


def in_no_order(case: Case) -> str | None:
    """A sentence, where both sides' TopK give the same elements and one is asked for them in no order."""
    for op in (op for op in case.ops if op.type == "TopK"):
        partner = partner_of(case, op, "top_k")
        asked = [None if each is None else each.attributes.get("sorted") for each in (partner, op)]
        if not any(value is not None and not value for value in asked):
            continue
        axis = int(op.attributes.get("axis", -1))
        pairs = [(case.truth[name], case.got[name]) for name in op.outputs if name in case.got]
        if pairs and all(a.shape == b.shape and _same_elements(a, b, axis) for a, b in pairs):
            whose = "TopK is asked" if asked[0] is None or asked[0] else "the reference asks its topk"
            return (
                f"the elements are those of the reference, in another order: {whose} "
                "for no order (sorted=False), so either is right; what reads them in order needs sorted=True"
            )
    return None


def _same_elements(ours: Array, theirs: Array, axis: int) -> bool:
    return np.array_equal(np.sort(ours, axis=axis), np.sort(theirs, axis=axis))
