"""How does a library bring a picture to another size? OpenCV's and PIL's modes, on uint8 and on float32.

PIL's modes average over all pixels when they make a picture smaller, OpenCV's (but for AREA) do not. Linear
with aligned corners is neither's; frameworks call it ``align_corners=True``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Library = Literal["OpenCV", "PIL", "aligned corners"]
ResizeType = Literal["float32", "uint8"]

OPENCV_MODES = ("LINEAR", "NEAREST", "CUBIC", "AREA", "LANCZOS4", "LINEAR_EXACT", "NEAREST_EXACT")
PIL_MODES = ("BILINEAR", "BICUBIC", "NEAREST", "BOX", "HAMMING", "LANCZOS")
CORNERS_MODES = ("LINEAR",)
EXACT = ("NEAREST", "NEAREST_EXACT")  # copies pixels, so the dtype makes no difference


@dataclass(frozen=True)
class Resample:
    """A library's interpolation, and the dtype of the picture that it works on."""

    library: Library
    mode: str
    dtype: ResizeType

    def __str__(self) -> str:
        return f"{self.library}'s {self.mode} on {self.dtype}".replace("corners's", "corners',")


DEFAULT_RESAMPLE = Resample("OpenCV", "LINEAR", "float32")


def all_resamples() -> tuple[Resample, ...]:
    """Every way of resizing that is tried."""
    opencv = [Resample("OpenCV", mode, dtype) for dtype in ("float32", "uint8") for mode in OPENCV_MODES]
    pil = [Resample("PIL", mode, dtype) for dtype in ("uint8", "float32") for mode in PIL_MODES]
    corners = [Resample("aligned corners", mode, "float32") for mode in CORNERS_MODES]
    return tuple(each for each in opencv + pil + corners if each.dtype != "uint8" or each.mode not in EXACT)


def resampled(
    image: Array, height: int, width: int, how: Resample, factors: tuple[float, float] | None = None
) -> Array:
    """A picture (H, W, C) brought to (height, width, C).

    ``factors``, where they are given, are what its height and width are multiplied with: OpenCV then samples
    in steps of exactly 1 / factor, and not of the quotient of the two sizes. Raises ValueError where a float
    picture is to be resized as uint8, ImportError where PIL is missing.
    """
    if how.dtype == "float32":
        image = image.astype(np.float32, copy=False)
    elif image.dtype != np.uint8:
        raise ValueError("a picture of real numbers cannot be resized as uint8")
    if how.library == "PIL":
        return _pil(image, height, width, how.mode)
    if how.library == "aligned corners":
        return _between(_between(image, height, 0), width, 1)
    mode = getattr(cv2, f"INTER_{how.mode}")
    if factors is not None:
        by_factor: Array = cv2.resize(image, None, fx=factors[1], fy=factors[0], interpolation=mode)
        return by_factor.reshape(height, width, image.shape[2])
    resized: Array = cv2.resize(image, (width, height), interpolation=mode)
    return resized.reshape(height, width, image.shape[2])


def _pil(image: Array, height: int, width: int, mode: str) -> Array:
    """PIL channel by channel, which is what it does to a picture of several."""
    from PIL import Image

    channels = [
        np.asarray(Image.fromarray(channel).resize((width, height), getattr(Image.Resampling, mode)))
        for channel in cv2.split(image)
    ]
    return np.stack(channels, axis=-1)


def _between(image: Array, length: int, axis: int) -> Array:
    """Linear interpolation along an axis whose first and last pixels stay where they are."""
    last = image.shape[axis] - 1
    places = np.linspace(0.0, last, length)
    low = np.floor(places).astype(np.int64)
    shape = [1, 1, 1]
    shape[axis] = length
    share = (places - low).astype(np.float32).reshape(shape)
    below, above = image.take(low, axis), image.take(np.minimum(low + 1, last), axis)
    mixed: Array = below * (1 - share) + above * share
    return mixed
