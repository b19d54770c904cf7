"""Which mask does a model's output stand for? Argmax and resizing as PaddleSeg's evaluation does them.

Source: ``paddleseg/core/infer.py`` of PaddleSeg 2.8.0. Logits are brought back to the label's size transform
by transform, bilinearly, and the argmax comes last. A model that ends in an argmax gives class numbers; they
are resized nearest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from segdiff.core.errors import InputError
from segdiff.inputs.pipeline import Canvas, Normalize, Resize, Stage
from segdiff.inputs.transforms import Transform, apply_transforms
from segdiff.score.files import Values

Array = NDArray[Any]

UNKNOWN_TO_PADDLESEG = frozenset({"ScalePadding"})
"""Transforms whose way back neither PaddleSeg's evaluation nor segdiff knows."""

TIE = 1e-4
"""Two logits are a tie when rounding can swap them: closer than this part of the output's range."""


@dataclass(frozen=True)
class Undo:
    """One step of the way back: ``resize`` to a size, or ``crop`` to it from the top left (height, width)."""

    how: Literal["resize", "crop"]
    size: tuple[int, int]


def way_back(
    size: tuple[int, int], steps: Sequence[Transform], source: str, fed: tuple[int, int]
) -> tuple[Undo, ...]:
    """How an output at the fed tensor's size returns to the picture's ``size``: PaddleSeg's ``trans_info``.

    ``fed`` is the tensor's height and width. Raises InputError for a transform that has no way back.
    """
    found: list[Undo] = []
    blank = np.zeros(size, np.float32)
    for name, given in steps:
        before = blank.shape
        if name in UNKNOWN_TO_PADDLESEG:
            raise InputError(
                f"{source}: the transform {name} cannot be undone, so there is no mask at label size."
            )
        if name == "Normalize":
            continue
        blank = apply_transforms(blank, [(name, given)], source).image
        if blank.shape != before:
            found.append(Undo("crop" if name.startswith("Padding") else "resize", (before[0], before[1])))
    if blank.shape != fed:
        found.append(Undo("resize", (blank.shape[0], blank.shape[1])))
    return tuple(reversed(found))


def way_back_of_steps(
    size: tuple[int, int], steps: Sequence[Stage], source: str, fed: tuple[int, int]
) -> tuple[Undo, ...]:
    """The same for the steps of another suite. Raises InputError where a step has no way back."""
    found: list[Undo] = []
    at = size
    for step in steps:
        if isinstance(step, Normalize):
            continue
        if isinstance(step, Resize):
            found.append(Undo("resize", at))
        elif isinstance(step, Canvas) and step.top == step.left == 0:
            found.append(Undo("crop", at))
        else:
            raise InputError(
                f"{source}: cutting out or padding around the picture cannot be undone, so there is no mask "
                "at label size."
            )
        at = step.height, step.width
    if at != fed:
        found.append(Undo("resize", at))
    return tuple(reversed(found))


@dataclass(frozen=True)
class Output:
    """One model's output for one image: logits (C, H, W), or class numbers (1, H, W) of an integer dtype."""

    planes: Array

    @property
    def is_logits(self) -> bool:
        """Whether an argmax is still to be taken."""
        return self.planes.dtype.kind == "f"

    @property
    def classes(self) -> int | None:
        """How many classes there are; None where the output does not tell."""
        return len(self.planes) if self.is_logits else None

    def without_padding(self, undo: Iterable[Undo]) -> Output:
        """The part of the output that shows the picture, at the model's own size."""
        for step in undo:
            if step.how != "crop":
                break
            return Output(self.planes[:, : step.size[0], : step.size[1]])
        return self

    def mask(self) -> Values:
        """The class numbers (H, W) at the output's own size."""
        return argmax(iter(self.planes)) if self.is_logits else narrowed(self.planes[0])

    def mask_at(self, undo: Sequence[Undo]) -> Values:
        """The class numbers (H, W) after the way back."""
        if not self.is_logits:
            return narrowed(_back(self.planes[0].astype(np.float32), undo, cv2.INTER_NEAREST))
        return argmax(_back(np.asarray(p, np.float32), undo, cv2.INTER_LINEAR) for p in self.planes)

    def margin(self) -> NDArray[np.float32] | None:
        """The largest logit minus the second largest, (H, W); None where there are no two."""
        if not self.is_logits or len(self.planes) < 2:
            return None
        first = np.full(self.planes.shape[1:], -np.inf, np.float32)
        second = first.copy()
        for plane in self.planes:
            np.maximum(second, np.minimum(first, plane), out=second)
            np.maximum(first, plane, out=first)
        return np.asarray(first - second, np.float32)

    def tie(self) -> float:
        """The margin below which two logits count as a tie."""
        return TIE * float(self.planes.max() - self.planes.min())


def output_of(array: Array, source: str) -> Output:
    """The output as planes. (1, C, H, W) float is logits; an integer (1, H, W) or (1, 1, H, W) a mask.

    A float map of one channel is a mask too where all its values are whole numbers. Raises InputError for any
    other shape, and for values that are not finite.
    """
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[:, None]
    if array.ndim != 4 or array.shape[0] != 1 or not array.size:
        raise InputError(
            f"{source} has the shape {array.shape}; a mask or logits are (1, C, H, W) or (1, H, W)."
        )
    planes = array[0]
    if planes.dtype.kind == "f" and not np.isfinite(planes.max() - planes.min()):
        raise InputError(f"{source} has values that are not finite, so it gives no mask.")
    if planes.dtype.kind == "f" and len(planes) > 1:
        return Output(planes)
    if len(planes) > 1:
        raise InputError(f"{source} has {len(planes)} channels of {planes.dtype}; a mask has one.")
    if planes.dtype.kind == "f" and (planes.min() < 0 or (planes != np.floor(planes)).any()):
        raise InputError(
            f"{source} has one channel of fractions, so there is no class to take; segdiff scores outputs of "
            "several channels, or masks."
        )
    return Output(planes.astype(np.int64, copy=False) if planes.dtype.kind in "fb" else planes)


def argmax(planes: Iterator[Array]) -> Values:
    """The number of the largest plane in each pixel, the first of equals; one plane at a time."""
    best = np.array(next(planes))
    number = np.zeros(best.shape, np.uint8)
    for index, plane in enumerate(planes, start=1):
        if index == 256:
            number = number.astype(np.uint16)
        larger = plane > best
        np.maximum(number, larger * number.dtype.type(index), out=number)  # indices only grow
        np.maximum(best, plane, out=best)
    return number


def narrowed(mask: Array) -> Values:
    """Class numbers as uint8 or uint16. Raises InputError where they are not from 0 to 65535."""
    low, high = int(mask.min()), int(mask.max())
    if low < 0 or high > 65535:
        raise InputError(f"a mask has class numbers from {low} to {high}; they are 0 to 65535")
    return np.ascontiguousarray(mask, dtype=np.uint8 if high < 256 else np.uint16)


def _back(plane: Array, undo: Iterable[Undo], interpolation: int) -> Array:
    for step in undo:
        height, width = step.size
        if step.how == "crop":
            plane = np.ascontiguousarray(plane[:height, :width])
        elif plane.shape != step.size:
            plane = np.asarray(cv2.resize(plane, (width, height), interpolation=interpolation))
    return plane
