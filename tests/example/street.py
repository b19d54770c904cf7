"""What does the example's network look at? Drawn streets, with the class of every pixel."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(H, W, 3) in BGR, as OpenCV reads and writes."""

CLASSES = ("sky", "building", "road", "car")


def draw(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Picture, NDArray[np.int64]]:
    """A street of `size` (height, width) and its labels, the same for the same state of `rng`."""
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    label = np.zeros((height, width), np.uint8)
    horizon = int(height * rng.uniform(0.40, 0.58))
    _sky(image, horizon, rng)
    _buildings(image, label, horizon, rng)
    _road(image, label, horizon, rng)
    for _ in range(int(rng.integers(1, 4))):
        _car(image, label, horizon, rng)
    return image, label.astype(np.int64)


def _sky(image: Picture, horizon: int, rng: np.random.Generator) -> None:
    top, bottom = (
        rng.integers((180, 120, 70), (235, 170, 120)),
        rng.integers((225, 205, 190), (250, 240, 235)),
    )
    for row in range(horizon):
        image[row] = top + (bottom - top) * row // max(horizon, 1)


def _buildings(image: Picture, label: Picture, horizon: int, rng: np.random.Generator) -> None:
    width = label.shape[1]
    left = int(-width * rng.uniform(0.0, 0.1))
    while left < width:
        right = left + int(width * rng.uniform(0.08, 0.24))
        roof = int(horizon * rng.uniform(0.15, 0.85))
        colour = _colour(rng, (60, 70, 90), (150, 160, 185))
        _fill(image, label, _box(left, roof, right, horizon), colour, 1)
        side = max(2, width // 48)
        for x in range(left + side, right - side, 2 * side):
            for y in range(roof + side, horizon - side, 2 * side):
                pane = _colour(rng, (90, 100, 90), (190, 215, 215))
                _fill(image, label, _box(x, y, x + side - 1, y + side - 1), pane, 1)
        left = right + int(width * rng.choice([0.0, 0.0, 0.05]))


def _road(image: Picture, label: Picture, horizon: int, rng: np.random.Generator) -> None:
    height, width = label.shape[:2]
    grey = int(rng.integers(70, 115))
    _fill(image, label, _box(0, horizon, width, height), (grey, grey, grey), 2)
    vanishing = int(width * rng.uniform(0.35, 0.65))
    for lane in (0.15, 0.5, 0.85):
        foot = int(width * lane)
        marking = np.array([[vanishing, horizon], [foot - 2, height], [foot + 2, height]], np.int32)
        _fill(image, label, marking, (225, 230, 230), 2)


def _car(image: Picture, label: Picture, horizon: int, rng: np.random.Generator) -> None:
    height, width = label.shape[:2]
    ground = int(rng.uniform(horizon + 0.08 * height, 0.95 * height))
    tall = int((0.10 + 0.5 * (ground - horizon) / height) * height)
    long = int(tall * rng.uniform(1.2, 1.9))
    left, top = int(rng.uniform(-0.1 * width, 0.9 * width)), ground - tall
    paint = _colour(rng, 40, 190)
    roof = np.array(
        [
            [left + long // 6, top + tall // 2],
            [left + long // 3, top],
            [left + long - long // 4, top],
            [left + long - long // 10, top + tall // 2],
        ],
        np.int32,
    )
    _fill(image, label, roof, (200, 190, 160), 3)
    _fill(image, label, _box(left, top + tall // 2 - 1, left + long, ground - tall // 8), paint, 3)
    for wheel in (left + long // 5, left + long - long // 5):
        for canvas, colour in ((image, (25, 25, 25)), (label, 3)):
            cv2.circle(canvas, (wheel, ground - tall // 6), max(2, tall // 6), colour, cv2.FILLED)


def _box(left: int, top: int, right: int, bottom: int) -> NDArray[np.int32]:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.int32)


def _fill(image: Picture, label: Picture, outline: NDArray[np.int32], colour: Any, number: int) -> None:
    cv2.fillPoly(image, [outline], colour)
    cv2.fillPoly(label, [outline], number)


def _colour(rng: np.random.Generator, low: Any, high: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(low, high, 3))
