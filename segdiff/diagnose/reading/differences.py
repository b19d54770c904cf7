"""How do two arrays of one shape differ? A word for it, if there is one.

Asked only of arrays that do differ. The order of the questions is from the most exact to the vaguest: a
rounding through float16 touches every element, and would pass for many a fitted factor otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from segdiff.core.graph import Array
from segdiff.core.precision import EPSILON, unit_of

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
    largest = float(max(np.max(other), -np.min(other)))
    if not np.any(slack):
        some = _near(one.flat[:SAMPLE], other.flat[:SAMPLE], largest)  # most pairs already differ there
        if not some.all():
            return False
    return bool(_near(one, other, largest, slack).all())


def distance(one: Array, other: Array) -> float:
    """Relative L2 distance of two arrays of one shape, from ``other``; infinite where it is all zeros."""
    difference = np.subtract(one, other, dtype=np.float64).reshape(-1)
    norm = float(np.linalg.norm(np.asarray(other, np.float64).reshape(-1)))
    return float(np.linalg.norm(difference)) / norm if norm else float("inf")


def near(one: Array, other: Array, slack: Slack = 0.0) -> Array:
    """Which elements are equal up to rounding, as :func:`same` has it."""
    return _near(one, other, slack=slack)


def _near(one: Array, other: Array, largest: float | None = None, slack: Slack = 0.0) -> Array:
    """Element by element; ``largest`` is the greatest magnitude in ``other``, where it is known."""
    size = np.abs(other, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # infinity less infinity is not near
        gap = np.abs(np.subtract(one, other, dtype=np.float64))
    unit = max(unit_of(one.dtype.name), unit_of(other.dtype.name))
    rtol = STORED * unit if unit > EPSILON else RTOL
    return np.asarray(gap <= slack + rtol * (size + (size.max() if largest is None else largest) / 8))


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
    gap = np.abs(np.subtract(have, want, dtype=np.float64))
    largest = float(gap.max()) if gap.size else 0.0
    return "parameter.value", f"with other values (up to {largest:.3g} apart)"


def cut_off(have: Array, want: Array) -> tuple[str, str] | None:
    """The kind of cut, and what it does, where all elements that differ were cut off; else None."""
    wide, exact = have.astype(np.float64), want.astype(np.float64)
    wrong = ~near(have, want)
    size, asked = np.abs(wide[wrong]), np.abs(exact[wrong])
    if not wrong.any() or not np.isfinite(exact).all():
        return None
    high = (asked > size) & (size == np.abs(wide).max()) & (size > 1)
    low = (asked < TINY) & (size < TINY)
    if not np.all(high | low | ~np.isfinite(size)):
        return None
    if np.all(low):
        return "precision.underflow", f"{asked.max():.3g}, which the file has as {size.max():.3g}"
    return "precision.clipped", f"up to {asked.max():.3g}, which the file has cut off at {size.max():.6g}"


def _sign(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    return ("parameter.sign", "with the sign turned") if same(-have, want, slack) else None


def _lost(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    """Some channels are zeros, and the others right."""
    for axis in axes:
        wrong = _wrong_slices(have, want, axis, slack)
        if 0 < len(wrong) < have.shape[axis] and not np.any(np.take(have, wrong, axis)):
            return "parameter.channel_zeroed", f"with {_listed('channel', wrong)} of zeros"
    return None


def _exchanged(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    """The channels are all there, in another order."""
    for axis in axes:
        wrong = _wrong_slices(have, want, axis, slack)
        if len(wrong) < 2:
            continue
        ours, theirs = (np.moveaxis(np.take(a, wrong, axis), axis, 0) for a in (have, want))
        limit = float(np.max(slack))
        if _is_permutation(ours.reshape(len(wrong), -1), theirs.reshape(len(wrong), -1), limit):
            words = _listed("channel", wrong) + (" exchanged" if len(wrong) == 2 else " in another order")
            return "parameter.channels", f"with {words}"
    return None


def _is_permutation(ours: Array, theirs: Array, slack: float) -> bool:
    if len(ours) > PAIRWISE and not slack:
        return sorted(row.tobytes() for row in ours) == sorted(row.tobytes() for row in theirs)
    left = list(range(len(theirs)))
    for row in ours:
        place = next((i for i in left if same(row, theirs[i], slack)), None)
        if place is None:
            return False
        left.remove(place)
    return True


def _rounded(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    """Through a float of sixteen bits, to nearest (or cut off, for bfloat16)."""
    if have.dtype == np.float16:  # it is stored so
        return None
    with np.errstate(over="ignore"):
        half = want.astype(np.float16).astype(np.float64)
    if np.array_equal(have, half):
        return "parameter.fp16", "rounded through float16"
    if any(np.array_equal(have, short) for short in _bfloat16(want)):
        return "parameter.bf16", "rounded through bfloat16"
    return None


def _bfloat16(value: Array) -> Iterator[Array]:
    bits = np.ascontiguousarray(value, np.float32).view(np.uint32)
    yield (
        (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    ).view(np.float32)
    yield (bits & np.uint32(0xFFFF0000)).view(np.float32)


def _scaled(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    one, other = (np.asarray(a, np.float64).reshape(-1) for a in (have, want))
    norm = float(other @ other)
    factor = float(one @ other) / norm if norm else 0.0
    limit = np.broadcast_to(slack, have.shape).reshape(-1)
    if factor and same(have.reshape(-1), factor * other, limit):
        return "parameter.scale", f"times {factor:.6g}"
    return None


HALF = 0.5 * (1 + 1e-4)
"""Of a step: as far as rounding moves a weight. A quotient in float32 may fall to a half's other side."""


def _integers(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    """Through symmetric 8 bit integers, with one scale for all, or one a channel."""
    reduced: list[tuple[int, ...] | None] = [None]
    reduced += [tuple(a for a in range(want.ndim) if a != axis) for axis in axes if want.ndim > 1]
    wide = want.astype(np.float64)
    for others in reduced:
        step = np.abs(wide).max(axis=others, keepdims=others is not None) / 127
        step = np.where(step > 0, step, 1.0)
        if same(have, np.round(have / step) * step) and np.all(np.abs(have - wide) <= HALF * step):
            return "parameter.int8", "rounded through 8 bit integers"
    return None


def _elements(have: Array, want: Array, axes: tuple[int, ...], slack: Slack) -> tuple[str, str] | None:
    wrong = np.argwhere(~_near(have, want, slack=slack))
    if not 0 < len(wrong) <= max(1, min(FEW, want.size // 16)):
        return None
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
    near = _near(have, want, slack=slack)
    return [int(i) for i in np.flatnonzero(~near.all(axis=tuple(a for a in range(near.ndim) if a != axis)))]


def _listed(word: str, places: list[int]) -> str:
    shown = ", ".join(map(str, places[:4])) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
    return f"{word}{'s' if len(places) > 1 else ''} {shown}"
