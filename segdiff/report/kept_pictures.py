"""How do a report's pictures get into its JSON, and back? As small PNGs without loss.

What comes back is untrusted: it is decoded as PNG alone, and no larger than what is written.
"""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import cv2
import numpy as np
from PIL import Image

from segdiff.core.errors import InputError
from segdiff.core.graph import Array
from segdiff.core.pictured import MaskName, Pictures, nearest, pooled

LONGEST = 192
"""Pixels of the longer side: a photo is then some 60 kB as PNG, a mask 2 kB; the pairs of a report of 1,500
operators are 1,500 kB."""

LEVELS = 255
"""Steps of the map of an error, from 0 to its largest."""

PREFIX = "data:image/png;base64,"

MOST_TEXT = 1 << 20
"""Characters of one picture: four times what noise of the largest size needs."""


class PictureError(InputError):
    """A picture of a saved report is damaged."""


def pictures_to_dict(pictures: Pictures | None) -> dict[str, Any] | None:
    """The pictures as JSON has them; None where there are none."""
    if pictures is None:
        return None
    size = _size((pictures.image.shape[0], pictures.image.shape[1]))
    heat = pictures.heat
    largest = float(heat.max()) if heat is not None and heat.size else 0.0
    shown = heat is not None and np.isfinite(largest) and largest > 0
    return {
        "image": _png(_photo(pictures.image, size)),
        "masks": {name: _png(_numbers(mask, size)) for name, mask in pictures.masks.items()},
        "labels": None if pictures.labels is None else _png(_numbers(pictures.labels, size)),
        "heat": _heat(heat, largest, size) if heat is not None and shown else None,
        "heat_value": pictures.heat_value if shown else None,
        "by_repair": pictures.by_repair,
        "missing": dict(pictures.missing),
    }


def named_to_list(pictures: Sequence[tuple[str, Pictures]]) -> list[dict[str, Any]]:
    """Pictures of several images as JSON has them, each with its name."""
    found = ((name, pictures_to_dict(each)) for name, each in pictures)
    return [{"name": name, "pictures": data} for name, data in found if data is not None]


def named_of(data: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, Pictures], ...]:
    """Pictures of several images that JSON has. Raises PictureError."""
    found = ((each["name"], pictures_of(each["pictures"])) for each in data)
    return tuple((name, each) for name, each in found if each is not None)


def pictures_of(data: Mapping[str, Any] | None) -> Pictures | None:
    """The pictures that JSON has. Raises PictureError where one is damaged, or they are not of one size."""
    if data is None:
        return None
    image = _decoded(data["image"], "RGB")
    names = get_args(MaskName)
    masks = {name: _decoded(text, "L") for name, text in data["masks"].items() if name in names}
    labels = None if data["labels"] is None else _decoded(data["labels"], "L")
    heat = None
    if data["heat"] is not None:
        levels = _decoded(data["heat"]["levels"], "L")
        heat = (levels.astype(np.float32) * np.float32(data["heat"]["largest"] / LEVELS)).astype(np.float32)
    for each in (*masks.values(), labels, heat):
        if each is not None and each.shape != image.shape[:2]:
            raise PictureError("its pictures are not of one size")
    return Pictures(image, masks, labels, heat, data["heat_value"], data["by_repair"], dict(data["missing"]))


def _size(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, LONGEST / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _photo(image: Array, size: tuple[int, int]) -> Array:
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA))


def _numbers(mask: Array, size: tuple[int, int]) -> Array:
    """Class numbers of a byte; those beyond are shown as the last of it."""
    return np.clip(nearest(mask, size), 0, 255).astype(np.uint8)


def _heat(heat: Array, largest: float, size: tuple[int, int]) -> dict[str, Any]:
    levels = np.rint(pooled(heat, size) * (LEVELS / largest))
    return {"levels": _png(levels.astype(np.uint8)), "largest": largest}


def _png(array: Array) -> str:
    kept = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(kept, "PNG", optimize=True)
    return PREFIX + base64.b64encode(kept.getvalue()).decode()


def _decoded(text: str, mode: str) -> Array:
    if not text.startswith(PREFIX) or len(text) > MOST_TEXT:
        raise PictureError("a picture in it is no small PNG")
    try:
        raw = base64.b64decode(text[len(PREFIX) :], validate=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image = Image.open(io.BytesIO(raw), formats=("PNG",))
            if image.mode != mode or max(image.size) > LONGEST:
                raise PictureError("a picture in it is of another kind or size than segdiff writes")
            return np.asarray(image)
    except PictureError:
        raise
    except (binascii.Error, OSError, ValueError, SyntaxError, MemoryError, Warning) as error:
        raise PictureError(f"a picture in it is damaged: {str(error)[:80]}") from error
