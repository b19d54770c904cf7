"""Which part of the picture lies where in the candidate's tensor?

Its size, height and width swapped, stretched or padded, cut out, mirrored or turned. Where a part lies is
read off the candidate itself (its constant border, the place where it matches best), so that no convention of
rounding has to be guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from segdiff.inputs.hypotheses.change import Change, Variant
from segdiff.inputs.pipeline import Canvas, Crop, Kept, Normalize, Pipeline, Resize, Stage, Turn
from segdiff.inputs.resample import resampled

Array = NDArray[Any]
Size = tuple[int, int]
Box = tuple[int, int, int, int]

TO_BE_MEASURED = (math.nan,)
FILL = "{fill}"
SHORT_SIDES = (1.0, 256 / 224)
"""How much larger than the tensor the picture is made before its centre is cut out: not at all, or as for
ImageNet."""
LEAST_CONTENT = 0.02
"""The share of the tensor that a picture in a border must have to count as one."""


def same_size(base: Pipeline, picture: Size, size: Size) -> Iterator[Variant]:
    """The frame as the reference has it, with height and width swapped, or the picture stretched."""
    frame = content(base, picture)
    if frame.size == size:
        yield Variant(base)
    plain = _stretched(base, picture, size)
    if frame.size == size and (frame.box == (0, 0, *size) and not _has(base, Kept)):
        return
    if frame.size == size:
        text = f"The candidate's picture is stretched to {show(size)}, the reference's keeps its ratio."
        yield Variant(plain, (Change("input.keep_ratio", text),))
    elif frame.size == size[::-1]:
        text = (
            f"Height and width are swapped: the candidate's picture is resized to {show(size)}, the "
            f"reference's to {show(frame.size)}."
        )
        yield Variant(plain, (Change("input.size_swapped", text),))
    else:
        text = "not resized" if size == picture else f"resized to {show(size)}"
        text = f"The candidate's picture is {text}, the reference's resized to {show(frame.size)}."
        yield Variant(plain, (Change("input.size", text),))


def turned_over(base: Pipeline, picture: Size, size: Size) -> Iterator[Variant]:
    """The picture mirrored or turned before anything else."""
    for turn in get_args(Turn)[1:]:
        before = picture[::-1] if "clockwise" in turn else picture
        steps = base.steps if before == picture or _is_plain(base) else None
        if steps is not None and content(replace(base, steps=steps), before).size == size:
            how = f"mirrored {turn}" if turn == "left-right" else f"turned {turn}"
            text = f"The candidate's picture is {how}."
            yield Variant(replace(base, turn=turn), (Change("input.orientation", text),))


def padded(base: Pipeline, picture: Size, view: Array) -> Iterator[Variant]:
    """The picture brought to a smaller box, the rest filled with a constant."""
    size = (view.shape[0], view.shape[1])
    frame = content(base, picture)
    seen: set[Box] = set()
    for box in (*_bordered(view), *_letterboxes(picture, size)):
        top, left, height, width = box
        if box in seen or (height, width) == size:
            continue
        seen.add(box)
        steps: tuple[Stage, ...] = (Canvas(*size, top, left, TO_BE_MEASURED),)
        if (height, width) != picture:
            steps = (Resize(height, width, base.resample), *steps)
        theirs = f"the reference {_describe(base, frame.box, frame.size)}"
        text = (
            f"The candidate is padded with {FILL} around {height}x{width} at ({top}, {left}) of "
            f"{show(size)}, {theirs}."
        )
        yield Variant(_reframed(base, steps), (Change("input.padding", text),))


def cut_out(base: Pipeline, picture: Array, view: Array) -> Iterator[Variant]:
    """A part of the picture, as it is or after a resize that keeps its ratio; or a part that is stretched."""
    size = (view.shape[0], view.shape[1])
    whole = (picture.shape[0], picture.shape[1])
    frame = content(base, whole)
    theirs = f"the reference {_describe(base, frame.box, frame.size)}"
    covering = max(size[0] / whole[0], size[1] / whole[1])
    sizes = [whole, *(_scaled(whole, covering * factor) for factor in SHORT_SIDES)]
    for scaled in dict.fromkeys(sizes):
        if scaled == size or scaled[0] < size[0] or scaled[1] < size[1]:
            continue
        top, left = _best_place(picture, view, scaled, base)
        steps: tuple[Stage, ...] = (Crop(*size, top, left),)
        how = f"{show(size)} pixels at ({top}, {left}) are cut out of the "
        if scaled != whole:
            steps = (Resize(*scaled, base.resample), *steps)
        how += "picture" if scaled == whole else f"picture resized to {show(scaled)}"
        yield Variant(_reframed(base, steps), (Change("input.crop", f"Of the candidate, {how}; {theirs}."),))
    part = _scaled(size, min(whole[0] / size[0], whole[1] / size[1]))
    if part != whole:
        top, left = (whole[0] - part[0]) // 2, (whole[1] - part[1]) // 2
        steps = (Crop(*part, top, left), Resize(*size, base.resample))
        text = f"The candidate is the centre of the picture, {show(part)}, resized to {show(size)}; {theirs}."
        yield Variant(_reframed(base, steps), (Change("input.crop", text),))


class Framing:
    """The (height, width) of what a pipeline makes, and the box (top, left, height, width) of the picture."""

    def __init__(self, size: Size) -> None:
        self.size, self.box = size, (0, 0, *size)


def content(pipeline: Pipeline, picture: Size) -> Framing:
    """The frame of what the pipeline makes of a picture of this (height, width)."""
    frame = Framing(picture)
    for step in pipeline.steps:
        if isinstance(step, Canvas):
            top, left, height, width = frame.box
            frame.box = (top + step.top, left + step.left, height, width)
            frame.size = (step.height, step.width)
        elif isinstance(step, Resize | Crop):
            frame = Framing((step.height, step.width))
        elif isinstance(step, Kept):
            width, height = step.params.get("target_size", (512, 512))
            frame = Framing((height, width))
    return frame


def filled(variant: Variant, fill: tuple[float, ...]) -> Variant:
    """The variant with its border's grey levels (in the order of the steps) known."""
    steps = tuple(
        replace(step, fill=fill) if isinstance(step, Canvas) and _unknown(step) else step
        for step in variant.pipeline.steps
    )
    values = [f"{value + 0.0:.5g}" for value in fill]  # no minus before a zero
    shown = values[0] if len(set(values)) == 1 else ", ".join(values)
    changes = tuple(replace(change, text=change.text.replace(FILL, shown)) for change in variant.changes)
    return Variant(replace(variant.pipeline, steps=steps), changes)


