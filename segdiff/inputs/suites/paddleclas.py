"""PaddleClas: ``PreProcess: transform_ops`` with ResizeImage and CropImage, read in RGB.

Source: ``deploy/python/preprocess.py`` of PaddleClas 2.6; PaddleX reads the same list of its exports
(``paddlex/inference/models/image_classification``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdiff.inputs.config import DeployConfig
from segdiff.inputs.pipeline import Stage
from segdiff.inputs.suites.common import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_crop,
    divisor_of,
    named_operators,
    names_of,
    normalized,
    pair,
    resample,
    resized,
    transform_ops,
)
from segdiff.inputs.suites.plan import At, Suite

OWN = frozenset({"ResizeImage", "CropImage"})


def recognises(data: Mapping[str, Any]) -> bool:
    """Whether a config is PaddleClas's."""
    return bool(OWN & names_of(data))


def read(path: Path, data: Mapping[str, Any]) -> DeployConfig:
    """Its operators, in order; ``DecodeImage: to_rgb: false`` leaves the picture BGR."""
    operators = named_operators(path, transform_ops(data) or [])
    decode = next((params for name, params in operators if name == "DecodeImage"), {})
    is_rgb = bool(decode.get("to_rgb", True))
    return DeployConfig(path, suite="PaddleClas", operators=operators, order="RGB" if is_rgb else "BGR")


def resize_image(
    at: At,
    *,
    size: Any = None,
    resize_short: int | None = None,
    interpolation: Any = None,
    backend: str = "cv2",
    return_numpy: bool = True,
) -> tuple[Stage, ...]:
    """So that the shorter side is ``resize_short``; or to ``size``, (width, height)."""
    how = resample(interpolation, backend, at.dtype)
    if resize_short:
        percent = float(resize_short) / min(at.size)
        return resized(at, (round(at.size[0] * percent), round(at.size[1] * percent)), how)
    width, height = pair(size, "size")
    return resized(at, (height, width), how)


def crop_image(at: At, *, size: Any = 224) -> tuple[Stage, ...]:
    """The centre, (width, height)."""
    width, height = pair(size, "size")
    return centre_crop(at, (height, width))


def normalize_image(
    at: At,
    *,
    scale: Any = None,
    mean: Any = None,
    std: Any = None,
    order: str = "chw",
    output_fp16: bool = False,
    channel_num: int = 3,
) -> tuple[Stage, ...]:
    """Multiply by ``scale``, subtract ``mean``, divide by ``std``."""
    if channel_num != 3:
        raise ValueError("a fourth channel of zeros is nothing that segdiff makes")
    return normalized(divisor_of(scale), mean or IMAGENET_MEAN, std or IMAGENET_STD)


def nothing(at: At, **_: Any) -> tuple[Stage, ...]:
    """What reading and laying out already do, or what concerns labels alone."""
    return ()


SUITE = Suite(
    "PaddleClas",
    recognises,
    read,
    {
        "DecodeImage": nothing,
        "ResizeImage": resize_image,
        "CropImage": crop_image,
        "CenterCrop": crop_image,
        "NormalizeImage": normalize_image,
        "ToCHWImage": nothing,
    },
)
