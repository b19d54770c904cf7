"""How does a device lay an array out?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def packed(array: Array, layout: str, padding: float = 0.0) -> tuple[Array, str]:
    """The array as the device has it and its layout: NC1HWC0 of a (N, C, H, W), FRACTAL_NZ of two dimensions
    and more, others as they are; what is added is ``padding``."""
    block = {2: 16, 4: 8, 1: 32}.get(array.dtype.itemsize, 8)
    if layout == "NHWC" and array.ndim == 4:
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)), layout
    if layout == "NC1HWC0" and array.ndim == 4:
        n, c, h, w = array.shape
        blocks = -(-c // block)
        whole = _filled((n, blocks * block, h, w), array, padding)
        return np.ascontiguousarray(whole.reshape(n, blocks, block, h, w).transpose(0, 1, 3, 4, 2)), layout
    if layout == "FRACTAL_NZ" and array.ndim >= 2 and array.size:
        *lead, m, n = array.shape
        rows, columns = -(-m // 16), -(-n // block)
        whole = _filled((*lead, rows * 16, columns * block), array, padding)
        whole = whole.reshape(*lead, rows, 16, columns, block)
        return np.ascontiguousarray(np.moveaxis(whole, -2, -4)), layout
    return array, "NCHW" if array.ndim == 4 else "ND"


def _filled(shape: tuple[int, ...], array: Array, padding: float) -> Array:
    whole = np.full(shape, padding, array.dtype)
    whole[tuple(slice(dim) for dim in array.shape)] = array
    return whole
