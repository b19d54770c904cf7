"""What several suites share: how parameters are written, and the steps that they come to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segdiff.core.errors import InputError
from segdiff.inputs.pipeline import Crop, Normalize, Resize, Stage
from segdiff.inputs.resample import Resample
from segdiff.inputs.suites.plan import At

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MODES = ("NEAREST", "LINEAR", "CUBIC", "AREA", "LANCZOS4")
"""OpenCV's interpolations by their numbers, which configs write."""
OPENCV_WORDS = {"BILINEAR": "LINEAR", "BICUBIC": "CUBIC", "LANCZOS": "LANCZOS4"}
PIL_WORDS = {"LINEAR": "BILINEAR", "CUBIC": "BICUBIC", "LANCZOS4": "LANCZOS"}
FRACTION = re.compile(r"\s*([\d.]+(?:[eE][+-]?\d+)?)\s*(?:/\s*([\d.]+(?:[eE][+-]?\d+)?)\s*)?")
CHANNELS = 3

Given = tuple[str, Mapping[str, Any]]


def transform_ops(data: Mapping[str, Any]) -> list[Any] | None:
    """The list ``PreProcess: transform_ops`` of a config, None where there is none."""
    section = data.get("PreProcess")
    found = section.get("transform_ops") if isinstance(section, Mapping) else None
    return found if isinstance(found, list) else None


def named_operators(path: Path, given: Sequence[Any]) -> tuple[Given, ...]:
    """Operators that are written ``- Name: {parameter: value}``, or ``- Name:`` alone."""
    found = []
    for position, entry in enumerate(given, start=1):
        if isinstance(entry, str):
            entry = {entry: None}
        if not isinstance(entry, Mapping) or len(entry) != 1:
            raise InputError(f"{path}: operator {position} is not written as a name with its parameters.")
        (name, params), *_ = entry.items()
        if not isinstance(params, Mapping | None):
            raise InputError(f"{path}: the parameters of {name} are {params!r}, not a mapping.")
        found.append((str(name), {str(key): value for key, value in (params or {}).items()}))
    return tuple(found)


def names_of(data: Mapping[str, Any]) -> set[str]:
    """The names of the operators in ``PreProcess: transform_ops``."""
    entries = transform_ops(data) or []
    return {str(name) for entry in entries if isinstance(entry, Mapping) for name in entry}


def model_name(data: Mapping[str, Any]) -> str | None:
    """``Global: model_name``, by which PaddleX knows a model."""
    section = data.get("Global")
    name = section.get("model_name") if isinstance(section, Mapping) else None
    return name if isinstance(name, str) else None


def pair(value: Any, what: str) -> tuple[int, int]:
    """Two whole numbers, or one for both."""
    if isinstance(value, int):
        return value, value
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{what} is one whole number, or a list of two")
    return int(value[0]), int(value[1])


def opencv_mode(interp: Any) -> str:
    """OpenCV's interpolation by number or by name."""
    if isinstance(interp, int) and 0 <= interp < len(MODES):
        return MODES[interp]
    word = str(interp).upper()
    word = OPENCV_WORDS.get(word, word)
    if word not in MODES:
        raise ValueError(f"{interp!r} is no interpolation that segdiff knows")
    return word


def resample(interp: Any, backend: str, dtype: str) -> Resample:
    """The library and mode of a resize."""
    if str(backend).lower() == "pil":
        word = str(interp or "BILINEAR").upper()
        return Resample("PIL", PIL_WORDS.get(word, word), "uint8")
    mode = "LINEAR" if interp is None else opencv_mode(interp)
    return Resample("OpenCV", mode, dtype)  # type: ignore[arg-type]


def resized(at: At, size: tuple[int, int], how: Resample) -> tuple[Stage, ...]:
    """A resize to (height, width), none where the picture has that size."""
    return () if size == at.size else (Resize(*size, how),)


def centre_crop(at: At, size: tuple[int, int]) -> tuple[Stage, ...]:
    """The centre, (height, width)."""
    if size[0] > at.size[0] or size[1] > at.size[1]:
        raise ValueError(f"the crop {size[0]}x{size[1]} is larger than the picture")
    return (Crop(*size, (at.size[0] - size[0]) // 2, (at.size[1] - size[1]) // 2),)


def normalized(divisor: float, mean: Any, std: Any) -> tuple[Stage, ...]:
    """A normalisation whose constants are one number or one a channel."""
    return (Normalize(divisor, per_channel(mean), per_channel(std)),)


def per_channel(value: Any) -> tuple[float, ...]:
    """One number for each channel."""
    values = value if isinstance(value, list | tuple) else [value]
    if len(values) not in (1, CHANNELS):
        raise ValueError(f"{value!r} is not one number or {CHANNELS}")
    return tuple(float(each) for each in values) * (CHANNELS // len(values))


def divisor_of(scale: Any) -> float:
    """What ``scale`` (a factor: 0.00392157, ``1./255.``) divides by; None is 1/255."""
    if scale is None:
        return 255.0
    if isinstance(scale, str):
        found = FRACTION.fullmatch(scale)
        if found is None:
            raise ValueError(f"scale is {scale!r}, not a number or a fraction")
        above, below = float(found[1]), float(found[2] or 1.0)
        return below / above
    return 255.0 if abs(float(scale) * 255.0 - 1.0) < 1e-6 else 1.0 / float(scale)
