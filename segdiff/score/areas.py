"""How good is a mask against its label? Areas of each class, and the numbers PaddleSeg makes of them.

Source of definitions and arithmetic: ``paddleseg/utils/metrics.py`` of PaddleSeg 2.8.0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdiff.core.errors import InputError
from segdiff.score.files import Values

IGNORE = 255
"""PaddleSeg's default ``ignore_index``."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Areas:
    """Pixels of each class: where mask and label agree on it, in the mask, in the label. (classes,) int64."""

    intersect: Counts
    pred: Counts
    label: Counts

    def __add__(self, other: Areas) -> Areas:
        return Areas(self.intersect + other.intersect, self.pred + other.pred, self.label + other.label)

    @property
    def union(self) -> Counts:
        """Pixels of each class in either."""
        return self.pred + self.label - self.intersect

    def to_list(self) -> list[list[int]]:
        """Plain numbers for JSON."""
        return [self.intersect.tolist(), self.pred.tolist(), self.label.tolist()]

    @classmethod
    def from_list(cls, rows: Any) -> Areas:
        """The areas that ``to_list`` gave."""
        intersect, pred, label = (np.asarray(row, np.int64) for row in rows)
        return cls(intersect, pred, label)

    @classmethod
    def none(cls, classes: int) -> Areas:
        """No pixel at all."""
        empty = np.zeros(classes, np.int64)
        return cls(empty, empty, empty)


@dataclass(frozen=True)
class Scores:
    """The scores of one side under one protocol, as fractions; NaN where one is not defined."""

    miou: float
    accuracy: float
    kappa: float
    dice: float
    class_iou: tuple[float, ...]
    class_dice: tuple[float, ...] = ()
    class_precision: tuple[float, ...] = ()
    class_recall: tuple[float, ...] = ()
    mmseg: MmSeg | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, which has no NaN."""
        own = _plain_fields({name: value for name, value in vars(self).items() if name != "mmseg"})
        return {**own, "mmseg": _plain_fields(vars(self.mmseg)) if self.mmseg else None}


@dataclass(frozen=True)
class MmSeg:
    """The same areas as mmsegmentation counts them: a class that is in neither mask nor label has no IoU, one
    that no label has no accuracy (NaN), and is left out of the mean.

    ``class_acc`` is the part of a class's pixels that the mask has right; ``a_acc`` that of all pixels.
    """

    a_acc: float
    m_iou: float
    m_acc: float
    class_iou: tuple[float, ...]
    class_acc: tuple[float, ...]


def _plain_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [_plain(v) for v in value] if isinstance(value, tuple) else _plain(value)
        for name, value in fields.items()
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def confusion(pred: Values, label: Values, classes: int, ignore_index: int | None = IGNORE) -> Counts:
    """How often each class of the label (rows) meets each class of the mask (columns).

    (classes + 2, classes + 1) int64: the row ``classes`` counts labels of unknown classes, the last row the
    ignored pixels, the last column masks of unknown classes.
    """
    if pred.shape != label.shape:
        raise InputError(f"a mask of {pred.shape} cannot be compared with a label of {label.shape} pixels")
    columns = classes + 1
    rows = np.minimum(np.arange(1 << (8 * label.itemsize)), classes)
    if ignore_index is not None and 0 <= ignore_index < len(rows):
        rows[ignore_index] = classes + 1
    steps = (rows * columns).astype(np.int32 if classes < 40000 else np.int64)
    places = steps[label]
    places += np.minimum(pred, min(classes, np.iinfo(pred.dtype).max))
    counts = np.bincount(places.ravel(), minlength=(classes + 2) * columns)
    return counts.reshape(classes + 2, columns)


def areas(pred: Values, label: Values, classes: int, ignore_index: int | None = IGNORE) -> Areas:
    """PaddleSeg's ``calculate_area``: pixels whose label is ``ignore_index`` count for no mask.

    Classes from ``classes`` on count nowhere, on either side. An ``ignore_index`` that is itself a class
    still counts as area of the label, as it does there.
    """
    table = confusion(pred, label, classes, ignore_index)
    kept = table[: classes + 1]
    label_area = table[:classes].sum(axis=1)
    if ignore_index is not None and 0 <= ignore_index < classes:
        label_area[ignore_index] = table[classes + 1].sum()
    return Areas(np.diagonal(kept)[:classes].copy(), kept[:, :classes].sum(axis=0), label_area)


def scores(total: Areas) -> Scores:
    """``mean_iou``, ``class_measurement``, ``kappa`` and ``dice`` of PaddleSeg 2.8.0 on summed areas.

    A class without a pixel on either side has IoU and Dice 0 and counts in the means, as it does there.
    """
    class_iou = _ratio(total.intersect, total.union)
    class_dice = _ratio(2 * total.intersect, total.pred + total.label)
    predicted = int(total.pred.sum())
    return Scores(
        miou=float(np.mean(class_iou)),
        accuracy=float(total.intersect.sum() / predicted) if predicted else math.nan,
        kappa=_kappa(total),
        dice=float(np.mean(class_dice)),
        class_iou=tuple(class_iou.tolist()),
        class_dice=tuple(class_dice.tolist()),
        class_precision=tuple(_ratio(total.intersect, total.pred).tolist()),
        class_recall=tuple(_ratio(total.intersect, total.label).tolist()),
        mmseg=as_mmseg(total),
    )


def as_mmseg(total: Areas) -> MmSeg:
    """``IoUMetric.total_area_to_metrics`` of mmsegmentation 1.2 on summed areas, without ``nan_to_num``."""
    iou, acc = _where_any(total.intersect, total.union), _where_any(total.intersect, total.label)
    labelled = int(total.label.sum())
    return MmSeg(
        a_acc=float(total.intersect.sum() / labelled) if labelled else math.nan,
        m_iou=_mean_of_numbers(iou),
        m_acc=_mean_of_numbers(acc),
        class_iou=tuple(iou.tolist()),
        class_acc=tuple(acc.tolist()),
    )


def _where_any(above: Counts, below: Counts) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.full(len(above), math.nan)
    np.divide(above, below, out=found, where=below != 0)
    return found


def _mean_of_numbers(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _ratio(above: Counts, below: Counts) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros(len(above)), where=below != 0)


def _kappa(total: Areas) -> float:
    pixels = float(total.label.sum())
    if pixels == 0:
        return math.nan
    observed = float(total.intersect.sum()) / pixels
    expected = float((total.pred.astype(np.float64) * total.label).sum()) / (pixels * pixels)
    return (observed - expected) / (1 - expected) if expected != 1 else math.nan
