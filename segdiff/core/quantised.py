"""Which numbers do the bytes of a quantised tensor stand for? ``(byte - zero point) * scale``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def ends_of(dtype: str) -> tuple[int, int]:
    """The smallest and the largest integer of a type by its name, also one of a few bits.

    >>> ends_of("int8"), ends_of("uint4")
    ((-128, 127), (0, 15))
    """
    bits = int(dtype.lstrip("uint"))
    return (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@dataclass(frozen=True, eq=False)
class Quantisation:
    """How a tensor is quantised: one scale and zero point, or one for each place along ``axis``, or for each
    block.

    ``scale`` is positive, of shape () or (n,), or of as many axes as the tensor has, where it broadcasts
    against it; ``zero_point`` an integer array of the same shape; ``dtype`` the name of the integers
    (``int8``, ``uint8``, ``int32``, ``uint4``, …).
    """

    scale: Array
    zero_point: Array
    dtype: str
    axis: int = 1

    def steps(self, ndim: int) -> Array:
        """The scale, float32, in a shape that broadcasts against a tensor of so many axes."""
        return self._along(self.scale.astype(np.float32), ndim)

    def numbers(self, array: Array) -> Array:
        """What integers stand for, float32."""
        zero = self._along(self.zero_point.astype(np.int64), array.ndim)
        found = (array.astype(np.int64) - zero) * self.steps(array.ndim)
        return np.asarray(found, np.float32)

    def integers(self, array: Array) -> Array:
        """The integers that numbers are stored as: to the nearest, halves to even, cut off at the ends."""
        zero = self._along(self.zero_point.astype(np.float64), array.ndim)
        with np.errstate(invalid="ignore", over="ignore"):
            whole = np.clip(
                np.nan_to_num(np.rint(array / self.steps(array.ndim)) + zero), *ends_of(self.dtype)
            )
        return np.asarray(whole, self.dtype.replace("int4", "int8"))

    def cut_off(self, array: Array) -> float:
        """The share of an array (of its L2 norm) that is lost because the integers end before its numbers."""
        lowest, highest = ends_of(self.dtype)
        zero, step = self.along_zero(array.ndim), self.steps(array.ndim).astype(np.float64)
        wide = np.nan_to_num(array.astype(np.float64))
        over = wide - np.clip(wide, (lowest - zero - 0.5) * step, (highest - zero + 0.5) * step)
        norm = float(np.linalg.norm(wide))
        return float(np.linalg.norm(over)) / norm if norm else 0.0

    def along_zero(self, ndim: int) -> Array:
        """The zero point, int64, in a shape that broadcasts against a tensor of so many axes."""
        return self._along(self.zero_point.astype(np.int64), ndim)

    def _along(self, array: Array, ndim: int) -> Array:
        if array.size == 1:
            return array.reshape(())
        if array.ndim == ndim > 1:
            return array
        shape = [1] * ndim
        shape[self.axis % ndim] = array.size
        return array.reshape(shape)
