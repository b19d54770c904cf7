"""What is a preprocessing, as data? Steps that can be changed one at a time, and the code that runs them.

    picture (H, W, C) BGR -> turn -> channels -> steps (resize, canvas, crop, normalise) -> dtype -> layout

``lower`` makes the reference's pipeline out of PaddleSeg's transforms; :func:`render` runs any pipeline. The
reference's own, rendered, is bit for bit what :func:`segdiff.inputs.prepare.prepare` gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from segdiff.inputs.resample import DEFAULT_RESAMPLE, Resample, resampled
from segdiff.inputs.transforms import PADDINGS, Transform, apply_transforms

Array = NDArray[Any]

Axes = Literal["CHW", "HWC", "CWH", "WHC", "HWC read as CHW"]
Turn = Literal["none", "left-right", "upside down", "by 180", "clockwise", "counter-clockwise"]
NO_PIXELS = frozenset({"Normalize", "GenerateInstanceTargets"})


@dataclass(frozen=True)
class Resize:
    """To a size, by a way of resampling.

    ``factors`` (of height and width) where the size follows from them, not they from the size.
    """

    height: int
    width: int
    resample: Resample = DEFAULT_RESAMPLE
    factors: tuple[float, float] | None = None


@dataclass(frozen=True)
class Canvas:
    """A larger picture with the given one on it; ``fill`` is one number, or one for each channel."""

    height: int
    width: int
    top: int
    left: int
    fill: tuple[float, ...]


@dataclass(frozen=True)
class Crop:
    """A part of the picture."""

    height: int
    width: int
    top: int
    left: int


@dataclass(frozen=True)
class Normalize:
    """``(x / divisor - mean) / std``, one number or one for each channel."""

    divisor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Kept:
    """A transform of PaddleSeg that no hypothesis looks into."""

    name: str
    params: Mapping[str, Any] = field(hash=False)


Stage = Resize | Canvas | Crop | Normalize | Kept


@dataclass(frozen=True)
class Layout:
    """How (H, W, C) becomes the tensor: the order of the axes and the lengths of those in front."""

    axes: Axes = "CHW"
    lead: tuple[int, ...] = (1,)

    def lay_out(self, image: Array) -> Array:
        """The tensor of a picture (H, W, C)."""
        tensor = image.transpose([" HWC".index(axis) - 1 for axis in self.axes[:3]])
        if self.axes == "HWC read as CHW":
            tensor = np.ascontiguousarray(image).reshape(image.shape[2], *image.shape[:2])
        return np.broadcast_to(tensor, (*self.lead, *tensor.shape))


@dataclass(frozen=True)
class Pipeline:
    """From a picture in BGR order to a tensor.

    ``channels`` is the order in which the steps see the channels, ``swapped_last`` whether they are reversed
    behind the steps; ``dtype`` the tensor's.
    """

    steps: tuple[Stage, ...]
    channels: Literal["RGB", "BGR"] = "RGB"
    swapped_last: bool = False
    turn: Turn = "none"
    dtype: str = "float32"
    layout: Layout = Layout()

    @property
    def normalize(self) -> Normalize | None:
        """The only step that changes values, or None where there is none or more than one."""
        found = [step for step in self.steps if isinstance(step, Normalize)]
        return found[0] if len(found) == 1 else None

    @property
    def resample(self) -> Resample:
        """How the first resize resamples; the default where nothing is resized."""
        return next((step.resample for step in self.steps if isinstance(step, Resize)), DEFAULT_RESAMPLE)

    @property
    def canvas(self) -> Canvas | None:
        """The last canvas."""
        return next((step for step in reversed(self.steps) if isinstance(step, Canvas)), None)

    def with_resample(self, resample: Resample) -> Pipeline:
        """Every resize done in this way; before the normalisation where it works on uint8."""
        steps = tuple(
            replace(step, resample=resample) if isinstance(step, Resize) else step for step in self.steps
        )
        if resample.dtype == "uint8" and _resized_late(steps):
            steps = tuple(sorted(steps, key=lambda step: isinstance(step, Normalize)))
        return replace(self, steps=steps)

    def with_normalize(self, normalize: Normalize) -> Pipeline:
        """Other constants at the same place, or at the end where there are none."""
        steps = tuple(normalize if isinstance(step, Normalize) else step for step in self.steps)
        return replace(self, steps=steps if normalize in steps else (*steps, normalize))

    def without_normalize(self) -> Pipeline:
        """Nothing but what moves pixels: grey levels in RGB order."""
        steps = tuple(step for step in self.steps if not isinstance(step, Normalize))
        return replace(self, steps=steps, channels="RGB", swapped_last=False)


def _resized_late(steps: Sequence[Stage]) -> bool:
    """Whether a resize comes behind the normalisation, where the picture is uint8 no longer."""
    order = [type(step) for step in steps if isinstance(step, Normalize | Resize)]
    return Normalize in order and Resize in order[order.index(Normalize) :]


def canvas_first(steps: Sequence[Stage], channels: int) -> tuple[Stage, ...]:
    """The steps with every canvas behind the normalisation brought before it, its fill in grey levels.

    What they make is the same but for the last bit, and all that moves pixels then stands in front.
    """
    done: list[Stage] = []
    for step in steps:
        before = done[-1] if done else None
        if isinstance(step, Canvas) and isinstance(before, Normalize):
            fill = np.broadcast_to(step.fill, channels)
            levels = (fill * np.array(before.std) + np.array(before.mean)) * before.divisor
            done[-1:] = [replace(step, fill=tuple(levels.tolist())), before]
        else:
            done.append(step)
    return tuple(done)


def lower(transforms: Sequence[Transform], size: tuple[int, int], channels: int) -> tuple[Stage, ...]:
    """PaddleSeg's transforms as steps, for a picture of this (height, width).

    The transforms are those that ``prepare`` has applied, so nothing is checked again.
    """
    steps: list[Stage] = []
    picture = np.zeros(size, np.float32)
    for name, params in transforms:
        if name == "Normalize":
            mean, std = (tuple(float(v) for v in params.get(key, (0.5,))) for key in ("mean", "std"))
            steps.append(Normalize(255.0, mean * (channels // len(mean)), std * (channels // len(std))))
        if name in NO_PIXELS:
            continue
        picture = apply_transforms(picture, [(name, params)], name).image
        after = (picture.shape[0], picture.shape[1])
        if name == "ScalePadding":
            steps.append(Kept(name, params))
        elif after != size and name in PADDINGS:
            steps.append(Canvas(*after, 0, 0, (float(params.get("im_padding_value", 127.5)),)))
        elif after != size:
            mode = params.get("interp", "LINEAR") if name == "Resize" else "LINEAR"
            steps.append(Resize(*after, Resample("OpenCV", mode, "float32")))
        size = after
    return tuple(steps)


def pixels(pipeline: Pipeline, picture: Array) -> Array:
    """A picture (H, W, C), BGR or grey, after all steps: (h, w, C), float32 unless it was never turned.

    Raises ValueError, or what OpenCV and PIL raise, where the steps do not fit the picture.
    """
    image = np.ascontiguousarray(turned(picture, pipeline.turn))
    if pipeline.channels == "RGB" and image.shape[2] > 1:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    for step in pipeline.steps:
        image = _apply(step, image)
    return image[..., ::-1] if pipeline.swapped_last else image


def render(pipeline: Pipeline, picture: Array) -> Array:
    """The tensor that a pipeline makes of a picture. Raises what :func:`pixels` raises."""
    image = pixels(pipeline, picture)
    with np.errstate(all="ignore"):
        return pipeline.layout.lay_out(image.astype(pipeline.dtype))


def turned(picture: Array, turn: Turn) -> Array:
    """The picture mirrored or turned."""
    if turn == "left-right":
        return picture[:, ::-1]
    if turn == "upside down":
        return picture[::-1]
    quarters = {"none": 0, "counter-clockwise": 1, "by 180": 2, "clockwise": 3}[turn]
    return np.rot90(picture, quarters)


def _apply(step: Stage, image: Array) -> Array:
    if isinstance(step, Resize):
        return resampled(image, step.height, step.width, step.resample, step.factors)
    if isinstance(step, Crop):
        return image[step.top : step.top + step.height, step.left : step.left + step.width]
    if isinstance(step, Canvas):
        canvas = np.empty((step.height, step.width, image.shape[2]), _canvas_dtype(step, image))
        canvas[:] = np.asarray(step.fill, canvas.dtype)
        canvas[step.top : step.top + image.shape[0], step.left : step.left + image.shape[1]] = image
        return canvas
    if isinstance(step, Normalize):
        return normalised(image, step)
    single = image[..., 0] if image.shape[2] == 1 else image
    after = apply_transforms(single.astype(np.float32), [(step.name, step.params)], step.name).image
    return after.reshape(*after.shape[:2], image.shape[2])


def _canvas_dtype(step: Canvas, image: Array) -> Any:
    """uint8 stays uint8 where the fill is a grey level; anything else is float32."""
    whole = all(float(value).is_integer() and 0 <= value <= 255 for value in step.fill)
    return np.uint8 if whole and image.dtype == np.uint8 else np.float32


def normalised(image: Array, step: Normalize) -> Array:
    """As PaddleSeg's ``normalize``: each operation rounded to float32, the constants being float64."""
    scaled: Array = image.astype(np.float32, copy=False) / np.float32(step.divisor)
    scaled -= np.array(step.mean)
    scaled /= np.array(step.std)
    return scaled
