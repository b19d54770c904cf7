"""A user's preprocessing script with every mistake as a switch, written with NumPy, OpenCV and PIL alone.

It shares no code with segdiff: what segdiff proves about its tensors, it proves about somebody else's code.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])
HEIGHT, WIDTH = 48, 64


def scene(height: int = 90, width: int = 150, seed: int = 0) -> NDArray[np.uint8]:
    """A picture with areas, edges and grain in three different colours, without symmetry."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.circle(picture, (width // 3, height // 4), height // 6, (20, 60, 230), -1)
    cv2.rectangle(picture, (width // 2, height // 2), (width - 9, height - 20), (200, 90, 10), -1)
    grain = rng.normal(0, 6, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Script:
    """What the script does; the defaults are what PaddleSeg does."""

    bgr: bool = False
    swap_late: bool = False
    divisor: float = 255.0
    mean: Any = field(default_factory=lambda: MEAN)
    std: Any = field(default_factory=lambda: STD)
    library: str = "cv2"
    mode: int = cv2.INTER_LINEAR
    as_uint8: bool = False
    frame: str = "stretch"
    layout: str = "NCHW"
    dtype: str = "float32"
    exact: bool = False  # reckon in float64 throughout

    def __call__(self, picture: NDArray[np.uint8]) -> Array:
        image = picture if self.bgr else picture[..., ::-1]
        image = self.framed(np.ascontiguousarray(image))
        image = image.astype(np.float64 if self.exact else np.float32)
        image = (image / self.divisor - self.mean) / self.std
        if self.swap_late:
            image = image[..., ::-1]
        return laid_out(image.astype(np.float32), self.layout).astype(self.dtype)

    def framed(self, image: Array) -> Array:
        rows, columns = image.shape[:2]
        if self.frame == "stretch":
            return self.resized(image, HEIGHT, WIDTH)
        if self.frame == "swapped":
            return self.resized(image, WIDTH, HEIGHT)
        if self.frame == "mirrored":
            return self.resized(np.ascontiguousarray(image[:, ::-1]), HEIGHT, WIDTH)
        if self.frame == "other size":
            return self.resized(image, 40, 56)
        if self.frame == "untouched":
            return image
        if self.frame == "letterbox":
            scale = min(HEIGHT / rows, WIDTH / columns)
            inner = self.resized(image, int(rows * scale), int(columns * scale))
            canvas = np.full((HEIGHT, WIDTH, 3), 114.0, np.float32)
            top = (HEIGHT - inner.shape[0]) // 2
            canvas[top : top + inner.shape[0], : inner.shape[1]] = inner
            return canvas
        if self.frame == "cover":
            scale = max(HEIGHT / rows, WIDTH / columns)
            outer = self.resized(image, round(rows * scale), round(columns * scale))
            top, left = (outer.shape[0] - HEIGHT) // 2, (outer.shape[1] - WIDTH) // 2
            return outer[top : top + HEIGHT, left : left + WIDTH]
        assert self.frame == "corner"
        return image[:HEIGHT, :WIDTH]

    def resized(self, image: Array, height: int, width: int) -> Array:
        if self.library == "PIL":
            return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling(self.mode)))
        image = image if self.as_uint8 else image.astype(np.float32)
        return cv2.resize(image, (width, height), interpolation=self.mode)


def laid_out(image: Array, layout: str) -> Array:
    if layout == "reshaped":
        return np.ascontiguousarray(image).reshape(1, 3, *image.shape[:2])
    if layout == "CHW":
        return image.transpose(2, 0, 1)
    tensor = image[np.newaxis]
    return {"NHWC": tensor, "NCHW": tensor.transpose(0, 3, 1, 2), "NCWH": tensor.transpose(0, 3, 2, 1)}[
        layout
    ]


PIL_MODES = ("NEAREST", "BOX", "BILINEAR", "HAMMING", "BICUBIC", "LANCZOS")

MISTAKES: dict[str, dict[str, tuple[dict[str, Any], str]]] = {
    "order": {
        "fed BGR": ({"bgr": True}, "input.channel_order"),
        "normalised as RGB, fed BGR": ({"swap_late": True}, "input.channel_order"),
        "normalised before the swap": ({"bgr": True, "swap_late": True}, "input.normalize_order"),
    },
    "scale": {
        "no 1/255": ({"divisor": 1.0}, "input.scale"),
        "1/255 twice": ({"divisor": 255.0 * 255.0}, "input.scale"),
        "1/256": ({"divisor": 256.0}, "input.scale"),
    },
    "constants": {
        "mean and std swapped": ({"mean": STD, "std": MEAN}, "input.mean_std"),
        "no mean, no std": ({"mean": 0.0, "std": 1.0}, "input.mean_std"),
        "no std": ({"std": 1.0}, "input.mean_std"),
        "no mean": ({"mean": 0.0}, "input.mean_std"),
        "a half": ({"mean": 0.5, "std": 0.5}, "input.mean_std"),
        "others": (
            {"mean": np.array([0.31, 0.32, 0.33]), "std": np.array([0.2, 0.25, 0.21])},
            "input.mean_std",
        ),
    },
    "resize": {
        "uint8": ({"as_uint8": True}, "input.resize_dtype"),
        "cv2 NEAREST": ({"mode": cv2.INTER_NEAREST}, "input.interpolation"),
        "cv2 CUBIC": ({"mode": cv2.INTER_CUBIC}, "input.interpolation"),
        "cv2 AREA": ({"mode": cv2.INTER_AREA}, "input.interpolation"),
        "cv2 LANCZOS4": ({"mode": cv2.INTER_LANCZOS4}, "input.interpolation"),
        **{
            f"PIL {mode}": ({"library": "PIL", "mode": Image.Resampling[mode]}, "input.interpolation")
            for mode in PIL_MODES
        },
    },
    "frame": {
        "height and width swapped": ({"frame": "swapped"}, "input.size_swapped"),
        "another size": ({"frame": "other size"}, "input.size"),
        "not resized": ({"frame": "untouched"}, "input.size"),
        "letterbox": ({"frame": "letterbox"}, "input.padding"),
        "centre crop": ({"frame": "cover"}, "input.crop"),
        "corner crop": ({"frame": "corner"}, "input.crop"),
        "mirrored": ({"frame": "mirrored"}, "input.orientation"),
    },
    "layout": {
        "NHWC": ({"layout": "NHWC"}, "input.layout"),
        "NCWH": ({"layout": "NCWH"}, "input.layout"),
        "reshaped": ({"layout": "reshaped"}, "input.layout"),
        "no batch axis": ({"layout": "CHW"}, "input.batch_axis"),
    },
    "dtype": {"float16": ({"dtype": "float16"}, "input.dtype")},
}
"""Mistakes by what they touch: the switches, and the kind to be found. Each group can err at once."""


def script(*mistakes: tuple[str, str]) -> tuple[Script, set[str]]:
    """A script that makes these mistakes, (group, name) each, and the kinds that are to be found."""
    made, kinds = Script(), set()
    for group, name in mistakes:
        switches, kind = MISTAKES[group][name]
        made = replace(made, **switches)
        kinds.add(kind)
    return made, kinds
