"""Why does a device depart from the file it runs? Tried on its own inputs, proven by its own output.

There is no file to mend. What can be told is which change of what the file's nodes make gives what the device
has made: the numbers cut off, another layout, other weights, another setting.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from segdiff.align import Segment
from segdiff.align.segments import swallows
from segdiff.core.answer import Cause
from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array
from segdiff.core.metrics import compare_arrays
from segdiff.core.precision import LARGEST
from segdiff.diagnose.device_layouts import writings
from segdiff.diagnose.device_settings import other_settings
from segdiff.diagnose.device_weights import other_weights
from segdiff.diagnose.explain import SECONDS, SHARE, STUMBLED, by_size, explained_step
from segdiff.diagnose.reading.difference_map import statistics, where
from segdiff.engines import Tensor
from segdiff.walk import Run, Step, ends_of
from segdiff.walk.probe import Bench

T = TypeVar("T")

HELPS = 0.5
"""What leaves more than this share of the error explains nothing, and is not judged."""

WEIGHTS_HELP = 0.25
"""The same of other weights: those that were solved for take away more than half of any error, linear or not
(``SPARE`` of :mod:`.device_weights`)."""

LIMIT = LARGEST["float16"]

WEIGHTS = (
    *("parameter.", "conv.kernel_flip", "conv.kernel_transpose", "conv.weight_layout"),
    *("recurrent.weights", "recurrent.bias"),
)
"""How the kinds of causes begin that are other numbers, and not another setting."""


@dataclass(frozen=True)
class Sight:
    """One output: what the file's nodes make of the device's inputs, and what the device did."""

    bench: Bench
    value: str
    mine: Array
    theirs: Array

    @property
    def error(self) -> float:
        """The relative error before anything is tried; infinite where it has no number."""
        found = compare_arrays(self.theirs, self.mine)
        return float("inf") if found.mismatch else found.metrics.rel_l2

    def fitted(self, kind: str, text: str, array: Array) -> Cause | None:
        """The cause that a change of our output stands for, where that is what the device has."""
        after = compare_arrays(self.theirs, array)
        if after.mismatch or not after.metrics.rel_l2 <= HELPS * self.error:
            return None
        got = self.bench.probe.blocks.tensor(np.ascontiguousarray(self.mine))
        if not self.bench.judged(self.value, got, after, ()).right:
            return None
        before = compare_arrays(self.theirs, self.mine)
        return Cause(kind, text, True, after.metrics, before.metrics)


def explain_device(
    run: Run,
    known: Mapping[Segment, Cause],
    progress: Callable[[int], None] = lambda done: None,
    *,
    seconds: float = SECONDS,
) -> dict[Segment, Cause]:
    """The cause of every origin of a device's run, by its segment; ``device.unknown`` where none was found.
    Those that are ``known`` are not looked for.

    Raises nothing that an engine does.
    """
    seconds = run.walk.patience(seconds)
    end = time.monotonic() + seconds
    causes: dict[Segment, Cause] = dict(known)
    for number, step in enumerate(by_size(run.origins)):
        if step.segment in known:
            continue
        left = end - time.monotonic()
        if left <= 0:
            causes[step.segment] = Cause(
                "device.unknown", "The time for all causes was up before its turn.", False
            )
            continue
        try:
            causes[step.segment] = _explained(run, step, min(left, seconds / SHARE))
        except EngineError as error:
            text = f"Its cause could not be looked for: {error}"
            causes[step.segment] = Cause("device.unknown", text, False)
        except Exception as error:  # a hypothesis that stumbles must not take the report with it
            told = STUMBLED.format(error=repr(error)[:200])
            causes[step.segment] = Cause("device.unknown", told, False)
        progress(number + 1)
    return causes


def _explained(run: Run, step: Step, seconds: float) -> Cause:
    end = time.monotonic() + seconds
    held, size = len(step.segment.ops), len(run.alignment.candidate.ops)
    wide = swallows((held, held), (size, size))
    sights = sights_of(run, step)
    if not sights:
        return Cause(
            "device.unknown", "No tensor of its outputs could be had, so no cause was looked for.", False
        )
    # with some bound, setting or weight anything can be had of a part of a model that is wide enough
    tests = (overflowed, laid_out) if wide else (overflowed, saturated, laid_out, set_otherwise, reweighted)
    for test in tests:
        causes = [test(sight, end) for sight in sights]
        if all(cause is not None for cause in causes) and causes[0] is not None:
            return causes[0]
    if wide:
        text = f"The dump holds nothing of what happens in {held} operators: no more was tried in so many."
        return Cause("device.unknown", text, False)
    left = max(end - time.monotonic(), seconds / SHARE)
    return _as_of_a_device(explained_step(run, step, left), sights[0])


def sights_of(run: Run, step: Step) -> list[Sight]:
    """The outputs of an origin that err, with both tensors. Raises EngineError."""
    bench = run.probe.bench(step.segment, dict(run.reference(ends_of(step))))
    wanted = [pair.candidate for pair in step.pairs if pair.judgement and pair.judgement.fault]
    got = bench.run(wanted)
    known = [c for c in wanted if c in bench.truth and c in got]
    # copies: the engine writes its next tensors where these lie, once nobody holds them
    return [Sight(bench, c, got[c].array.copy(), _as_float(bench.truth[c])) for c in known]


def _as_float(tensor: Tensor) -> Array:
    """The device's tensor in float32 where it is in half: its numbers go where ours do."""
    array = tensor.array
    return array.astype(np.float32) if array.dtype == np.float16 else array.copy()


