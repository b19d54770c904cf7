"""PaddleOCR: ``PreProcess: transform_ops`` with DetResizeForTest or RecResizeImg, read in BGR.

Source: ``ppocr/data/imaug/operators.py`` and ``rec_img_aug.py`` of PaddleOCR 3. Where the config has a
``Global: model_name``, PaddleOCR 3 leaves the inference to PaddleX, which reads DetResizeForTest and
RecResizeImg in a way of its own (``paddlex/inference/models/text_detection`` and ``text_recognition``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdiff.inputs.config import DeployConfig
from segdiff.inputs.pipeline import Canvas, Stage
from segdiff.inputs.resample import Resample
from segdiff.inputs.suites.common import (
    CHANNELS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    divisor_of,
    model_name,
    named_operators,
    names_of,
    normalized,
    pair,
    resized,
    transform_ops,
)
from segdiff.inputs.suites.plan import At, Suite, after

OWN = frozenset({"DetResizeForTest", "RecResizeImg", "DetLabelEncode", "MultiLabelEncode", "CTCLabelEncode"})
STRIDE, LONG_STRIDE = 32, 128
"""Multiples that a detector's sides are brought to; the larger one with ``resize_long``."""
SMALLEST = 64
"""Pictures whose sides together are shorter are first padded with black."""
WIDEST = 3200
"""Pixels that PaddleX lets a line of text have."""
LIMITED = frozenset(f"PP-OCRv{version}_{size}_det" for version in (3, 4, 5) for size in ("server", "mobile"))
"""Detectors whose longer side PaddleX limits; it limits the shorter side of the others."""
LABELS = ("DetLabelEncode", "MultiLabelEncode", "CTCLabelEncode", "KeepKeys", "ToCHWImage", "DecodeImage")


def recognises(data: Mapping[str, Any]) -> bool:
    """Whether a config is PaddleOCR's."""
    names = names_of(data)
    return bool(OWN & names) or "img_mode" in _decode(data)


def read(path: Path, data: Mapping[str, Any]) -> DeployConfig:
    """Its operators, in order; the order of the channels is ``img_mode``, and BGR where nothing is said."""
    operators = named_operators(path, transform_ops(data) or [])
    mode = str(_decode(data).get("img_mode", "BGR")).upper()
    cannot = None if mode in ("BGR", "RGB") else f"DecodeImage with img_mode {mode}"
    return DeployConfig(
        path,
        suite="PaddleOCR",
        operators=operators,
        order="RGB" if mode == "RGB" else "BGR",
        model_name=model_name(data),
        cannot=cannot,
    )


def det_resize_for_test(
    at: At,
    *,
    image_shape: Any = None,
    keep_ratio: bool = False,
    limit_side_len: int | None = None,
    limit_type: str | None = None,
    resize_long: int | None = None,
    max_side_limit: int = 4000,
    **_: Any,
) -> tuple[Stage, ...]:
    """To ``image_shape`` (height, width); or with the longer or the shorter side limited; or by the longer.

    Sides become multiples of 32 (with ``resize_long`` of 128); ``image_shape`` without ``keep_ratio`` is
    taken as it is.
    """
    steps = _padded(at)
    for step in steps:
        at = after(at, step)
    height, width = at.size
    if image_shape is not None:
        size = pair(image_shape, "image_shape")
        if keep_ratio:
            size = size[0], math.ceil(width * size[0] / height / STRIDE) * STRIDE
        return (*steps, *_linear(at, size))
    name = at.config.model_name
    if name is not None and limit_side_len is None:  # as PaddleX reads it
        kind = limit_type or ("max" if name in LIMITED else "min")
        limit = resize_long or (960 if name in LIMITED else 736)
        return (*steps, *_linear(at, _limited(height, width, limit, kind, max_side_limit)))
    if limit_side_len is None and resize_long is not None:
        ratio = resize_long / max(height, width)
        size = _up(int(height * ratio), LONG_STRIDE), _up(int(width * ratio), LONG_STRIDE)
        return (*steps, *_linear(at, size))
    kind = limit_type or "min"
    return (*steps, *_linear(at, _limited(height, width, limit_side_len or 736, kind, max_side_limit)))


