"""PaddleX: ``PreProcess: transform_ops`` with its common operators, read in RGB, sizes as (width, height).

Source: ``paddlex/inference/models/common/vision/processors.py`` of PaddleX 3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdiff.inputs.config import DeployConfig
from segdiff.inputs.pipeline import Stage
from segdiff.inputs.suites.common import (
    centre_crop,
    divisor_of,
    model_name,
    named_operators,
    normalized,
    pair,
    resample,
    resized,
    transform_ops,
)
from segdiff.inputs.suites.paddleclas import normalize_image, nothing
from segdiff.inputs.suites.plan import At, Suite

READERS = ("ReadImage", "DecodeImage")


def recognises(data: Mapping[str, Any]) -> bool:
    """Whether a config has a list of PaddleX's operators."""
    return transform_ops(data) is not None


def read(path: Path, data: Mapping[str, Any]) -> DeployConfig:
    """Its operators, in order; ``ReadImage: format`` says the order of the channels, else it is RGB."""
    operators = named_operators(path, transform_ops(data) or [])
    reader = next((params for name, params in operators if name in READERS), {})
    order = str(reader.get("format", reader.get("img_mode", "RGB"))).upper()
    return DeployConfig(
        path,
        suite="PaddleX",
        operators=operators,
        order="BGR" if order == "BGR" else "RGB",
        model_name=model_name(data),
        cannot=None if order in ("BGR", "RGB") else f"ReadImage with format {order}",
    )


def resize(
    at: At,
    *,
    target_size: Any,
    keep_ratio: bool = False,
    size_divisor: int | None = None,
    interp: Any = "LINEAR",
    backend: str = "cv2",
) -> tuple[Stage, ...]:
    """To (width, height); with ``keep_ratio`` to the largest size inside it, whichever way round it lies."""
    width, height = pair(target_size, "target_size")
    if (width, height) == (-1, -1):
        return ()
    size = height, width
    if keep_ratio:
        scale = min(max(size) / max(at.size), min(size) / min(at.size))
        size = round(at.size[0] * scale), round(at.size[1] * scale)
    return resized(at, _divided(size, size_divisor), resample(interp, backend, at.dtype))


def resize_by_long(
    at: At,
    *,
    target_long_edge: int,
    size_divisor: int | None = None,
    interp: Any = "LINEAR",
    backend: str = "cv2",
) -> tuple[Stage, ...]:
    """So that the longer side is ``target_long_edge``."""
    scale = target_long_edge / max(at.size)
    size = round(at.size[0] * scale), round(at.size[1] * scale)
    return resized(at, _divided(size, size_divisor), resample(interp, backend, at.dtype))


def resize_by_short(
    at: At,
    *,
    target_short_edge: int,
    size_divisor: int | None = None,
    interp: Any = "LINEAR",
    backend: str = "cv2",
) -> tuple[Stage, ...]:
    """So that the shorter side is ``target_short_edge``."""
    scale = target_short_edge / min(at.size)
    size = round(at.size[0] * scale), round(at.size[1] * scale)
    return resized(at, _divided(size, size_divisor), resample(interp, backend, at.dtype))


def normalize(at: At, *, scale: Any = None, mean: Any = 0.5, std: Any = 0.5) -> tuple[Stage, ...]:
    """Multiply by ``scale`` (1/255), subtract ``mean``, divide by ``std``."""
    return normalized(divisor_of(scale), mean, std)


def crop(at: At, *, crop_size: Any = None, size: Any = 224, mode: str = "C") -> tuple[Stage, ...]:
    """The centre, (width, height)."""
    if mode != "C":
        raise ValueError("only the centre is cut out")
    width, height = pair(crop_size or size, "crop_size")
    return centre_crop(at, (height, width))


def _divided(size: tuple[int, int], divisor: int | None) -> tuple[int, int]:
    if not divisor:
        return size
    return math.ceil(size[0] / divisor) * divisor, math.ceil(size[1] / divisor) * divisor


SUITE = Suite(
    "PaddleX",
    recognises,
    read,
    {
        "Resize": resize,
        "ResizeByLong": resize_by_long,
        "ResizeByShort": resize_by_short,
        "Normalize": normalize,
        "NormalizeImage": normalize_image,
        "Crop": crop,
        "CenterCrop": crop,
        "ToCHWImage": nothing,
        "ToBatch": nothing,
        "KeepKeys": nothing,
        **dict.fromkeys(READERS, nothing),
    },
)
