"""In which order do the channels stand, and with which divisor, mean and std were they normalised?

All of these are one straight line for each channel, so a line is fitted first and then named: from the list
of what people get wrong, the fewest changes first, or else by its own numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segdiff.inputs.hypotheses.change import Change, Variant
from segdiff.inputs.hypotheses.fit import Fit
from segdiff.inputs.pipeline import Normalize, Pipeline

Array = NDArray[Any]

OTHER: Mapping[str, Literal["RGB", "BGR"]] = {"RGB": "BGR", "BGR": "RGB"}
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NEAR_LEVELS = 0.75
"""Grey levels that a named line may lie off the fitted one to be put to the proof: a cast to whole numbers
moves the line by half a level."""
SAME_FACTOR = 1e-4
"""Relative difference up to which the channels' slopes count as one common factor."""
DIGITS = (2, 3, 4, 5, 6, 8)
"""Decimals that a fitted constant is rounded to: the plainest number that survives the proof is named."""
LEVEL_DIGITS = (0, 1, 2, 3)
"""The same for constants given in grey levels."""


@dataclass(frozen=True)
class Order:
    """The order in which the steps see the channels, and whether they are reversed behind them."""

    channels: Literal["RGB", "BGR"]
    swapped_last: bool
    changes: tuple[Change, ...]

    @property
    def is_reversed(self) -> bool:
        """Whether the tensor's channels are BGR."""
        return (self.channels == "BGR") != self.swapped_last


def orders(base: Pipeline) -> tuple[Order, ...]:
    """The reference's order of the channels, the other one, and each with its channels swapped at the end."""
    ours, theirs = base.channels, OTHER[base.channels]
    swapped = f"The candidate is fed {theirs}, the reference {ours}"
    late = (
        f"The candidate is normalised in {theirs} order and turned to {ours} afterwards, so that red and "
        "blue get each other's mean and std."
    )
    return (
        Order(ours, False, ()),
        Order(theirs, False, (Change("input.channel_order", f"{swapped}."),)),
        Order(
            ours,
            True,
            (Change("input.channel_order", f"{swapped}, each colour with its own mean and std."),),
        ),
        Order(theirs, True, (Change("input.normalize_order", late),)),
    )


def named(pipeline: Pipeline, colour: bool) -> Iterator[Variant]:
    """The pipeline with every order of channels and every set of constants that has a name."""
    base = pipeline.normalize or Normalize(1.0, (0.0,), (1.0,))
    for order in orders(pipeline) if colour else orders(pipeline)[:1]:
        for divisor, scaled in _divisors(base):
            for mean, std, shifted in _mean_std(base, colour):
                normalize = Normalize(divisor, mean, std)
                changes = order.changes + scaled + shifted
                yield Variant(_with(pipeline, order, normalize, base), changes)


def near(variants: Iterator[Variant], fits: tuple[Fit, ...]) -> list[Variant]:
    """Those whose line lies near the fitted one, the fewest changes first, then the nearest."""
    kept: list[tuple[int, float, int, Variant]] = []
    for variant in variants:
        distance = _distance(variant.pipeline, fits)
        if distance <= NEAR_LEVELS:
            kept.append((variant.cost, distance, len(kept), variant))
    return [entry[-1] for entry in sorted(kept)]


def fitted(pipeline: Pipeline, fit: Fit) -> Iterator[Variant]:
    """The pipeline with the fitted line itself as constants, in plainer and plainer words turned round.

    One common factor is a divisor; anything else is a mean and a std. Rounded numbers come first.
    """
    if not fit.is_line:
        return
    base = pipeline.normalize or Normalize(1.0, (0.0,), (1.0,))
    order = orders(pipeline)[fit.is_reversed != (pipeline.channels == "BGR")]
    slope, offset = np.array(fit.slope), np.array(fit.offset)
    factors = slope * np.array(base.std) * base.divisor
    wanted = -np.array(base.mean) / np.array(base.std)
    if np.ptp(factors) <= SAME_FACTOR * abs(factors[0]) and _levels(offset - wanted, slope) <= NEAR_LEVELS:
        exact = base.divisor / factors.mean()
        for divisor in (*(float(np.round(exact, digits)) for digits in (0, *DIGITS)), float(exact)):
            if divisor:
                changes = (*order.changes, _scale(divisor, base))
                yield Variant(_with(pipeline, order, replace(base, divisor=divisor), base), changes)
    in_levels = [(1.0, digits) for digits in LEVEL_DIGITS if base.divisor != 1.0]
    for divisor, digits in (
        *((base.divisor, digits) for digits in DIGITS[:3]),
        *in_levels,
        *((base.divisor, digits) for digits in (*DIGITS[3:], None)),
    ):
        normalize = _constants(slope, offset, divisor, digits)
        if normalize is not None:
            unit = "" if divisor == base.divisor else " of grey levels that are not divided"
            text = (
                f"The candidate is normalised with mean {_show(normalize.mean)} and std "
                f"{_show(normalize.std)}{unit}, the reference with mean {_show(base.mean)} and std "
                f"{_show(base.std)}."
            )
            changes = (*order.changes, Change("input.mean_std", text))
            yield Variant(_with(pipeline, order, normalize, base), changes)


