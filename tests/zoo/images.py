"""What does a network of the zoo look at? Synthetic images, normalised as deploy.yaml says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def random_images(count: int, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return `count` images as a normalised batch (count, 3, height, width), in [-1, 1].

    Coarse blobs with some noise, each image of its own brightness and contrast: white noise alone
    looks the same to a network after its first poolings, and would leave the statistics of all
    globally pooled features without any variance.
    """
    height, width = size
    coarse = rng.normal(0.0, 1.0, (count, 3, height // 16 + 2, width // 16 + 2))
    rows = np.linspace(0, coarse.shape[2] - 1.001, height)
    columns = np.linspace(0, coarse.shape[3] - 1.001, width)
    blobs = _lerp(_lerp(coarse, rows, axis=2), columns, axis=3)
    contrast = rng.uniform(0.1, 0.5, (count, 3, 1, 1))
    brightness = rng.uniform(-0.4, 0.4, (count, 3, 1, 1))
    noise = rng.normal(0.0, 0.1, blobs.shape)
    return np.clip(brightness + contrast * blobs + noise, -1.0, 1.0).astype(np.float32)


def _lerp(values: NDArray[np.float64], at: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Interpolate `values` linearly along `axis` at the positions `at`."""
    low = at.astype(int)
    shape = [1] * values.ndim
    shape[axis] = len(at)
    weight = (at - low).reshape(shape)
    below, above = np.take(values, low, axis), np.take(values, low + 1, axis)
    return np.asarray(below * (1 - weight) + above * weight)
