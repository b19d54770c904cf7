"""How do two arrays of one shape differ? A word for it, if there is one.

Asked only of arrays that do differ. The order of the questions is from the most exact to the vaguest: a
rounding through float16 touches every element, and would pass for many a fitted factor otherwise. A weight
may have gigabytes, so whatever is calculated with one is calculated piece by piece.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from segdiff.core.graph import Array
from segdiff.core.precision import EPSILON, unit_of
from segdiff.diagnose.reading.piecewise import (
    dot,
    in_pieces,
    largest_of,
    product_of,
    sizes_along,
    slices,
)

RTOL = 2.0**-20
"""Two float32 computations of one constant (a folded batch norm) agree to some ulp: 8 at the most seen."""

STORED = 3.0
"""Units of a coarser type: its constants are rounded before a fold, and behind it."""

FEW = 8
"""Elements that are "a few" when they are also at most a sixteenth of the whole."""

SAMPLE = 256
"""Elements that are looked at first."""

PAIRWISE = 64
"""Slices that are compared one with each other; more of them are told by their bits."""


TINY = 2.0**-14
"""Below that float16 loses digits; the converters replace such constants by 1e-7, or by 0."""

Slack = Array | float
"""What two numbers may differ by beside rounding: half a step of a quantised constant's scale."""


def same(one: Array, other: Array, slack: Slack = 0.0) -> bool:
    """Equal up to float32 rounding, of each element or of an eighth of the largest, and up to ``slack``."""
    if one.shape != other.shape:
        return False
    if one.size == 0:
        return True
    return _same(one, other, slack)


def _same(one: Array, other: Array, slack: Slack = 0.0, sign: float = 1.0, factor: float = 1.0) -> bool:
    """The same of ``sign`` times the one and ``factor`` times the other, neither of which is empty."""
    rtol = _rtol(one, other)
    share = abs(factor) * largest_of(other) / 8
    if not np.any(slack):
        some = sign * one.flat[:SAMPLE].astype(np.float64), factor * other.flat[:SAMPLE].astype(np.float64)
        if not _is_near(*some, 0.0, rtol, share).all():  # most pairs already differ there
            return False
    pieces = in_pieces(one, other, np.asarray(slack))
    return all(_is_near(sign * a, factor * b, gap, rtol, share).all() for a, b, gap in pieces)


def distance(one: Array, other: Array) -> float:
    """Relative L2 distance of two arrays of one shape, from ``other``; infinite where it is all zeros."""
    apart = norm = 0.0
    for a, b in in_pieces(one, other):
        gap = a - b
        apart, norm = apart + dot(gap, gap), norm + dot(b, b)
    return float(np.sqrt(apart) / np.sqrt(norm)) if norm else float("inf")


def near(one: Array, other: Array, slack: Slack = 0.0) -> Array:
    """Which elements are equal up to rounding, as :func:`same` has it."""
    rtol, share = _rtol(one, other), largest_of(other) / 8 if other.size else 0.0
    found: Array = np.empty(one.size, bool)
    place = 0
    for a, b, gap in in_pieces(one, other, np.asarray(slack)):
        found[place : place + a.size] = _is_near(a, b, gap, rtol, share)
        place += a.size
    return found.reshape(one.shape)


def _is_near(one: Array, other: Array, slack: Slack, rtol: float, share: float) -> Array:
    """Element by element of float64; ``share`` is the part of the largest that counts for all."""
    with np.errstate(invalid="ignore"):  # infinity less infinity is not near
        return np.asarray(np.abs(one - other) <= slack + rtol * (np.abs(other) + share))


def _rtol(one: Array, other: Array) -> float:
    unit = max(unit_of(one.dtype.name), unit_of(other.dtype.name))
    return STORED * unit if unit > EPSILON else RTOL


def difference(
    have: Array, want: Array, channel_axes: tuple[int, ...], slack: Slack = 0.0
) -> tuple[str, str]:
    """The kind, and how ``have`` is made from ``want`` ("is that of ... with channels 1 and 2 exchanged").

    ``channel_axes`` are the axes along which there are channels. ``parameter.value`` where no word fits.
    """
    for question in (_sign, _lost, _exchanged, _rounded, _scaled, _integers, _elements):
        answer = question(have, want, channel_axes, slack)
        if answer is not None:
            return answer
    largest = float(max((np.abs(a - b).max() for a, b in in_pieces(have, want)), default=0.0))
    return "parameter.value", f"with other values (up to {largest:.3g} apart)"


def cut_off(have: Array, want: Array) -> tuple[str, str] | None:
    """The kind of cut, and what it does, where all elements that differ were cut off; else None."""
    end = largest_of(have)
    rtol, share = _rtol(have, want), largest_of(want) / 8
    most_asked, most_had, all_low = -1.0, -1.0, True
    for wide, exact in in_pieces(have, want):
        if not np.isfinite(exact).all():
            return None
        wrong = ~_is_near(wide, exact, 0.0, rtol, share)
        size, asked = np.abs(wide[wrong]), np.abs(exact[wrong])
        high = (asked > size) & (size == end) & (size > 1)
        low = (asked < TINY) & (size < TINY)
        if not np.all(high | low | ~np.isfinite(size)):
            return None
        all_low = all_low and bool(low.all())
        most_asked = max(most_asked, float(asked.max(initial=-1.0)))
        most_had = max(most_had, float(size.max(initial=-1.0)))
    if most_asked < 0:
        return None
    if all_low:
        return "precision.underflow", f"{most_asked:.3g}, which the file has as {most_had:.3g}"
    return "precision.clipped", f"up to {most_asked:.3g}, which the file has cut off at {most_had:.6g}"