def line(pipeline: Pipeline, channels: int) -> tuple[Array, Array]:
    """Slope and offset of every channel of the tensor, as functions of its own grey level."""
    normalize = pipeline.normalize or Normalize(1.0, (0.0,), (1.0,))
    mean, std = (np.broadcast_to(values, channels) for values in (normalize.mean, normalize.std))
    if pipeline.swapped_last:
        mean, std = mean[::-1], std[::-1]
    return 1.0 / (normalize.divisor * std), -mean / std


def _distance(pipeline: Pipeline, fits: tuple[Fit, ...]) -> float:
    """The largest distance of the two lines within the picture's range, in grey levels."""
    is_reversed = (pipeline.channels == "BGR") != pipeline.swapped_last
    fit = next((fit for fit in fits if fit.is_reversed == is_reversed), None)
    if fit is None:
        return float("inf")
    slope, offset = line(pipeline, len(fit.low))
    ends = (np.array(end) for end in (fit.low, fit.high))
    return max(_levels((slope - fit.slope) * end + offset - fit.offset, slope) for end in ends)


def _levels(values: Array, slope: Array) -> float:
    return float(np.max(np.abs(values / slope)))


def _with(pipeline: Pipeline, order: Order, normalize: Normalize, base: Normalize) -> Pipeline:
    changed = pipeline if normalize == base else pipeline.with_normalize(normalize)
    return replace(changed, channels=order.channels, swapped_last=order.swapped_last)


def _divisors(base: Normalize) -> tuple[tuple[float, tuple[Change, ...]], ...]:
    return (
        (base.divisor, ()),
        (base.divisor / 255, (_scale(base.divisor / 255, base),)),
        (base.divisor * 255, (_scale(base.divisor * 255, base),)),
        (base.divisor * 256 / 255, (_scale(base.divisor * 256 / 255, base),)),
    )


def _scale(divisor: float, base: Normalize) -> Change:
    # Twice by 255 is also: mean and std in grey levels, for a picture that is already divided.
    what = {255.0: "divided by 255", 1.0: "not divided by 255", 65025.0: "divided by 255 twice"}
    candidate = what.get(divisor, f"divided by {divisor:g}")
    if base.divisor == 1.0 and divisor < 1.0:
        candidate = f"multiplied by {1 / divisor:g}"
    text = f"The candidate is {candidate}, the reference is {what.get(base.divisor, 'not')}."
    return Change("input.scale", text.replace("is not divided by 255.", "is not."))


def _mean_std(
    base: Normalize, colour: bool
) -> Iterator[tuple[tuple[float, ...], tuple[float, ...], tuple[Change, ...]]]:
    """Every pair of mean and std with a name; the base's own first, none of them twice."""
    mean, std = base.mean, base.std
    nothing = (0.0,) * len(mean), (1.0,) * len(mean)
    options = [
        ((mean, std), ""),
        (
            (std, mean),
            "The candidate's mean and std are swapped: it subtracts the std and divides by the mean.",
        ),
        (nothing, "The candidate is not normalised: no mean is subtracted and nothing divided by a std."),
        ((mean, nothing[1]), "The candidate is not divided by the std."),
        ((nothing[0], std), "The candidate's mean is not subtracted."),
        (((0.5,) * len(mean), (0.5,) * len(mean)), "The candidate is normalised with mean 0.5 and std 0.5."),
    ]
    if any(mean):
        twice = [m + 255 * m * s for m, s in zip(mean, std, strict=True)], [255 * s * s for s in std]
        options.append(((tuple(twice[0]), tuple(twice[1])), "The candidate is normalised twice."))
    if colour:
        options.append((IMAGENET, "The candidate is normalised with ImageNet's mean and std."))
    seen: list[object] = []
    for (a_mean, a_std), text in options:
        if (a_mean, a_std) not in seen and all(a_std):
            seen.append((a_mean, a_std))
            reference = f" The reference has mean {_show(mean)} and std {_show(std)}."
            yield a_mean, a_std, (Change("input.mean_std", text + reference),) if text else ()


def _constants(slope: Array, offset: Array, divisor: float, digits: int | None) -> Normalize | None:
    """The mean and std that give this line, rounded to so many decimals."""
    mean, std = -offset / slope / divisor, 1.0 / (slope * divisor)
    if digits is not None:
        mean, std = np.round(mean, digits), np.round(std, digits)
    if not np.all(std) or not np.all(np.isfinite([mean, std])):
        return None
    return Normalize(divisor, tuple(mean.tolist()), tuple(std.tolist()))


def _show(values: tuple[float, ...]) -> str:
    shown = [f"{value:.6g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else f"[{', '.join(shown)}]"
