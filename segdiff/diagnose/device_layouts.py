"""In which other orders can the same numbers stand? As a device keeps them, and as one may misread that."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from segdiff.core.graph import Array

BLOCKS = (16, 8, 32, 4, 64)
"""Channels that devices keep together: 16 of a half on Ascend, 4 to 32 elsewhere."""

ROWS = (16, 32, 64, 128)
"""Numbers that a row may be padded to a multiple of."""

CUBE = 16
"""The sides of the blocks of FRACTAL_NZ."""

MOST_AXES = 4


def writings(array: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """What a tensor of that shape holds where the numbers of ``array`` were written otherwise, with words."""
    if array.size < 2:
        return
    for words, flat in _written(array):
        if flat.size < math.prod(shape):
            continue
        yield words, flat.reshape(-1)[: math.prod(shape)].reshape(shape)
    if array.ndim == len(shape) and all(a <= b for a, b in zip(array.shape, shape, strict=True)):
        padded = np.pad(array, [(0, b - a) for a, b in zip(array.shape, shape, strict=True)])
        yield f"padded from {list(array.shape)} to {list(shape)}, and not cut off", padded


def _written(array: Array) -> Iterator[tuple[str, Array]]:
    yield from _turned(array)
    if array.ndim == 4:
        yield from _in_channel_blocks(array)
    if array.ndim >= 2:
        yield from _in_cubes(array)
        yield from _in_padded_rows(array)


def _turned(array: Array) -> Iterator[tuple[str, Array]]:
    if array.ndim > MOST_AXES:
        return
    known: dict[tuple[int, ...], str] = {
        (0, 2, 3, 1): "NHWC, taken for NCHW",
        (0, 3, 1, 2): "NCHW, taken for NHWC",
    }
    for axes in itertools.permutations(range(array.ndim)):
        turned = array.transpose(axes)
        if axes == tuple(range(array.ndim)):
            continue
        words = (
            known.get(axes, f"its axes in the order {list(axes)}")
            if array.ndim == 4
            else f"axes {list(axes)}"
        )
        yield words, np.ascontiguousarray(turned)
        if (
            turned.shape != array.shape
        ):  # the other way round: written as it is, and read with its axes turned
            back = np.argsort(axes)
            yield f"{words}, read back", array.reshape(turned.shape).transpose(back)


def _in_channel_blocks(array: Array) -> Iterator[tuple[str, Array]]:
    n, c, h, w = array.shape
    for block in BLOCKS:
        groups = -(-c // block)
        padded = np.pad(array, [(0, 0), (0, groups * block - c), (0, 0), (0, 0)])
        split = padded.reshape(n, groups, block, h, w)
        name = f"NC1HWC0 with C0 = {block}"
        if block > 1:
            yield f"{name}, taken for NCHW without its padding cut off", split.transpose(0, 1, 3, 4, 2)
            yield f"NHWC with the channels padded to {groups * block}", padded.transpose(0, 2, 3, 1)
        if c % block == 0:
            read = array.reshape(n, groups, h, w, block).transpose(0, 1, 4, 2, 3)
            yield f"NCHW, taken for {name}", read
        elif n > 1:
            yield f"channels padded to {groups * block}, not cut off", padded


def _in_cubes(array: Array) -> Iterator[tuple[str, Array]]:
    *front, m, n = array.shape
    rows, columns = -(-m // CUBE), -(-n // CUBE)
    pads = [(0, 0)] * len(front) + [(0, rows * CUBE - m), (0, columns * CUBE - n)]
    split = np.pad(array, pads).reshape(*front, rows, CUBE, columns, CUBE)
    last = len(front)
    axes = (*range(last), last + 2, last, last + 1, last + 3)
    yield "FRACTAL_NZ, taken for its plain shape", split.transpose(axes)
    if m % CUBE == 0 and n % CUBE == 0:
        read = array.reshape(*front, columns, rows, CUBE, CUBE)
        yield (
            "its plain shape, taken for FRACTAL_NZ",
            read.transpose(*range(last), last + 1, last + 2, last, last + 3),
        )


def _in_padded_rows(array: Array) -> Iterator[tuple[str, Array]]:
    width = array.shape[-1]
    for row in ROWS:
        if width % row:
            pads = [(0, 0)] * (array.ndim - 1) + [(0, -width % row)]
            yield f"rows padded to a multiple of {row}, not cut off", np.pad(array, pads)