def overflowed(sight: Sight, end: float) -> Cause | None:
    """NaN or infinity where the file's nodes make numbers."""
    mine, theirs = sight.mine, sight.theirs
    if theirs.dtype.kind != "f" or theirs.shape != mine.shape:
        return None
    lost = ~np.isfinite(theirs) & np.isfinite(mine)
    if not lost.any():
        return None
    count = f"{int(lost.sum())} of {lost.size} numbers of the device are infinite or NaN"
    largest = float(np.abs(mine[lost]).max())
    if np.abs(mine[lost]).min() > LIMIT * (1 - 2.0**-10):
        text = f"{count}: float16 ends at {LIMIT:g}, and the file's nodes make up to {largest:.4g} there."
        return Cause("device.overflow", text, True, None, compare_arrays(theirs, mine).metrics)
    inside = (
        f"{count}, where the file's nodes make {largest:.4g} at the most: what overflows lies inside "
        "(a sum, a square, a constant that was cast)."
    )
    return Cause("device.overflow", inside, False, None, compare_arrays(theirs, mine).metrics)


def saturated(sight: Sight, end: float) -> Cause | None:
    """Numbers that end where the file's go on."""
    mine, theirs = sight.mine, sight.theirs
    if theirs.dtype.kind != "f" or theirs.shape != mine.shape or not np.isfinite(theirs).all():
        return None
    low, high = float(theirs.min()), float(theirs.max())
    beyond = (mine > high) | (mine < low) | ~np.isfinite(mine)
    if not beyond.any() or low == high:
        return None
    ends = (
        f"float16 ends at {LIMIT:g}"
        if max(abs(low), abs(high)) == LIMIT
        else f"they end at {low:.4g} and {high:.4g}"
    )
    finite = mine[np.isfinite(mine)]
    text = (
        f"The device has cut off {int(beyond.sum())} of {beyond.size} numbers: {ends}, "
        f"where the file's nodes make {finite.min():.4g} to {finite.max():.4g}."
    )
    cut = np.where(np.isnan(mine), 0, np.clip(mine, low, high)).astype(mine.dtype)
    return sight.fitted("device.saturated", text, cut)


def laid_out(sight: Sight, end: float = math.inf) -> Cause | None:
    """The same numbers in another order."""
    for words, array in in_time(writings(sight.mine, sight.theirs.shape), end):
        text = f"The device's numbers are the file's in another layout: {words}."
        cause = sight.fitted("device.layout", text, array)
        if cause is not None:
            return cause
    return None


def set_otherwise(sight: Sight, end: float) -> Cause | None:
    """What the file's nodes make with a setting that devices get wrong."""
    for kind, words, edits in in_time(other_settings(sight.bench), end):
        cause = _tried(sight, kind, f"On the device {words}.", edits)
        if cause is not None:
            return cause
    return None


def reweighted(sight: Sight, end: float) -> Cause | None:
    """What the file's nodes make with other weights."""
    for kind, words, edits in in_time(other_weights(sight.bench, sight.value, sight.theirs), end):
        text = f"The device has computed with other weights: {words}."
        cause = _tried(sight, kind, text, edits, WEIGHTS_HELP)
        if cause is not None:
            return cause
    return None


def in_time(tried: Iterator[T], end: float) -> Iterator[T]:
    """What is tried, until the time is up: a segment of many operators has thousands of settings."""
    for each in tried:
        if time.monotonic() > end:
            return
        yield each


def _tried(sight: Sight, kind: str, text: str, edits: tuple[Edit, ...], most: float = HELPS) -> Cause | None:
    try:
        trial = sight.bench.attempt(edits)
    except EngineError:
        return None
    if not trial.agrees or trial.error > most * sight.error:
        return None
    return Cause(kind, text, True, trial.worst, compare_arrays(sight.theirs, sight.mine).metrics)


def _as_of_a_device(found: Cause, sight: Sight) -> Cause:
    """A cause of the usual diagnosis, which had the device for its reference, in the device's words. There is
    nothing to edit."""
    if found.kind in ("unknown", "topk.ties"):
        text = (
            f"No change that segdiff knows gives what the device has. The difference is "
            f"{in_device_words(where(sight.theirs, sight.mine))}. The device has {statistics(sight.theirs)}; "
            f"the file's nodes make {statistics(sight.mine)} of its inputs."
        )
        return Cause("device.unknown", text, False, None, compare_arrays(sight.theirs, sight.mine).metrics)
    kind = "device.weights" if found.kind.startswith(WEIGHTS) else "device.operator"
    text = f"{in_device_words(found.text.rstrip('.'))} ({found.kind})."
    return Cause(kind, text, found.proven, found.residual, found.before)


def in_device_words(text: str) -> str:
    """The usual words, where the reference is the device and the candidate the file.

    >>> in_device_words("Resize maps by 'half_pixel' where the reference aligns the corners")
    "Resize maps by 'half_pixel' where the device aligns the corners"
    """
    for old, new in (("reference", "device"), ("candidate", "file"), ("Reference", "Device")):
        text = text.replace(old, new)
    return text
