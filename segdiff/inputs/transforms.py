"""What does each transform of an exported PaddleSeg model do to the picture, bit for bit?

One pure function a transform, from a picture to a picture: (H, W, 3) or (H, W), float32 unless a transform
says otherwise. Names, parameters, defaults and arithmetic are those of PaddleSeg 2.8.0
(``paddleseg/transforms/transforms.py`` and ``functional.py``); sizes in parameters are (width, height) as
there. ``label_padding_value`` is accepted and unused: there is no label at inference.

The functions raise whatever NumPy and OpenCV raise on bad parameters; :func:`apply_transforms`, the way in,
turns that into an InputError that names the transform.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segdiff.core.errors import InputError
from segdiff.inputs.image import check_pixels, one_line

Picture = NDArray[Any]
Transform = tuple[str, Mapping[str, Any]]

INTERPOLATIONS = MappingProxyType(
    {
        "NEAREST": cv2.INTER_NEAREST,
        "LINEAR": cv2.INTER_LINEAR,
        "CUBIC": cv2.INTER_CUBIC,
        "AREA": cv2.INTER_AREA,
        "LANCZOS4": cv2.INTER_LANCZOS4,
    }
)


@dataclass(frozen=True)
class Applied:
    """A picture after its transforms.

    ``content`` is its (height, width) after the last resize and before any padding, ``how`` one sentence a
    transform with its parameters, the defaults among them, and both sizes.
    """

    image: Picture
    content: tuple[int, int]
    how: tuple[str, ...]


def apply_transforms(image: Picture, steps: Iterable[Transform], source: str) -> Applied:
    """Apply named transforms in order, as PaddleSeg's ``Compose`` does after reading and BGR to RGB.

    ``image`` is (H, W, 3) or (H, W) float32, ``steps`` pairs of a name and its parameters, ``source`` what an
    error message calls the place they come from. Raises InputError for a random or unknown transform, an
    unknown or unusable parameter, and for a picture that becomes too large.
    """
    content = (image.shape[0], image.shape[1])
    how: list[str] = []
    for name, given in steps:
        params = _complete(name, given, source)
        before = image.shape[:2]
        image = _apply(name, image, params, source)
        if image.shape[:2] != before and name not in PADDINGS:
            content = (image.shape[0], image.shape[1])
        how.append(_sentence(name, given, params, before, image.shape[:2]))
    return Applied(image, content, tuple(how))


def resize(
    image: Picture,
    *,
    target_size: Sequence[int] = (512, 512),
    keep_ratio: bool = False,
    size_divisor: int | None = None,
    interp: str = "LINEAR",
) -> Picture:
    """``Resize``: to (w, h); or with ``keep_ratio`` to the largest size inside it, whichever way round it
    lies.

    With ``size_divisor`` both sides are then rounded up to its multiple.
    """
    width, height = _pair(target_size)
    if interp == "RANDOM":
        raise ValueError("interp RANDOM draws a new interpolation for every picture; name one")
    if interp not in INTERPOLATIONS:
        raise ValueError(f"interp is one of {', '.join(INTERPOLATIONS)}")
    if size_divisor is not None and not isinstance(size_divisor, int):
        raise TypeError("size_divisor is a whole number")
    if keep_ratio:
        sides = image.shape[1], image.shape[0]
        scale = min(max(width, height) / max(sides), min(width, height) / min(sides))
        width, height = (round(side * scale) for side in sides)
    if size_divisor:
        width, height = (math.ceil(side / size_divisor) * size_divisor for side in (width, height))
    return _resize(image, width, height, INTERPOLATIONS[interp])


def resize_by_long(image: Picture, *, long_size: float) -> Picture:
    """``ResizeByLong``: scale so that the longer side is ``long_size``, bilinear."""
    return _scale(image, float(long_size) / float(max(image.shape[:2])))


def resize_by_short(image: Picture, *, short_size: float | list[float], max_size: float = 1e10) -> Picture:
    """``ResizeByShort``: scale so that the shorter side is ``short_size`` and the longer at most
    ``max_size``.

    PaddleSeg keeps a ``short_size`` that it had to lower for all pictures that follow; here each picture is
    treated as the first one.
    """
    if isinstance(short_size, list):
        if len(short_size) != 1:
            raise ValueError("a list of short_size draws one at random for each run; name one")
        short_size = short_size[0]
    short, long = min(image.shape[:2]), max(image.shape[:2])
    if short_size / short * long > max_size:
        short_size = int((max_size / long) * short)
    return _scale(image, float(short_size) / float(short))


def limit_long(image: Picture, *, max_long: int | None = None, min_long: int | None = None) -> Picture:
    """``LimitLong``: scale only where the longer side is above ``max_long`` or below ``min_long``."""
    for limit in (max_long, min_long):
        if limit is not None and not isinstance(limit, int):
            raise TypeError("max_long and min_long are whole numbers")
    if max_long is not None and min_long is not None and min_long > max_long:
        raise ValueError("min_long is larger than max_long")
    long = max(image.shape[:2])
    if max_long is not None and long > max_long:
        return resize_by_long(image, long_size=max_long)
    if min_long is not None and long < min_long:
        return resize_by_long(image, long_size=min_long)
    return image


def resize_range_scaling(image: Picture, *, min_value: int = 400, max_value: int = 600) -> Picture:
    """``ResizeRangeScaling``: random, but for ``min_value == max_value``, where it is ``ResizeByLong``."""
    if min_value != max_value:
        raise ValueError("it draws a random size unless min_value equals max_value")
    return resize_by_long(image, long_size=max_value)


def resize_step_scaling(
    image: Picture,
    *,
    min_scale_factor: float = 0.75,
    max_scale_factor: float = 1.25,
    scale_step_size: float = 0.25,
) -> Picture:
    """``ResizeStepScaling``: random, but for equal factors, where it scales by that factor."""
    if min_scale_factor != max_scale_factor:
        raise ValueError("it draws a random scale unless min_scale_factor equals max_scale_factor")
    return _scale(image, min_scale_factor)


def normalize(image: Picture, *, mean: Sequence[float] = (0.5,), std: Sequence[float] = (0.5,)) -> Picture:
    """``Normalize``: divide by 255, subtract ``mean``, divide by ``std``, each rounded to float32.

    ``mean`` and ``std`` are float64, so NumPy computes the last two steps in float64 before it rounds.
    """
    channels = 1 if image.ndim == 2 else image.shape[2]
    for name, values in (("mean", mean), ("std", std)):
        if not isinstance(values, list | tuple) or len(values) not in (1, channels):
            raise ValueError(f"{name} is a list of 1 or {channels} numbers")
    divisor = np.array(std)
    if not divisor.all():
        raise ValueError("std has a zero")
    scaled = image.astype(np.float32, copy=False) / 255.0
    scaled -= np.array(mean)
    scaled /= divisor
    return scaled


def padding(
    image: Picture,
    *,
    target_size: Sequence[int],
    im_padding_value: float = 127.5,
    label_padding_value: float = 255,
) -> Picture:
    """``Padding``: add a constant at the right and the bottom, up to (w, h)."""
    width, height = _pair(target_size)
    right, bottom = width - image.shape[1], height - image.shape[0]
    if right < 0 or bottom < 0:
        raise ValueError(
            f"the picture is {_show(image.shape)}, larger than the {height}x{width} it is to be padded to"
        )
    check_pixels(height, width, "The picture after Padding")
    fill = (im_padding_value,) * (1 if image.ndim == 2 else image.shape[2])
    padded: Picture = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=fill)
    return padded


def padding_by_aspect_ratio(
    image: Picture,
    *,
    aspect_ratio: float = 1,
    im_padding_value: float = 127.5,
    label_padding_value: float = 255,
) -> Picture:
    """``PaddingByAspectRatio``: pad at the right or the bottom until width / height is ``aspect_ratio``."""
    height, width = image.shape[:2]
    ratio = width / height
    if ratio == aspect_ratio:
        return image
    if ratio > aspect_ratio:
        height = int(width / aspect_ratio)
    else:
        width = int(height * aspect_ratio)
    return padding(image, target_size=(width, height), im_padding_value=im_padding_value)


def scale_padding(
    image: Picture,
    *,
    target_size: Sequence[int] = (512, 512),
    im_padding_value: float = 127.5,
    label_padding_value: float = 255,
) -> Picture:
    """``ScalePadding``: centre on a square, truncate to uint8, resize bicubically to (w, h). The result is
    uint8.

    PaddleSeg's own raises KeyError without ``gt_fields``, that is in ``predict``; this is what validation
    gets.
    """
    width, height = _pair(target_size)
    rows, columns = image.shape[:2]
    side = max(rows, columns)
    check_pixels(side, side, "The picture after ScalePadding")
    square = np.full((side, side, *image.shape[2:]), np.float64(im_padding_value))
    top, left = int((side - rows) / 2), int((side - columns) / 2)
    square[top : top + rows, left : left + columns] = image
    return _resize(square.astype(np.uint8), width, height, cv2.INTER_CUBIC)


def generate_instance_targets(image: Picture, *, num_classes: int, ignore_index: int = 255) -> Picture:
    """``GenerateInstanceTargets``: works on the label only, so the picture stays as it is."""
    return image


TRANSFORMS: Mapping[str, Callable[..., Picture]] = MappingProxyType(
    {
        "Resize": resize,
        "ResizeByLong": resize_by_long,
        "ResizeByShort": resize_by_short,
        "LimitLong": limit_long,
        "ResizeRangeScaling": resize_range_scaling,
        "ResizeStepScaling": resize_step_scaling,
        "Normalize": normalize,
        "Padding": padding,
        "PaddingByAspectRatio": padding_by_aspect_ratio,
        "ScalePadding": scale_padding,
        "GenerateInstanceTargets": generate_instance_targets,
    }
)
PADDINGS = frozenset({"Padding", "PaddingByAspectRatio"})
RANDOM = frozenset(
    {
        "RandomHorizontalFlip",
        "RandomVerticalFlip",
        "RandomPaddingCrop",
        "RandomCenterCrop",
        "RandomNoise",
        "RandomBlur",
        "RandomRotation",
        "RandomScaleAspect",
        "RandomDistort",
        "RandomAffine",
    }
)


def check_transforms(steps: Sequence[Transform], source: str) -> None:
    """Raise InputError where a transform or one of its parameters is not known, without a picture."""
    for name, given in steps:
        _complete(name, given, source)


def _complete(name: str, given: Mapping[str, Any], source: str) -> dict[str, Any]:
    """All parameters of a transform: the given ones and the defaults of the rest."""
    if name in RANDOM:
        raise InputError(
            f"{source}: the transform {name} is random, for training only; with it no two runs are fed "
            "the same tensor. Remove it, or give the tensor itself as a .npy file."
        )
    if name not in TRANSFORMS:
        raise InputError(
            f"{source}: the transform {name} is unknown to PaddleSeg 2.8.0 and to segdiff, which knows "
            f"{', '.join(TRANSFORMS)}. Give the tensor itself as a .npy file."
        )
    accepted = list(inspect.signature(TRANSFORMS[name]).parameters.values())[1:]
    unknown = sorted(str(key) for key in set(given) - {parameter.name for parameter in accepted})
    if unknown:
        names = ", ".join(parameter.name for parameter in accepted)
        raise InputError(
            f"{source}: the transform {name} has no parameter {', '.join(unknown)}; it takes {names}."
        )
    missing = [p.name for p in accepted if p.default is p.empty and p.name not in given]
    if missing:
        raise InputError(f"{source}: the transform {name} needs the parameter {', '.join(missing)}.")
    return {p.name: given.get(p.name, p.default) for p in accepted}


def _apply(name: str, image: Picture, params: Mapping[str, Any], source: str) -> Picture:
    try:
        return TRANSFORMS[name](image, **params)
    except InputError as error:
        raise InputError(f"{source}: the transform {name}({_arguments(params)}): {error}") from error
    except (cv2.error, ArithmeticError, TypeError, ValueError, MemoryError) as error:
        raise InputError(
            f"{source}: the transform {name}({_arguments(params)}) cannot be applied to a picture of "
            f"{_show(image.shape)} pixels (height x width): {one_line(error)}."
        ) from error


def _sentence(
    name: str,
    given: Mapping[str, Any],
    params: Mapping[str, Any],
    before: Sequence[int],
    after: Sequence[int],
) -> str:
    assumed = {
        key: value for key, value in params.items() if key not in given and key != "label_padding_value"
    }
    text = f"Applied {name}({_arguments(given)})"
    if assumed:
        text += f" with PaddleSeg's defaults {_arguments(assumed)}"
    if tuple(before) != tuple(after):
        text += f": {_show(before)} to {_show(after)} pixels (height x width)"
    return text + "."


def _arguments(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={list(v) if isinstance(v, tuple) else v!r}" for key, v in params.items())


def _show(shape: Sequence[int]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _pair(target_size: Sequence[int]) -> tuple[int, int]:
    if not isinstance(target_size, list | tuple) or len(target_size) != 2:
        raise ValueError("target_size is a list of two numbers, [width, height]")
    return target_size[0], target_size[1]


def _scale(image: Picture, scale: float) -> Picture:
    width, height = round(image.shape[1] * scale), round(image.shape[0] * scale)  # round: halves to even
    return _resize(image, width, height, cv2.INTER_LINEAR)


def _resize(image: Picture, width: int, height: int, interpolation: int) -> Picture:
    check_pixels(height, width, "The picture after the resize")
    resized: Picture = cv2.resize(image, (width, height), interpolation=interpolation)
    return resized
