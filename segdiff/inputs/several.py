"""How does one image become a batch, or one of another size? The tensors that a model is fed, made anew.

The elements of a batch differ: one that is mixed up with another, or computed from another's mean, must show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segdiff.inputs.config import DeployConfig
from segdiff.inputs.prepare import DERIVED, Prepared
from segdiff.inputs.spec import InputSpec

Array = NDArray[Any]

DIMMED = 0.5
"""The last element of a long batch keeps this share of the first one's range: far more than any rounding, and
still a picture that a network was trained for."""


def open_spec(spec: InputSpec, *, plane: bool) -> InputSpec:
    """What a model wants, its batch left open; of a picture height and width, too, where ``plane``."""
    shape = spec.shape
    if not shape:
        return spec
    opened = (None, *shape[1:])
    if plane and len(shape) == 4:
        first, second = plane_axes(shape)
        opened = tuple(None if axis in (first, second) else dim for axis, dim in enumerate(opened))
    return replace(spec, shape=opened)


def at_size(spec: InputSpec, size: tuple[int, int]) -> InputSpec:
    """What a model wants, with this height and width for a picture."""
    if spec.shape is None or len(spec.shape) != 4:
        return spec
    lengths = dict(zip(plane_axes(spec.shape), size, strict=True))
    shape = tuple(lengths.get(axis, dim) for axis, dim in enumerate(spec.shape))
    return replace(spec, shape=shape, asked=True)


def plane_axes(shape: Sequence[int | None]) -> tuple[int, int]:
    """The axes of height and width of four: the last two, or those before channels that are last."""
    return (1, 2) if shape[3] in (1, 3) and shape[1] not in (1, 3) else (2, 3)


def config_at(config: DeployConfig | None, size: tuple[int, int]) -> DeployConfig | None:
    """PaddleSeg's config with its one Resize ending at this height and width; any other config as it is."""
    if config is None or config.transforms is None:
        return config
    resizes = [index for index, (name, _) in enumerate(config.transforms) if name == "Resize"]
    if len(resizes) != 1:
        return config
    steps = list(config.transforms)
    name, params = steps[resizes[0]]
    steps[resizes[0]] = name, {**params, "target_size": [size[1], size[0]], "keep_ratio": False}
    return replace(config, transforms=tuple(steps))


def resized(prepared: Prepared, size: tuple[int, int]) -> Prepared:
    """The tensors at another height and width, where they are not of it already: linearly (OpenCV's
    INTER_LINEAR on float32), whole numbers nearest; PaddleDetection's sizes follow."""
    tensors, how = dict(prepared.tensors), list(prepared.how)
    for name, tensor in prepared.tensors.items():
        axes = plane_axes(tensor.shape) if tensor.ndim == 4 else (0, 0)
        before = (tensor.shape[axes[0]], tensor.shape[axes[1]]) if tensor.ndim == 4 else size
        if before != size:
            way = "linearly" if tensor.dtype.kind == "f" else "to the nearest pixel"
            how.append(f"Resampled input '{name}' from {before[0]}x{before[1]} to {size[0]}x{size[1]} {way}.")
            tensors[name] = _resampled(tensor, size, axes)
            tensors |= _derived(prepared.tensors, before, size)
    return replace(prepared, tensors=tensors, how=tuple(how))


def _resampled(tensor: Array, size: tuple[int, int], axes: tuple[int, int]) -> Array:
    planes = np.moveaxis(tensor, axes, (2, 3))
    floats = tensor.dtype.kind == "f"
    work = planes.astype(np.float32) if floats else planes.astype(np.float64)
    mode = cv2.INTER_LINEAR if floats else cv2.INTER_NEAREST
    made = [[cv2.resize(plane, size[::-1], interpolation=mode) for plane in element] for element in work]
    return np.ascontiguousarray(np.moveaxis(np.asarray(made), (2, 3), axes)).astype(tensor.dtype)


def _derived(given: Mapping[str, Array], before: tuple[int, int], size: tuple[int, int]) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name in DERIVED:
        if name in given and given[name].shape[-1:] == (2,):
            factors = np.array([size[0] / before[0], size[1] / before[1]])
            found[name] = (given[name] * factors).astype(given[name].dtype)
    return found


def batched(prepared: Prepared, count: int, names: Sequence[str]) -> Prepared:
    """A batch of ``count`` of the inputs of these names: first the elements that were given, then the same
    again, shifted, every other one mirrored, each darker than the one before (whole numbers are shifted)."""
    tensors = dict(prepared.tensors)
    for name in names:
        given = tensors[name]
        own = len(given)
        made = [_varied(given[k % own], k // own, -(-count // own), name in DERIVED) for k in range(count)]
        tensors[name] = np.ascontiguousarray(np.stack(made).astype(given.dtype, copy=False))
    said = (
        f"Made a batch of {count}: the image as it is, then the same shifted, every other one mirrored, each "
        "darker than the one before, so that no two are alike.",
    )
    return replace(prepared, tensors=tensors, how=prepared.how + (said if count > 1 else ()))


def _varied(element: Array, time: int, times: int, as_it_is: bool) -> Array:
    """An element for the n-th time."""
    if not time or as_it_is or not element.ndim:
        return element
    axes = (-2, -1) if element.ndim > 1 else (-1,)
    if element.ndim == 3 and element.shape[2] in (1, 3):
        axes = (0, 1)
    moved: Array = np.roll(element, [time * element.shape[axis] // times for axis in axes], axes)
    if element.dtype.kind != "f":
        return moved
    if time % 2:
        moved = np.flip(moved, axes[-1])
    low = float(moved.min()) if moved.size else 0.0
    if not np.isfinite(moved).all():
        return moved
    share = 1 - DIMMED * time / times
    return np.asarray(low + (moved - low) * share, element.dtype)