def rec_resize_img(
    at: At, *, image_shape: Any, padding: bool = True, eval_mode: bool = False, **_: Any
) -> tuple[Stage, ...]:
    """A line of text to the height of ``image_shape`` (3, height, width), -1 to 1, zeros on its right.

    PaddleX lets a long line be wider than ``image_shape``, PaddleOCR's own operator squeezes it.
    """
    height, width = (int(side) for side in image_shape[1:])
    ratio = at.size[1] / at.size[0]
    if at.config.model_name is not None:
        width = min(int(height * max(width / height, ratio)), WIDEST)
    inner = min(math.ceil(height * ratio), width) if padding else width
    steps = (*_linear(at, (height, inner)), *normalized(255.0, 0.5, 0.5))
    return steps if inner == width else (*steps, Canvas(height, width, 0, 0, (0.0,) * CHANNELS))


def normalize_image(
    at: At, *, scale: Any = None, mean: Any = None, std: Any = None, order: str = "chw", **_: Any
) -> tuple[Stage, ...]:
    """Multiply by ``scale``, subtract ``mean``, divide by ``std``."""
    return normalized(divisor_of(scale), mean or IMAGENET_MEAN, std or IMAGENET_STD)


def pad(at: At, *, size: Any = None, size_div: int = STRIDE, **_: Any) -> tuple[Stage, ...]:
    """Black at the bottom and the right, up to (height, width) or to multiples."""
    height, width = pair(size, "size") if size else (max(_up(side, size_div), size_div) for side in at.size)
    if height < at.size[0] or width < at.size[1]:
        raise ValueError(f"it is larger than the {height}x{width} that it is to be padded to")
    return (Canvas(height, width, 0, 0, (0.0,) * CHANNELS),)


def resize(at: At, *, size: Any = (640, 640), **_: Any) -> tuple[Stage, ...]:
    """To (height, width)."""
    return _linear(at, pair(size, "size"))


def nothing(at: At, **_: Any) -> tuple[Stage, ...]:
    """What reading and laying out already do, or what concerns labels alone."""
    return ()


def _decode(data: Mapping[str, Any]) -> Mapping[str, Any]:
    for entry in transform_ops(data) or []:
        params = entry.get("DecodeImage") if isinstance(entry, Mapping) else None
        if isinstance(params, Mapping):
            return params
    return {}


def _padded(at: At) -> tuple[Canvas, ...]:
    """A tiny picture on a black one of at least 32x32."""
    if sum(at.size) >= SMALLEST:
        return ()
    return (Canvas(max(STRIDE, at.size[0]), max(STRIDE, at.size[1]), 0, 0, (0.0,) * CHANNELS),)


def _limited(height: int, width: int, limit: int, kind: str, most: int) -> tuple[int, int]:
    """Both sides by one ratio, then each to the nearest multiple of 32."""
    long, short = max(height, width), min(height, width)
    if kind == "max":
        ratio = limit / long if long > limit else 1.0
    elif kind == "min":
        ratio = limit / short if short < limit else 1.0
    elif kind == "resize_long":
        ratio = limit / long
    else:
        raise ValueError(f"limit_type is {kind!r}; there are max, min and resize_long")
    sides = int(height * ratio), int(width * ratio)
    if max(sides) > most:
        ratio = most / max(sides)
        sides = int(sides[0] * ratio), int(sides[1] * ratio)
    return tuple(max(int(round(side / STRIDE) * STRIDE), STRIDE) for side in sides)  # type: ignore[return-value]


def _up(side: int, multiple: int) -> int:
    return (side + multiple - 1) // multiple * multiple


def _linear(at: At, size: tuple[int, int]) -> tuple[Stage, ...]:
    return resized(at, size, Resample("OpenCV", "LINEAR", at.dtype))  # type: ignore[arg-type]


SUITE = Suite(
    "PaddleOCR",
    recognises,
    read,
    {
        "DetResizeForTest": det_resize_for_test,
        "RecResizeImg": rec_resize_img,
        "NormalizeImage": normalize_image,
        "Pad": pad,
        "Resize": resize,
        **dict.fromkeys(LABELS, nothing),
    },
)