def lacks_fill(pipeline: Pipeline) -> bool:
    """Whether the pipeline has a border whose value must still be read off the candidate."""
    return any(isinstance(step, Canvas) and _unknown(step) for step in pipeline.steps)


def show(size: Size) -> str:
    """Height x width."""
    return f"{size[0]}x{size[1]}"


def _unknown(step: Canvas) -> bool:
    return math.isnan(step.fill[0])


def _has(pipeline: Pipeline, kind: type[Stage]) -> bool:
    return any(isinstance(step, kind) for step in pipeline.steps)


def _is_plain(pipeline: Pipeline) -> bool:
    """Whether the picture is only stretched, so that its own size does not matter."""
    frames = [step for step in pipeline.steps if not isinstance(step, Normalize)]
    return len(frames) == 1 and isinstance(frames[0], Resize)


def _describe(base: Pipeline, box: Box, size: Size) -> str:
    if base.canvas is None or box[2:] == size:
        return f"is the whole picture resized to {show(size)}"
    fill = ", ".join(f"{value:g}" for value in base.canvas.fill)
    return f"is padded with {fill} around {box[2]}x{box[3]} at ({box[0]}, {box[1]})"


def _reframed(base: Pipeline, steps: tuple[Stage, ...]) -> Pipeline:
    """Other steps for the geometry, the same normalisation behind them."""
    return replace(base, steps=(*steps, *(s for s in base.steps if isinstance(s, Normalize))))


def _stretched(base: Pipeline, picture: Size, size: Size) -> Pipeline:
    return _reframed(base, () if size == picture else (Resize(*size, base.resample),))


def _scaled(size: Size, scale: float) -> Size:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _letterboxes(picture: Size, size: Size) -> Iterator[Box]:
    """Where a picture that keeps its ratio goes by the usual conventions: the corner, or the centre."""
    scale = min(size[0] / picture[0], size[1] / picture[1])
    for ratio in (scale, min(scale, 1.0)):
        height, width = (min(a, b) for a, b in zip(_scaled(picture, ratio), size, strict=True))
        yield 0, 0, height, width
        yield (size[0] - height) // 2, (size[1] - width) // 2, height, width


def _bordered(view: Array) -> Iterator[Box]:
    """The box of what differs from a constant border, if there is one."""
    for corner in (view[-1, -1], view[0, 0]):
        inside = np.any(view != corner, axis=2)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if len(rows) and len(columns):
            height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
            if height * width >= LEAST_CONTENT * inside.size:
                yield int(rows[0]), int(columns[0]), height, width


def _best_place(picture: Array, view: Array, scaled: Size, base: Pipeline) -> tuple[int, int]:
    """(top, left) of the part that matches the candidate best; the middle channel is in its place in RGB and
    in BGR."""
    middle = picture.shape[2] // 2
    whole = picture[..., middle : middle + 1].astype(np.float32)
    if scaled != picture.shape[:2]:
        whole = resampled(whole, *scaled, replace(base.resample, dtype="float32"))
    part = np.ascontiguousarray(view[..., middle], dtype=np.float32)
    _, _, _, (left, top) = cv2.minMaxLoc(cv2.matchTemplate(whole[..., 0], part, cv2.TM_CCOEFF_NORMED))
    return top, left
