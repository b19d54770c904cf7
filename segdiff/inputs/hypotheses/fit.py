"""How much of the candidate is a straight line of a picture's grey levels, channel by channel?

Whatever the constants of a normalisation are, they drop out of this, so the geometry can be judged first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SAMPLES = 30_000
"""Pixels that are looked at: enough to rank hypotheses and to find constants, in a millisecond or two."""
LEAST_ROWS = 16


@dataclass(frozen=True)
class Fit:
    """``candidate channel = slope * grey level + offset``; one number a channel of the candidate.

    ``is_reversed`` says that channel i was fitted to the picture's channel C-1-i; ``low`` and ``high`` are
    the range of its grey levels. ``residual`` is the root mean square that the line leaves, in grey levels,
    and ``explained`` the share of the variance that it explains, both of the worst channel.
    """

    is_reversed: bool
    slope: tuple[float, ...]
    offset: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    residual: float
    explained: float

    @property
    def is_line(self) -> bool:
        """Whether every channel has a slope: a flat picture has none."""
        return all(self.slope) and bool(np.all(np.isfinite(self.slope)))


def sampled(*pictures: Array) -> tuple[Array, ...]:
    """Some rows of pictures (H, W, C) of one size: about ``SAMPLES`` pixels."""
    height, width = pictures[0].shape[:2]
    stride = min(-(-height * width // SAMPLES), max(1, height // LEAST_ROWS))
    return tuple(picture[::stride] for picture in pictures)


def fitted_lines(levels: Array, candidate: Array) -> tuple[Fit, ...]:
    """The lines from grey levels (H, W, C), RGB, to the candidate's channels, in order and reversed."""
    x = levels.reshape(-1, levels.shape[2]).T.astype(np.float64, order="C")
    y = candidate.reshape(-1, candidate.shape[2]).T.astype(np.float64, order="C")
    orders = (False, True) if len(x) > 1 else (False,)
    return tuple(_fit(x[::-1] if is_reversed else x, y, is_reversed) for is_reversed in orders)


def _fit(x: Array, y: Array, is_reversed: bool) -> Fit:
    x_mean, y_mean = x.mean(axis=1), y.mean(axis=1)
    dx, dy = x - x_mean[:, None], y - y_mean[:, None]
    xx, yy, xy = ((a * b).mean(axis=1) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    with np.errstate(all="ignore"):
        slope = np.where(xx > 0, xy / xx, 0.0)
        unlike = np.where(yy > 0, 1.0 - xy * xy / (xx * yy), np.where(xx > 0, 1.0, 0.0))
    unlike = np.clip(np.nan_to_num(unlike, nan=1.0), 0.0, 1.0)
    residual = float(np.sqrt(np.max(np.where(xx > 0, xx, yy) * unlike)))
    return Fit(
        is_reversed,
        tuple(slope.tolist()),
        tuple((y_mean - slope * x_mean).tolist()),
        tuple(x.min(axis=1).tolist()),
        tuple(x.max(axis=1).tolist()),
        residual,
        1.0 - float(unlike.max()),
    )
