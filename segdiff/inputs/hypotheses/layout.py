"""In which order do the axes of the candidate's tensor stand, and is there a batch axis?

A layout loses nothing, so it is undone on the candidate instead of being tried on the reference: each
:class:`AsPicture` is the candidate's tensor read as a picture again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from segdiff.inputs.hypotheses.change import Change
from segdiff.inputs.pipeline import Axes, Layout

Array = NDArray[Any]

TEXTS = {
    "HWC": "The candidate's channels stand last (HWC), the reference's first (CHW).",
    "CWH": "The candidate's height and width are transposed: its axes are (C, W, H).",
    "WHC": "The candidate's axes are (W, H, C), the reference's (C, H, W).",
    "HWC read as CHW": "The candidate's picture (H, W, C) was reshaped to (C, H, W), not transposed: its "
    "rows and channels are mixed up.",
}


@dataclass(frozen=True)
class AsPicture:
    """The candidate's tensor as a picture (H, W, C), under one assumption about its layout."""

    picture: Array
    layout: Layout
    changes: tuple[Change, ...]


def views(candidate: Array, channels: int) -> tuple[AsPicture, ...]:
    """Every way to read the candidate as a picture of so many channels, the fewest changes first."""
    if candidate.ndim < 3 or candidate.size == 0:
        return ()
    lead = candidate.shape[:-3]
    inner = candidate[(0,) * len(lead)]
    batch = _batch(lead, candidate.shape)
    found = []
    for axes in get_args(Axes):
        picture = _undone(inner, axes, channels)
        if picture is not None:
            layout = (Change("input.layout", TEXTS[axes]),) if axes in TEXTS else ()
            found.append(AsPicture(picture, Layout(axes, lead), batch + layout))
    return tuple(found)


def _batch(lead: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Change, ...]:
    if lead == (1,):
        return ()
    if not lead:
        text = f"The candidate's tensor {list(shape)} has no batch axis."
    elif len(lead) == 1:
        text = f"The candidate's tensor {list(shape)} is a batch of {lead[0]}."
    else:
        text = f"The candidate's tensor {list(shape)} has {len(lead)} axes before those of the picture."
    return (Change("input.batch_axis", text),)


def _undone(inner: Array, axes: Axes, channels: int) -> Array | None:
    if inner.shape[axes.index("C")] != channels and axes != "HWC read as CHW":
        return None
    if axes == "HWC read as CHW":
        if inner.shape[0] != channels or channels == 1:
            return None
        return np.ascontiguousarray(inner).reshape(*inner.shape[1:], channels)
    picture: Array = inner.transpose([axes.index(axis) for axis in "HWC"])
    return picture
