"""Which few changes turn the reference's preprocessing into the candidate's?

From what is cheap and common to what is dear and rare. A stage makes trials, a trial is a frame and a layout;
its grey levels are fitted to the candidate by a straight line (:mod:`.fit`), whatever the constants are.
Those that fit are taken through every order of channels, constants and dtype, fewest changes first, and put
to the proof. The first stage that proves one ends the search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segdiff.core.metrics import Metrics, compare_arrays
from segdiff.inputs.hypotheses.casts import Cast, casts
from segdiff.inputs.hypotheses.change import Change, Variant
from segdiff.inputs.hypotheses.constants import fitted, line, named, near
from segdiff.inputs.hypotheses.fit import Fit, fitted_lines, sampled
from segdiff.inputs.hypotheses.framing import (
    content,
    cut_out,
    filled,
    lacks_fill,
    padded,
    same_size,
    turned_over,
)
from segdiff.inputs.hypotheses.layout import AsPicture, views
from segdiff.inputs.hypotheses.proof import agrees, rounding, step_of
from segdiff.inputs.hypotheses.resizing import resizings
from segdiff.inputs.pipeline import Pipeline, normalised, pixels, render

Array = NDArray[Any]

MOST_LEVELS = 1.0
"""Grey levels (root mean square) that a line may leave for a trial to be put to the proof: cutting to whole
numbers leaves 0.29, flipped values a little more."""
BEST = 3
"""Trials whose resize is varied at most: the right frame is the best or nearly so, however it is resized."""
LEAST_PIXELS = 64
"""A line through a few pixels fits whatever they are, and would prove nothing."""
LEAST_EXPLAINED = 0.02
"""The share of the variance that a frame must explain for its resize to be varied: NEAREST against an average
of seven by seven pixels of pure noise."""
NEARLY = 0.5
"""The share of the best trial's explained variance that another one needs for its resize to be varied too."""
MOST_PROOFS = 24
"""Sets of constants that are tried on one trial."""
MOSTLY = 0.5
"""The share of equal values from which a guess is judged by that share: the rest is a place of its own."""
CONVINCING = 0.8
"""The share of the variance from which a frame is taken to be the right one, but for the resize."""
LIKELY = 0.25
"""The share of the variance that a frame must explain to be guessed at."""
WORTH = 1.5
"""How many times smaller each change must make the error for a guess to name it."""
GUESS_ROWS = 64
"""Rows that a guess looks at."""
UNUSABLE = (cv2.error, ArithmeticError, ImportError, TypeError, ValueError, MemoryError)
GREY = Change("input.grey", "The candidate's picture was turned to grey.")


@dataclass(frozen=True)
class Source:
    """What the reference's tensor is made of: a picture (H, W, C), BGR, and the pipeline.

    ``picture`` is uint8; or float32 where only the tensor is known, and then it is not resized.
    """

    picture: Array
    pipeline: Pipeline

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        return self.picture.shape[0], self.picture.shape[1]

    @property
    def channels(self) -> int:
        """1 or 3."""
        return int(self.picture.shape[2])

    @property
    def is_picture(self) -> bool:
        """Whether pixels are known, not only a tensor."""
        return self.picture.dtype == np.uint8


@dataclass(frozen=True)
class Explanation:
    """The hypothesis that was proven; or the best one, which explains ``share`` of the values.

    ``rendered`` is the tensor it makes, ``residual`` the error of the candidate against that.
    """

    variant: Variant
    proven: bool
    share: float
    rendered: Array
    residual: Metrics


@dataclass(frozen=True)
class Match:
    """A variant for one view of the candidate, and how well its grey levels fit."""

    source: Source
    view: AsPicture
    variant: Variant
    residual: float
    explained: float

    @property
    def cost(self) -> int:
        """All changes together."""
        return self.variant.cost + len(self.view.changes)


def explain_input(source: Source, candidate: Array) -> Explanation | None:
    """The fewest changes that turn the source's tensor into the candidate's, or the best that could be found.

    ``candidate`` may have any shape and dtype of real numbers. None where no hypothesis comes near.
    """
    options = casts(candidate, source.pipeline.dtype)
    tried: list[Match] = []
    for trials in _rounds(source, candidate):
        ordered = sorted(trials, key=lambda trial: (trial.cost, trial.residual))
        tried += ordered
        for trial in ordered:
            found = _proven(trial, candidate, options)
            if found is not None:
                return found
    likely = [trial for trial in tried if trial.explained >= LIKELY]
    likely = sorted(likely, key=lambda trial: (trial.cost, trial.residual))[:BEST]
    return _best_guess(likely, candidate) if likely else None