def _sign(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    turned_over = have.size and have.shape == want.shape and _same(have, want, slack, sign=-1.0)
    return ("parameter.sign", "with the sign turned") if turned_over else None


def _lost(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    """Some channels are zeros, and the others right."""
    for axis in axes:
        wrong = _wrong_slices(have, want, axis, slack)
        if 0 < len(wrong) < have.shape[axis] and not any(map(np.any, slices(have, wrong, axis))):
            return "parameter.channel_zeroed", f"with {_listed('channel', wrong)} of zeros"
    return None


def _exchanged(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    """The channels are all there, in another order."""
    for axis in axes:
        wrong = _wrong_slices(have, want, axis, slack)
        if len(wrong) < 2:
            continue
        if _is_permutation(have, want, wrong, axis, float(np.max(slack))):
            words = _listed("channel", wrong) + (" exchanged" if len(wrong) == 2 else " in another order")
            return "parameter.channels", f"with {words}"
    return None


def _is_permutation(have: Array, want: Array, wrong: list[int], axis: int, slack: float) -> bool:
    """Whether the slices at these places are the same on either side, in another order."""
    if len(wrong) > PAIRWISE and not slack:
        digests = (
            sorted(hashlib.sha256(part.tobytes()).digest() for part in slices(side, wrong, axis))
            for side in (have, want)
        )
        return have.dtype == want.dtype and next(digests) == next(digests)
    theirs = list(slices(want, wrong, axis))
    left = list(range(len(theirs)))
    for row in slices(have, wrong, axis):
        place = next((i for i in left if same(row, theirs[i], slack)), None)
        if place is None:
            return False
        left.remove(place)
    return True


def _rounded(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    """Through a float of sixteen bits, to nearest (or cut off, for bfloat16)."""
    if have.dtype == np.float16:  # it is stored so
        return None
    if all(np.array_equal(a, _float16(b)) for a, b in in_pieces(have, want)):
        return "parameter.fp16", "rounded through float16"
    for short in (_bfloat16, _cut_bfloat16):
        if all(np.array_equal(a, short(b)) for a, b in in_pieces(have, want)):
            return "parameter.bf16", "rounded through bfloat16"
    return None


def _float16(value: Array) -> Array:
    with np.errstate(over="ignore"):
        return value.astype(np.float16)


def _bfloat16(value: Array) -> Array:
    bits = value.astype(np.float32).view(np.uint32)
    whole = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return np.asarray((whole & np.uint32(0xFFFF0000)).view(np.float32))


def _cut_bfloat16(value: Array) -> Array:
    bits = value.astype(np.float32).view(np.uint32)
    return np.asarray((bits & np.uint32(0xFFFF0000)).view(np.float32))


def _scaled(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    norm = product_of(want, want)
    factor = product_of(have, want) / norm if norm else 0.0
    if factor and _same(have, want, slack, factor=factor):
        return "parameter.scale", f"times {factor:.6g}"
    return None


HALF = 0.5 * (1 + 1e-4)
"""Of a step: as far as rounding moves a weight. A quotient in float32 may fall to a half's other side."""


def _integers(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    """Through symmetric 8 bit integers, with one scale for all, or one a channel."""
    reduced: list[tuple[int, ...] | None] = [None]
    reduced += [tuple(a for a in range(want.ndim) if a != axis) for axis in axes if want.ndim > 1]
    for others in reduced:
        step = sizes_along(want, others) / 127
        step = np.where(step > 0, step, 1.0)
        largest = max(float(np.abs(np.round(a / s) * s).max()) for a, s in in_pieces(have, step))
        rtol = _rtol(have, have)
        if all(
            _is_near(a, np.round(a / s) * s, 0.0, rtol, largest / 8).all()
            and np.all(np.abs(a - b) <= HALF * s)
            for a, b, s in in_pieces(have, want, step)
        ):
            return "parameter.int8", "rounded through 8 bit integers"
    return None


def _elements(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    right = near(have, want, slack)
    if not 0 < right.size - np.count_nonzero(right) <= max(1, min(FEW, want.size // 16)):
        return None
    wrong = np.argwhere(~right)
    place = tuple(int(i) for i in wrong[0])
    words = f"with {float(have[place]):.6g} for {float(want[place]):.6g} at {list(place)}"
    return "parameter.element", words + (f" and {len(wrong) - 1} more" if len(wrong) > 1 else "")


def turned(
    have: Array, want: Array, turns: dict[tuple[str, str], Callable[[Array], Array]]
) -> tuple[str, str]:
    """The first of ``turns`` ((kind, words) -> how) that makes ``have`` of ``want``; empty words if none."""
    for names, turn in turns.items():
        other = turn(want)
        if other.shape == have.shape and same(have, other):
            return names
    return "", ""


def _wrong_slices(have: Array, want: Array, axis: int, slack: Slack) -> list[int]:
    right = near(have, want, slack)
    return [int(i) for i in np.flatnonzero(~right.all(axis=tuple(a for a in range(right.ndim) if a != axis)))]


def _listed(word: str, places: list[int]) -> str:
    shown = ", ".join(map(str, places[:4])) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
    return f"{word}{'s' if len(places) > 1 else ''} {shown}"
