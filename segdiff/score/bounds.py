"""What can saved masks not tell? The range of scores that the network's logits, resized before argmax, allow.

PaddleSeg resizes the logits to the label's size, bilinearly, and takes the argmax there. A mask saved at the
network's size has lost the logits. But where the four pixels that a bilinear resize mixes all show one class,
that class has the largest logit in each of them, and so in any mixture: the pixel is certain. Only the pixels
on edges are open. With all of them right the score is highest, with all wrong lowest, and whatever PaddleSeg
printed lies between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdiff.score.areas import Areas, Counts, areas
from segdiff.score.files import Values


@dataclass
class Bounds:
    """Areas of the certain pixels, and the labels of the open ones, summed over images."""

    certain: Areas
    open: Counts

    @classmethod
    def none(cls, classes: int) -> Bounds:
        """Before the first image."""
        return cls(Areas.none(classes), np.zeros(classes, np.int64))

    def add(self, mask: Values, label: Values, ignore_index: int | None) -> None:
        """Count one more image."""
        classes = len(self.open)
        spread, is_open = _spread(mask, label.shape)
        counted = np.ones(label.shape, bool) if ignore_index is None else label != ignore_index
        self.certain += _certain(spread, label, ~is_open & counted, classes)
        self.open += np.bincount(label[is_open & counted & (label < classes)], minlength=classes)[:classes]

    def miou(self) -> tuple[float, float]:
        """The lowest and the highest mIoU of the data set."""
        intersect, wrong = self.certain.intersect, self.certain.pred - self.certain.intersect
        label = self.certain.label + self.open
        high = _mean(intersect + self.open, label + wrong)
        low = _mean(intersect, label + wrong + self.open.sum() - self.open)
        return low, high

    @property
    def share(self) -> float:
        """The fraction of labelled pixels that is open."""
        total = int(self.open.sum() + self.certain.label.sum())
        return int(self.open.sum()) / total if total else 0.0


def _certain(mask: Values, label: Values, counted: NDArray[np.bool_], classes: int) -> Areas:
    return areas(mask[counted][None], label[counted][None], classes, None)


def _mean(above: Counts, below: Counts) -> float:
    return float(np.mean(np.divide(above, below, out=np.zeros(len(above)), where=below > 0)))


def _spread(mask: Values, shape: tuple[int, ...]) -> tuple[Values, NDArray[np.bool_]]:
    """The mask at a larger size, and which of its pixels mix several classes."""
    rows, columns = (_neighbours(a, b) for a, b in zip(mask.shape, shape, strict=True))
    top, bottom = mask[rows[0]], mask[rows[1]]
    corner = top[:, columns[0]]
    others = (top[:, columns[1]], bottom[:, columns[0]], bottom[:, columns[1]])
    is_open = np.zeros(shape, bool)
    for other in others:
        is_open |= corner != other
    return corner, is_open


def _neighbours(length: int, wanted: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The two pixels that a bilinear resize mixes for each of ``wanted`` (half-pixel centres)."""
    centre = (np.arange(wanted) + 0.5) * length / wanted - 0.5
    left = np.floor(centre).astype(np.intp)
    return np.clip(left, 0, length - 1), np.clip(left + 1, 0, length - 1)
