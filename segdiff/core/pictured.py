"""What does a report show of its run? The picture as fed, its masks, the error of the guilty tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from segdiff.core.classes import largest_class
from segdiff.core.graph import Array

MaskName = Literal["reference", "candidate", "repaired", "fed"]

LONGEST = 512
"""Pixels of a thumbnail's longer side: a page of three masks stays below a megabyte."""

ROUND = 1.0
"""Pixels by which a strided layer may round the size of a map of the picture."""

LEAST = 2
"""Rows and columns that a map has at least; one of 1 x 1 is a vector."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """What can be seen of a run, all of one size (H, W), that of a thumbnail of the input.

    ``image`` is the input as fed, (H, W, 3) uint8 RGB, its longer side at most ``LONGEST``. ``masks`` are
    maps of classes, (H, W) integers, by ``reference``, ``candidate`` (both run from the image) and
    ``repaired`` (the candidate run with every weighed origin mended), and ``fed`` (the candidate run from an
    input of its own, where that is another one); one may be absent. ``labels`` is the
    true mask where one is known. ``heat`` is the isolated error of the first origin's tensor, (H, W)
    float32, the largest over the channels, in the tensor's own unit; ``heat_value`` is the reference's name
    of that tensor. ``by_repair`` says whether ``repaired`` shows what proven changes do; otherwise the
    origins' errors were taken away by putting the reference's tensors in. ``missing`` says in words why
    something is absent, by the field's or the mask's name.
    """

    image: Array
    masks: Mapping[MaskName, Array] = field(default_factory=dict)
    labels: Array | None = None
    heat: Array | None = None
    heat_value: str | None = None
    by_repair: bool = False
    missing: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        shown = [*self.masks, *(["heat"] if self.heat is not None else [])]
        return f"<segdiff.Pictures {height} x {width}: {', '.join(shown) or 'the image alone'}>"


def matches(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether a (height, width) is that of the picture, scaled, within the rounding of a strided layer.

    >>> matches((16, 32), (512, 1024)), matches((13, 25), (100, 200)), matches((32, 16), (512, 1024))
    (True, True, False)
    """
    (h, w), (height, width) = shape, size
    if h < LEAST or w < LEAST:
        return False
    return (
        abs(w * height / h - width) <= ROUND * height / h or abs(h * width / w - height) <= ROUND * width / w
    )


def class_map(output: Array, size: tuple[int, int]) -> Array | None:
    """The map of classes, (H, W), that a model's output stands for; None where it is none.

    Integers of one channel are classes already. Of float (N, C, H, W) with C > 1 the class is the argmax
    over C; one channel of probabilities is cut at one half. The first of a batch counts. ``size`` is the
    height and width of the input, whose shape a mask must have.
    """
    array = output
    while array.ndim > 3 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (2, 3, 4) or array.size == 0 or not matches(array.shape[-2:], size):
        return None
    if array.ndim == 4:
        return _small(largest_class(array[0], 0)) if array.dtype.kind == "f" else None
    plane = array[0] if array.ndim == 3 else array
    if array.ndim == 3 and array.shape[0] != output.shape[0]:
        return None
    if plane.dtype.kind in "iub":
        return _small(plane)
    if plane.dtype.kind != "f" or not (plane.min() >= 0 and plane.max() <= 1):
        return None
    return (plane > 0.5).astype(np.uint8)


def _small(classes: Array) -> Array:
    """The same integers in the smallest type that holds them."""
    if classes.dtype.kind == "b":
        return classes.astype(np.uint8)
    low, high = int(classes.min()), int(classes.max())
    return classes.astype(np.result_type(np.min_scalar_type(low), np.min_scalar_type(high)))


def thumbnail_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a thumbnail of a picture, its longer side at most ``LONGEST``."""
    scale = min(1.0, LONGEST / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def nearest(plane: Array, size: tuple[int, int]) -> Array:
    """A (H, W, ...) array at another height and width, every pixel one of its own."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(size, plane.shape, strict=False)
    )
    return np.ascontiguousarray(plane[rows][:, columns])


def pooled(plane: Array, size: tuple[int, int]) -> Array:
    """A (H, W) array at another size; where it shrinks, a pixel is the largest of those it stands for."""
    for axis, new in enumerate(size):
        old = plane.shape[axis]
        if new < old:
            starts = (np.arange(new) * old / new).astype(np.intp)
            plane = np.maximum.reduceat(plane, starts, axis=axis)
    return nearest(plane, size)


def error_map(truth: Array, got: Array, size: tuple[int, int]) -> Array | None:
    """|got - truth| over the picture, (h, w) float32, the largest over the channels; None where the tensor
    is no map of the picture.

    Known forms: (N, C, H, W), (N, H, W, C), (N, H, W), (H, W), and (N, H * W, C), as transformers have it. An
    error that is no number counts as infinite.
    """
    if truth.shape != got.shape:
        if truth.size != got.size:
            return None
        got = got.reshape(truth.shape)
    with np.errstate(all="ignore"):
        error = np.abs(got.astype(np.float32) - truth.astype(np.float32))
    same = (got == truth) | ((got != got) & (truth != truth))
    error = np.where(same, np.float32(0), np.where(np.isnan(error), np.float32(np.inf), error))
    if error.ndim == 2 and matches(error.shape, size):
        return error
    if error.ndim not in (3, 4) or error.size == 0:
        return None
    first: Array = error[0]
    if first.ndim == 3 and matches(first.shape[1:], size):
        return np.asarray(first.max(axis=0))
    if first.ndim == 3 and matches(first.shape[:2], size):
        return np.asarray(first.max(axis=2))
    if first.ndim == 2 and matches(first.shape, size):
        return first
    if first.ndim == 2 and (grid := _grid(first.shape[0], size)) is not None:
        return np.asarray(first.max(axis=1).reshape(grid))
    return None


def _grid(length: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """The height and width whose product is the length and which fit the picture."""
    height = round((length * size[0] / size[1]) ** 0.5)
    for h in (height, height - 1, height + 1):
        if h >= LEAST and length % h == 0 and matches((h, length // h), size):
            return h, length // h
    return None