def _rounds(source: Source, candidate: Array) -> Iterator[list[Match]]:
    """Trials that are put to the proof together: a stage, then its best with every other resize.

    Other ways to resize are dear, so a stage without a convincing frame waits for the frames that follow.
    """
    waiting: list[Match] = []
    for stage in _stages(source, candidate):
        trials = list(stage)
        yield trials
        waiting += trials
        if any(trial.explained >= CONVINCING for trial in trials):
            yield list(_resized(waiting))
            waiting = []
    yield list(_resized(waiting))


def _stages(source: Source, candidate: Array) -> Iterator[Iterator[Match]]:
    all_views = views(candidate, source.channels)
    yield (
        trial
        for view in all_views
        for trial in _trials(source, view, same_size(source.pipeline, source.size, _size(view)))
        if source.is_picture or not trial.variant.changes
    )
    yield (
        trial
        for view in all_views
        for trial in _trials(source, view, turned_over(source.pipeline, source.size, _size(view)))
    )
    if not source.is_picture:
        return
    yield (trial for view in all_views for trial in _trials(source, view, _frames(source, view)))
    if source.channels > 1:
        grey = cv2.cvtColor(cv2.cvtColor(source.picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        colourless = replace(source, picture=grey)
        yield (
            trial
            for view in all_views
            for trial in _trials(
                colourless,
                replace(view, changes=(*view.changes, GREY)),
                same_size(source.pipeline, source.size, _size(view)),
            )
        )


def _frames(source: Source, view: AsPicture) -> Iterator[Variant]:
    yield from padded(source.pipeline, source.size, view.picture)
    yield from cut_out(source.pipeline, source.picture[..., ::-1], view.picture)


def _size(view: AsPicture) -> tuple[int, int]:
    return view.picture.shape[0], view.picture.shape[1]


def _resized(trials: list[Match]) -> Iterator[Match]:
    """The best trials with every other way of resizing."""
    best = sorted(trials, key=lambda trial: -trial.explained)[:BEST]
    for trial in best:
        if trial.explained >= max(LEAST_EXPLAINED, NEARLY * best[0].explained):
            yield from _trials(trial.source, trial.view, resizings(trial.variant))


def _trials(source: Source, view: AsPicture, variants: Iterable[Variant]) -> Iterator[Match]:
    for variant in variants:
        pair = _levels(source, view, variant.pipeline)
        if pair is not None:
            fit = min(fitted_lines(*pair), key=lambda each: each.residual)
            yield Match(source, view, variant, fit.residual, fit.explained)


def _levels(source: Source, view: AsPicture, pipeline: Pipeline) -> tuple[Array, Array] | None:
    """Some rows of the pipeline's picture, in grey levels, and the candidate's values in the same places."""
    frame = content(pipeline, source.size)
    top, left, height, width = frame.box
    if frame.size != _size(view) or height * width < LEAST_PIXELS:
        return None
    try:
        levels = pixels(pipeline.without_normalize(), source.picture)
    except UNUSABLE:
        return None
    part = slice(top, top + height), slice(left, left + width)
    levels, values = sampled(levels[part], view.picture[part])
    return levels.astype(np.float32, copy=False), values


def _proven(trial: Match, candidate: Array, options: tuple[Cast, ...]) -> Explanation | None:
    """The trial with the fewest further changes that make it the candidate's tensor."""
    if trial.residual > MOST_LEVELS and not any(option.whole for option in options):
        return None
    pair = _levels(trial.source, trial.view, trial.variant.pipeline)
    if pair is None:
        return None
    levels, values = pair
    if np.ptp(values) == 0 < np.ptp(levels):
        return None  # a constant proves nothing: many a cast leaves only zeros
    lines = fitted_lines(levels, values)
    for option in options:
        for variant in _with_constants(trial, lines, option):
            if _comes_near(variant.pipeline, levels, values):
                found = _verified(trial, variant, candidate)
                if found is not None:
                    return found
    return None


def _with_constants(trial: Match, lines: tuple[Fit, ...], option: Cast) -> Iterator[Variant]:
    """Every order of channels, divisor, mean and std that may be the right one, in this dtype."""
    base = replace(trial.variant.pipeline, dtype=option.dtype)
    by_name = named(base, trial.source.channels > 1)
    fit = min(lines, key=lambda each: each.residual)
    if fit.residual <= MOST_LEVELS:
        constants = [*near(by_name, lines)[:MOST_PROOFS], *fitted(base, fit)]
    else:  # a cast to whole numbers can leave nothing that looks like a line
        constants = sorted(by_name, key=lambda variant: variant.cost) if option.whole else []
    for variant in constants:
        yield Variant(variant.pipeline, variant.changes + option.changes)


def _comes_near(pipeline: Pipeline, levels: Array, values: Array) -> bool:
    """The proof in small: on some rows of grey levels that are there already."""
    with np.errstate(all="ignore"):
        made = _valued(pipeline, levels).astype(pipeline.dtype)
    return agrees(made, values, step_of(pipeline, values, levels.shape[2]))


def _valued(pipeline: Pipeline, levels: Array) -> Array:
    """Grey levels in RGB order to the tensor's values."""
    image = levels if pipeline.channels == "RGB" else levels[..., ::-1]
    if pipeline.normalize is not None:
        image = normalised(image, pipeline.normalize)
    return image[..., ::-1] if pipeline.swapped_last else image


def _verified(trial: Match, variant: Variant, candidate: Array) -> Explanation | None:
    """The proof: the picture through the whole pipeline, against the candidate's tensor as it came."""
    whole = _finished(trial, variant)
    try:
        rendered = render(whole.pipeline, trial.source.picture)
    except UNUSABLE:
        return None
    if not agrees(rendered, candidate, step_of(whole.pipeline, candidate, trial.source.channels)):
        return None
    return Explanation(whole, True, 1.0, rendered, compare_arrays(rendered, candidate).metrics)


def _finished(trial: Match, variant: Variant) -> Variant:
    """All changes of trial and variant, in the candidate's layout, its border's value read off the
    candidate."""
    pipeline = replace(variant.pipeline, layout=trial.view.layout)
    whole = Variant(pipeline, trial.view.changes + trial.variant.changes + variant.changes)
    return filled(whole, _border(pipeline, trial)) if lacks_fill(pipeline) else whole


def _border(pipeline: Pipeline, trial: Match) -> tuple[float, ...]:
    """The grey levels, in the order of the steps, that give the value in the candidate's border."""
    top, left, _, _ = content(pipeline, trial.source.size).box
    corner = trial.view.picture[0, 0] if top or left else trial.view.picture[-1, -1]
    slope, offset = line(pipeline, trial.source.channels)
    levels = (corner.astype(np.float64) - offset) / slope
    plain = np.where(np.abs(levels - levels.round(1)) < 1e-3, levels.round(1) + 0.0, levels)
    return tuple((plain[::-1] if pipeline.swapped_last else plain).tolist())


def _best_guess(trials: list[Match], candidate: Array) -> Explanation | None:
    """What explains most of the values; or else what explains most of the error, where nothing explains
    all."""
    guesses = [guess for trial in trials for guess in _guesses(trial)]
    if not guesses:
        return None
    best = max(guesses, key=lambda guess: (guess.share, -guess.error))
    if best.share < MOSTLY:
        best = min(guesses, key=lambda guess: guess.error * WORTH**guess.cost)
        if best.cost == 0:
            return None
    whole = _finished(best.trial, best.variant)
    rendered = render(whole.pipeline, best.trial.source.picture)
    residual = compare_arrays(rendered, candidate).metrics
    return Explanation(whole, False, best.share, rendered, residual)


@dataclass(frozen=True)
class Guess:
    """A hypothesis that fails: the share of equal values, and the mean error of the rest."""

    trial: Match
    variant: Variant
    share: float
    error: float

    @property
    def cost(self) -> int:
        """All changes together."""
        return self.trial.cost + self.variant.cost


def _guesses(trial: Match) -> Iterator[Guess]:
    pair = _levels(trial.source, trial.view, trial.variant.pipeline)
    if pair is None:
        return
    levels, values = (each[:: max(1, len(each) // GUESS_ROWS)] for each in pair)
    allowed = rounding(values)
    for variant in named(trial.variant.pipeline, trial.source.channels > 1):
        error = np.abs(_valued(variant.pipeline, levels).astype(np.float64) - values)
        yield Guess(trial, variant, float(np.mean(error <= allowed)), float(error.mean()))
