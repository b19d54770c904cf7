"""With which library, in which mode and on which dtype did the candidate resize the picture?"""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.inputs.hypotheses.change import Change, Variant
from segdiff.inputs.pipeline import Resize
from segdiff.inputs.resample import EXACT, Resample, all_resamples


def resizings(variant: Variant) -> Iterator[Variant]:
    """The variant with every other way of resizing; none where nothing is resized."""
    if not any(isinstance(step, Resize) for step in variant.pipeline.steps):
        return
    given = variant.pipeline.resample
    for other in all_resamples():
        if other != given:
            yield Variant(variant.pipeline.with_resample(other), variant.changes + _changes(given, other))


def _changes(given: Resample, other: Resample) -> tuple[Change, ...]:
    """A change of mode or library, of the dtype, or both. PIL works on uint8 by nature: that is one
    change, and so is copying the nearest pixel."""
    changes = []
    if (other.library, other.mode) != (given.library, given.mode):
        text = f"The candidate's picture is resized with {other}, the reference's with {given}."
        changes.append(Change("input.interpolation", text))
    copies = other.mode in EXACT or given.mode in EXACT  # whole pixels, whatever the dtype
    if other.dtype != given.dtype and other.library != "PIL" and not copies:
        text = f"The candidate's picture is resized as {other.dtype}, the reference's as {given.dtype}."
        changes.append(Change("input.resize_dtype", text))
    return tuple(changes)
