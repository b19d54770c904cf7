"""What can be seen of a run? The input, the masks, also once all is mended, the error of the first origin.

All of it comes from what the run holds already; only the first origin's segment runs once more, on the
tensors that were kept. What cannot be had is told as a reason and never fails a report.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from segdiff.align import Segment
from segdiff.core.answer import AsFed, Cause
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array
from segdiff.core.kept import KeptTensors
from segdiff.core.pictured import (
    MaskName,
    Pictures,
    class_map,
    error_map,
    nearest,
    pooled,
    thumbnail_size,
)
from segdiff.finding.weigh import Weights
from segdiff.inputs import Prepared
from segdiff.walk import Run

SEEN = 8
"""Rows and columns that a tensor has at least to be taken for a picture."""

CORRELATED = 0.01
"""By how much the picture's channels, exchanged, must fit the tensor's better to count as exchanged: red and
blue of one photo are alike, so the two orders differ little where they differ at all."""

HEALTHY = "no operator errs, so there is nothing to mend"


def pictured(
    run: Run,
    prepared: Prepared,
    weights: Weights,
    causes: Mapping[Segment, Cause],
    kept: KeptTensors | None,
    as_fed: AsFed | None,
    reasons: list[str],
) -> Pictures | None:
    """The pictures of a run; None where no input is a picture. What goes wrong is added to ``reasons``."""
    try:
        tensor = picture_tensor(prepared)
        if tensor is None:
            return None
        return _pictures(tensor, run, prepared, weights, causes, kept, as_fed)
    except (ValueError, TypeError, IndexError, ArithmeticError, MemoryError, cv2.error) as error:
        reasons.append(f"The pictures could not be made: {type(error).__name__}: {error}")
        return None


def picture_tensor(prepared: Prepared) -> Array | None:
    """The first input that looks like a picture, as (C, H, W) with one or three channels."""
    for tensor in prepared.tensors.values():
        if tensor.ndim != 4 or tensor.size == 0:
            continue
        if tensor.shape[1] in (1, 3) and min(tensor.shape[2:]) >= SEEN:
            return np.asarray(tensor[0])
        if tensor.shape[3] in (1, 3) and min(tensor.shape[1:3]) >= SEEN:
            return np.asarray(np.moveaxis(tensor[0], 2, 0))
    return None


def _pictures(
    tensor: Array,
    run: Run,
    prepared: Prepared,
    weights: Weights,
    causes: Mapping[Segment, Cause],
    kept: KeptTensors | None,
    as_fed: AsFed | None,
) -> Pictures:
    size = tensor.shape[1], tensor.shape[2]
    small = thumbnail_size(size)
    image = seen(tensor, prepared.image)
    image = (
        image if small == size else np.asarray(cv2.resize(image, small[::-1], interpolation=cv2.INTER_AREA))
    )
    missing: dict[str, str] = {}
    found = _masks(run, weights, as_fed.masks if as_fed else {}, size, missing)
    masks: dict[MaskName, Array] = {name: nearest(mask, small) for name, mask in found.items()}
    heat, value = _heat(run, kept, size, missing)
    return Pictures(
        image,
        masks,
        heat=None if heat is None else pooled(heat, small).astype(np.float32),
        heat_value=value,
        by_repair=bool(run.origins) and all(_mends(causes.get(step.segment)) for step in run.origins),
        missing=missing,
    )


def maps_of(outputs: Mapping[str, Array], prepared: Prepared) -> dict[str, Array]:
    """The maps of classes among some outputs, by their names; none where no input is a picture."""
    tensor = picture_tensor(prepared)
    if tensor is None:
        return {}
    found = {name: class_map(array, (tensor.shape[1], tensor.shape[2])) for name, array in outputs.items()}
    return {name: mask for name, mask in found.items() if mask is not None}


def _mends(cause: Cause | None) -> bool:
    return cause is not None and cause.mends


def _masks(
    run: Run, weights: Weights, fed: Mapping[str, Array], size: tuple[int, int], missing: dict[str, str]
) -> dict[MaskName, Array]:
    """The maps of classes of the first output that is one on both sides."""
    for _, name in run.outputs:
        if name not in run.walk.ends:
            continue
        truth, own = (class_map(tensor.array, size) for tensor in run.walk.ends[name])
        if truth is None or own is None:
            continue
        found: dict[MaskName, Array] = {"reference": truth, "candidate": own}
        if name in fed:
            found["fed"] = fed[name]
        mended = weights.mended.get(name)
        mask = None if mended is None else class_map(mended.array, size)
        if mask is not None:
            found["repaired"] = mask
        elif run.origins:
            missing["repaired"] = "the candidate was not run with its origins mended"
        else:
            missing["repaired"] = HEALTHY
        return found
    missing["masks"] = "no output is a map of classes of the picture's shape"
    return {}


def _heat(
    run: Run, kept: KeptTensors | None, size: tuple[int, int], missing: dict[str, str]
) -> tuple[Array | None, str | None]:
    """The first origin's error over the picture, and the reference's name of its tensor."""
    if not run.origins:
        missing["heat"] = HEALTHY
        return None, None
    step = run.origins[0]
    for pair in sorted(step.pairs, key=lambda pair: not (pair.judgement and pair.judgement.fault)):
        tensors = kept.segments.get(pair.candidate) if kept else None
        if tensors is None or pair.candidate not in tensors.expected:
            missing["heat"] = "the first origin's tensors were not kept"
            continue
        feeds = {name: run.probe.blocks.tensor(array) for name, array in tensors.inputs.items()}
        try:
            got = run.probe.run(step.segment, feeds, [pair.candidate])[pair.candidate]
        except EngineError as error:
            missing["heat"] = f"the first origin did not run again: {error}"
            continue
        heat = error_map(tensors.expected[pair.candidate], got.array, size)
        if heat is not None:
            missing.pop("heat", None)
            return heat, pair.reference
        missing["heat"] = "the first origin's tensor is no map of the picture"
    return None, None


def seen(tensor: Array, picture: Array | None) -> Array:
    """A (C, H, W) tensor of any normalisation as a person sees it, (H, W, 3) uint8 RGB.

    With the ``picture`` that it was made of, (H, W, 3) uint8 BGR, each channel is stretched to that one's
    range, in the order that fits better. Without, the range tells: 0 to 255, 0 to 1, -1 to 1, else what it
    spans.
    """
    planes = np.nan_to_num(tensor.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if planes.shape[0] == 1:
        planes = np.repeat(planes, 3, axis=0)
    if picture is None:
        return _to_bytes(_by_range(planes))
    colours = np.asarray(cv2.resize(picture, planes.shape[:0:-1], interpolation=cv2.INTER_AREA), np.float32)
    colours = np.moveaxis(colours[..., ::-1], 2, 0)
    if _fit(planes, colours[::-1]) > _fit(planes, colours) + CORRELATED:
        planes = planes[::-1]
    return _to_bytes(np.stack([_stretched(p, c) for p, c in zip(planes, colours, strict=True)]))


def _fit(planes: Array, colours: Array) -> float:
    """The mean correlation of the channels."""
    found = []
    for plane, colour in zip(planes, colours, strict=True):
        a, b = plane - plane.mean(), colour - colour.mean()
        norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
        found.append(float((a * b).sum()) / norm if norm else 0.0)
    return sum(found) / len(found)


def _stretched(plane: Array, colour: Array) -> Array:
    """The plane with its range put where the colour's is."""
    low, high = np.percentile(plane, (1, 99))
    first, last = np.percentile(colour, (1, 99))
    return np.asarray((plane - low) * ((last - first) / (high - low) if high > low else 0.0) + first)


def _by_range(planes: Array) -> Array:
    low, high = float(planes.min()), float(planes.max())
    if low >= 0 and high <= 1:
        return planes * 255
    if low >= 0 and high <= 255:
        return planes
    if low >= -1 and high <= 1:
        return (planes + 1) * 127.5
    low, high = (float(bound) for bound in np.percentile(planes, (0.5, 99.5)))
    return np.asarray((planes - low) * (255 / (high - low) if high > low else 0.0))


def _to_bytes(planes: Array) -> Array:
    pixels: Array = np.clip(np.rint(planes), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(pixels, 0, 2))
