"""How is a score computed? Where mask and label meet, how one is brought to the other's size, how images add.

PaddleSeg sums the areas of all images at the label's size. Many a script takes the mean of each image's IoU
at the mask's size. Both are right, and points apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np

from segdiff.core.errors import InputError
from segdiff.score.areas import Areas, Scores, scores
from segdiff.score.files import Values

Resize = Literal["nearest", "nearest_exact", "linear", "area", "cubic", "logits"]
Size = Literal["label", "mask"]
Over = Literal["dataset", "image"]

RESIZES: dict[str, int] = {
    "nearest": cv2.INTER_NEAREST,
    "nearest_exact": cv2.INTER_NEAREST_EXACT,
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
}
"""OpenCV's interpolations; ``linear`` is what ``cv2.resize`` does to a label when nobody says otherwise."""


@dataclass(frozen=True)
class Frame:
    """Where mask and label are compared: at the size of one, to which the other is resized."""

    size: Size
    resize: Resize

    def __str__(self) -> str:
        if self.resize == "logits":
            return "at the label's size, logits resized before the argmax"
        resized = "mask" if self.size == "label" else "label"
        return f"at the {self.size}'s size, {resized} resized {self.resize.replace('_', ' ')}"

    @property
    def key(self) -> str:
        """A short name for JSON."""
        return f"{self.size}:{self.resize}"


@dataclass(frozen=True)
class Protocol:
    """A frame, and what is averaged: areas over the ``dataset``, or the IoU of each ``image``."""

    over: Over
    frame: Frame

    def __str__(self) -> str:
        what = "areas summed over the data set" if self.over == "dataset" else "mean of per-image IoU"
        return f"{what}, {self.frame}"

    def to_dict(self) -> dict[str, str]:
        """Plain data for JSON."""
        return {"over": self.over, "size": self.frame.size, "resize": self.frame.resize}


LABEL = Frame("label", "nearest")
LABEL_CENTRED = Frame("label", "nearest_exact")
DATASET = Protocol("dataset", LABEL)
"""PaddleSeg's metrics on saved masks, which have lost the logits."""

LOGITS = Frame("label", "logits")
EVALUATED = Protocol("dataset", LOGITS)
"""PaddleSeg's own evaluation: the logits are brought to the label's size."""


def per_image(label_resize: Resize) -> Protocol:
    """The mean of per-image IoU at the mask's size."""
    return Protocol("image", Frame("mask", label_resize))


def steps_between(start: Protocol, end: Protocol) -> tuple[Protocol, ...]:
    """The protocols from one to the other, one change at a time: what is averaged, then size, then resize.

    ``start`` itself is left out; nothing where both are equal.
    """
    over = replace(start, over=end.over)
    size = (
        replace(over, frame=Frame(end.frame.size, "nearest")) if over.frame.size != end.frame.size else over
    )
    path = [start]
    for protocol in (over, size, end):
        if protocol != path[-1]:
            path.append(protocol)
    return tuple(path[1:])


def framed(mask: Values, label: Values, frame: Frame) -> tuple[Values, Values]:
    """Mask and label at the frame's size."""
    if mask.shape == label.shape:
        return mask, label
    if frame.size == "label":
        return resized(mask, label.shape, frame.resize), label
    return mask, resized(label, mask.shape, frame.resize)


def resized(values: Values, shape: tuple[int, ...], how: Resize) -> Values:
    """Class numbers resized as ``cv2.resize`` does it, which with ``linear`` mixes their values."""
    if values.shape == shape:
        return values
    if how == "nearest_exact" and values.dtype != np.uint8:
        wide = cv2.resize(values.astype(np.float32), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(wide).astype(values.dtype)
    try:
        return np.asarray(cv2.resize(values, shape[::-1], interpolation=RESIZES[how]))
    except cv2.error as error:
        raise InputError(f"a mask of {values.shape} pixels cannot be resized to {shape}") from error


@dataclass
class Tally:
    """Areas and per-image IoU of one side in one frame, summed as images come."""

    classes: int
    images: int = 0
    total: Areas = field(init=False)
    _means: list[float] = field(default_factory=lambda: [0.0] * 4)
    _iou: np.ndarray[tuple[int], np.dtype[np.float64]] = field(init=False)
    _present: np.ndarray[tuple[int], np.dtype[np.int64]] = field(init=False)

    def __post_init__(self) -> None:
        self.total = Areas.none(self.classes)
        self._iou = np.zeros(self.classes)
        self._present = np.zeros(self.classes, np.int64)

    def add(self, one: Areas) -> None:
        """Count one more image; one without a labelled pixel adds areas only."""
        self.total = self.total + one
        present = one.union > 0
        if not present.any():
            return
        self.images += 1
        self._present += present
        iou = np.divide(one.intersect, one.union, out=np.zeros(self.classes), where=present)
        self._iou += iou
        score = scores(one)
        dice = np.asarray(score.class_dice)[present].mean()
        means = (float(iou[present].mean()), score.accuracy, score.kappa, float(dice))
        self._means = [
            total + (x if math.isfinite(x) else 1.0) for total, x in zip(self._means, means, strict=True)
        ]

    def scores(self, over: Over) -> Scores:
        """The scores over all images.

        Over images, a class that neither mask nor label of an image has is left out of that image's mean;
        so is an image without a labelled pixel. A kappa that is not defined (one class alone, all right)
        counts as 1.
        """
        if over == "dataset":
            return scores(self.total)
        miou, accuracy, kappa, dice = (
            total / self.images if self.images else math.nan for total in self._means
        )
        class_iou = np.divide(
            self._iou, self._present, out=np.full(self.classes, math.nan), where=self._present > 0
        )
        return Scores(miou, accuracy, kappa, dice, tuple(class_iou.tolist()))


def protocol_of(name: str, label_resize: str) -> Protocol:
    """``dataset`` or ``image`` as a protocol. Raises InputError for another word."""
    if label_resize not in RESIZES:
        raise InputError(f"{label_resize!r} is no way to resize a label; there are {', '.join(RESIZES)}.")
    if name not in ("dataset", "image"):
        raise InputError(f"{name!r} is no protocol; there are dataset and image.")
    return DATASET if name == "dataset" else per_image(label_resize)  # type: ignore[arg-type]
