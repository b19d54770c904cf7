"""What does an answer keep of the pictures that differ most? Thumbnails of the first few."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from segdiff.core.pictured import MaskName, Pictures, nearest, thumbnail_size
from segdiff.inputs.image import as_bgr
from segdiff.score.files import Values
from segdiff.score.pictures import Shown

MOST = 4
"""Pictures that an answer keeps: some 100 KB each."""

GREY = 160
"""What stands in the place of a picture that is not known."""


def remembered(shown: Iterable[Shown], kept: list[tuple[str, Pictures]]) -> Iterator[Shown]:
    """The same, one by one; the first ``MOST`` are added to ``kept`` by their names, as thumbnails."""
    for one in shown:
        if len(kept) < MOST:
            kept.append((one.name, thumbnail(one)))
        yield one


def seen_of(shown: Iterable[Shown]) -> list[tuple[str, Pictures]]:
    """The thumbnails of some pictures, by their names."""
    return [(one.name, thumbnail(one)) for one in shown]


def thumbnail(shown: Shown) -> Pictures:
    """A picture and its masks, at the size of a thumbnail of the masks."""
    size = thumbnail_size((shown.reference.shape[0], shown.reference.shape[1]))
    if shown.image is None:
        image = np.full((*size, 3), GREY, np.uint8)
    else:
        small = cv2.resize(as_bgr(shown.image), size[::-1], interpolation=cv2.INTER_AREA)
        image = np.ascontiguousarray(np.asarray(small)[..., ::-1])
    masks: dict[MaskName, Values] = {
        "reference": nearest(shown.reference, size),
        "candidate": nearest(shown.candidate, size),
    }
    labels = None if shown.label is None else nearest(shown.label, size)
    return Pictures(image, masks, labels)
