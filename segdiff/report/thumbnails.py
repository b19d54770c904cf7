"""What does a tensor look like, in a few pixels? Its channels side by side, as a small PNG."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from segdiff.core.graph import Array

CHANNELS = 6
"""That are shown of a tensor: what fits beside one another."""

LONGEST = 96
"""Pixels of the longer side of a channel."""

LEAST = 48
"""Pixels to which the longer side of a small channel is enlarged."""

GAP = 2
"""Pixels between channels."""

LEVELS, ODD, CLEAR = 254, 254, 255
"""Entries of a palette: so many levels, one for what is not finite, one for nothing at all."""

MAGENTA = (255, 0, 255)
"""Of what is not finite: no scale has it."""


def channels_of(array: Array) -> Array:
    """A tensor as planes, (N, H, W): the channels of the first of a batch, or what comes nearest to them.

    >>> channels_of(np.zeros((1, 3, 4, 5))).shape, channels_of(np.zeros((7, 9))).shape
    ((3, 4, 5), (1, 7, 9))
    >>> channels_of(np.zeros(5)).shape, channels_of(np.zeros(())).shape
    ((1, 1, 5), (1, 1, 1))
    """
    if array.ndim >= 4:
        first: Array = array[0]
        return first.reshape(-1, *first.shape[-2:])
    if array.ndim == 3:
        return array if array.shape[0] != 1 else array[:1]
    return array.reshape(1, *((1, 1, *array.shape)[-2:]))


def telling(planes: Array, other: Array | None = None) -> list[int]:
    """Which planes to show: those in which two differ most, in their order; else the first."""
    count = len(planes)
    if other is None or other.shape != planes.shape or count <= CHANNELS:
        return list(range(min(count, CHANNELS)))
    with np.errstate(all="ignore"):
        apart = np.abs(other.astype(np.float64) - planes.astype(np.float64)).reshape(count, -1).mean(axis=1)
    apart = np.where(np.isnan(apart), np.inf, apart)
    return sorted(np.argsort(-apart, kind="stable")[:CHANNELS].tolist())


def limits(planes: Array) -> tuple[float, float]:
    """The smallest and the largest finite number."""
    numbers = planes.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def grey(planes: Array, between: tuple[float, float]) -> str:
    """Planes side by side in grey, black to white between two numbers; what is not finite is magenta."""
    shades = np.linspace(0, 255, LEVELS).astype(np.uint8)
    return _png([_levels(plane, *between) for plane in planes], np.stack([shades] * 3, axis=1))


def heat(planes: Array) -> str:
    """Planes of sizes that are at least 0 side by side, from black over red to yellow at the largest."""
    largest = limits(planes)[1]
    steps = np.linspace(0, 255, LEVELS).astype(np.uint8)
    colours = cv2.applyColorMap(steps[None], cv2.COLORMAP_INFERNO)[0, :, ::-1]
    return _png([_levels(plane, 0.0, largest) for plane in planes], colours)


def _levels(plane: Array, low: float, high: float) -> Array:
    """A plane as entries of a palette, of a size that can be seen."""
    with np.errstate(all="ignore"):
        share = (plane.astype(np.float64) - low) / (high - low) if high > low else np.zeros(plane.shape)
        odd = ~np.isfinite(plane) if plane.dtype.kind == "f" else np.zeros(plane.shape, bool)
    levels: Array = _sized(np.where(odd, 0.0, share).clip(0, 1) * (LEVELS - 1)).round().astype(np.uint8)
    levels[_sized(odd.astype(np.float64)) > 0] = ODD
    return levels


def _sized(plane: Array) -> Array:
    """Large planes are made smaller, small ones larger, by whole pixels."""
    height, width = plane.shape
    scale = LONGEST / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))
    times = max(1, min(LONGEST // max(height, width), -(-LEAST // max(height, width))))
    larger: Array = plane.repeat(times, axis=0).repeat(times, axis=1)
    return larger


def _png(tiles: Sequence[Array], colours: Array) -> str:
    """Tiles beside one another as the data URI of a PNG file, one byte a pixel."""
    gap = np.full((tiles[0].shape[0], GAP), CLEAR, np.uint8)
    row = [part for tile in tiles for part in (tile, gap)][:-1]
    picture = Image.fromarray(np.concatenate(row, axis=1))
    picture.putpalette([*np.asarray(colours, np.uint8).reshape(-1).tolist(), *MAGENTA, 0, 0, 0])
    file = BytesIO()
    picture.save(file, "PNG", transparency=CLEAR, optimize=True)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
