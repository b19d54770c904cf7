"""PaddleDetection: ``infer_cfg.yml`` with a list ``Preprocess``, read in RGB, sizes as (height, width).

Source: ``deploy/python/preprocess.py`` of PaddleDetection 2.8; PaddleX reads the same list of its exports
(``paddlex/inference/models/object_detection``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdiff.core.errors import InputError
from segdiff.inputs.config import DeployConfig
from segdiff.inputs.pipeline import Canvas, Resize, Stage
from segdiff.inputs.resample import Resample
from segdiff.inputs.suites.common import (
    CHANNELS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    normalized,
    opencv_mode,
    pair,
    per_channel,
)
from segdiff.inputs.suites.plan import At, Suite

GREY_PAD, LETTERBOX_PAD = (114.0,) * CHANNELS, (127.5,) * CHANNELS


def recognises(data: Mapping[str, Any]) -> bool:
    """Whether a config is PaddleDetection's."""
    return "Preprocess" in data


def read(path: Path, data: Mapping[str, Any]) -> DeployConfig:
    """Its operators, in order."""
    given = data["Preprocess"]
    if not isinstance(given, list):
        raise InputError(f"{path}: Preprocess is {given!r}, not a list.")
    found = []
    for position, entry in enumerate(given, start=1):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str):
            raise InputError(f"{path}: operator {position} of Preprocess has no type.")
        found.append((entry["type"], {str(key): value for key, value in entry.items() if key != "type"}))
    return DeployConfig(path, suite="PaddleDetection", operators=tuple(found))


def resize(at: At, *, target_size: Any, keep_ratio: bool = True, interp: Any = 1) -> tuple[Stage, ...]:
    """To (height, width); or with ``keep_ratio`` to the largest size inside it, whichever way round it lies.

    OpenCV is given the two factors, so it samples in steps of exactly 1 / factor.
    """
    height, width = pair(target_size, "target_size")
    if keep_ratio:
        short, long = min(at.size), max(at.size)
        scale = min(height, width) / short
        if round(scale * long) > max(height, width):
            scale = max(height, width) / long
        factors = (scale, scale)
    else:
        factors = (height / at.size[0], width / at.size[1])
    made = round(at.size[0] * factors[0]), round(at.size[1] * factors[1])  # cvRound: halves to even
    how = Resample("OpenCV", opencv_mode(interp), at.dtype)  # type: ignore[arg-type]
    return (Resize(*made, how, factors),)


def normalize_image(
    at: At,
    *,
    mean: Any = IMAGENET_MEAN,
    std: Any = IMAGENET_STD,
    is_scale: bool = True,
    norm_type: str | None = "mean_std",
) -> tuple[Stage, ...]:
    """Divide by 255 if ``is_scale``, then mean and std unless ``norm_type`` is ``none``."""
    divisor = 255.0 if is_scale else 1.0
    if norm_type not in (None, "mean_std"):
        mean, std = 0.0, 1.0
    return normalized(divisor, mean, std)


def pad(at: At, *, size: Any = (640, 640), fill_value: Any = GREY_PAD) -> tuple[Stage, ...]:
    """A larger picture with the given one in its top left corner."""
    if isinstance(size, list | tuple) and len(size) == CHANNELS:
        size = size[1:]
    height, width = pair(size, "size")
    return _canvas(at, height, width, per_channel(fill_value))


def pad_stride(at: At, *, stride: int = 0) -> tuple[Stage, ...]:
    """Zeros at the bottom and the right, up to multiples of ``stride``."""
    if stride <= 0:
        return ()
    height, width = (math.ceil(side / stride) * stride for side in at.size)
    return _canvas(at, height, width, (0.0,) * CHANNELS)


def letter_box_resize(at: At, *, target_size: Any) -> tuple[Stage, ...]:
    """As large as fits with its ratio kept, centred on grey."""
    height, width = pair(target_size, "target_size")
    ratio = min(height / at.size[0], width / at.size[1])
    inner = round(at.size[0] * ratio), round(at.size[1] * ratio)
    top, left = (round((outer - side) / 2 - 0.1) for outer, side in zip((height, width), inner, strict=True))
    bottom, right = (
        round((outer - side) / 2 + 0.1) for outer, side in zip((height, width), inner, strict=True)
    )
    how = Resample("OpenCV", "AREA", at.dtype)  # type: ignore[arg-type]
    size = inner[0] + top + bottom, inner[1] + left + right
    # A border of 127.5 around a uint8 picture is rounded to the even 128.
    fill = LETTERBOX_PAD if at.is_float else (128.0,) * CHANNELS
    return (Resize(*inner, how, None), Canvas(*size, top, left, fill))


def permute(at: At, **_: Any) -> tuple[Stage, ...]:
    """HWC to CHW, which every pipeline ends in."""
    return ()


def _canvas(at: At, height: int, width: int, fill: tuple[float, ...]) -> tuple[Stage, ...]:
    if height < at.size[0] or width < at.size[1]:
        raise ValueError(f"it is larger than the {height}x{width} that it is to be padded to")
    return () if (height, width) == at.size else (Canvas(height, width, 0, 0, fill),)


SUITE = Suite(
    "PaddleDetection",
    recognises,
    read,
    {
        "Resize": resize,
        "NormalizeImage": normalize_image,
        "Permute": permute,
        "Pad": pad,
        "PadStride": pad_stride,
        "LetterBoxResize": letter_box_resize,
    },
)
