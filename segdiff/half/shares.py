"""Which groups carry the loss? Each rounded alone where that is cheap, else the few that matter looked for.

Errors of independent roundings add in quadrature, so a group's share is ``e^2 / sum of e^2``, with ``e`` the
relative error of the outputs when it alone is rounded.

One at a time, every group costs a run. Where the model is too large for that, a few runs must do: those whose
values half precision holds worst are rounded alone, and what is left is halved again and again, always the
part that errs most. What was not measured alone then has no share of its own, only a bound: no more than the
part that it is in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segdiff.core.graph import Array
from segdiff.half.bench import Look
from segdiff.half.cost import Difference, squared
from segdiff.half.rounding import LARGEST, UNIT, stored
from segdiff.half.targets import How

Try = Callable[[Collection[int]], Mapping[str, Difference]]
"""Rounds some groups (their places) and gives the differences of the outputs."""

RUNS = 5
"""Runs that a large model is given to find where its loss is: together with the plain run, and the one with
everything rounded, they stay well below twelve times a plain run with its start."""

SUSPECTS = 3
"""Groups that are rounded alone at once, because their values are held so badly."""

BADLY = 8.0
"""Times the usual error of a rounding (a third of the unit's square) from which values are held badly."""

LARGE = 0.1
"""The share from which an op is worth being named, and a part worth being halved."""

LEFT = 0.02
"""Share of the loss that is not looked into any more, when a heavy op was found."""


@dataclass(frozen=True)
class Part:
    """Groups that were rounded together, and the squared relative error of that; of one group, its own."""

    groups: tuple[int, ...]
    error: float
    differences: Mapping[str, Difference] | None = None


def one_by_one(attempt: Try, count: int, told: Callable[[int, int], None]) -> list[Part]:
    """Every group rounded alone."""
    parts = []
    for place in range(count):
        told(place, count)
        found = attempt([place])
        parts.append(Part((place,), squared(found), found))
    told(count, count)
    return parts


def by_halves(
    attempt: Try,
    looks: Sequence[Look],
    whole: float,
    how: How,
    told: Callable[[int, int], None],
    suspected: Sequence[int] = (),
    runs: int = RUNS,
) -> list[Part]:
    """The groups in parts, those that carry much of the loss in parts of their own.

    ``whole`` is the squared error with everything rounded, ``suspected`` are groups of which something is
    known that half precision does not hold; the first of them are rounded alone.
    """
    used = 0

    def rounded(groups: tuple[int, ...]) -> Part:
        nonlocal used
        told(used, runs)
        used += 1
        found = attempt(groups)
        return Part(groups, squared(found), found if len(groups) == 1 else None)

    suspects = [*dict.fromkeys((*suspected, *held_badly(looks, how)))][:SUSPECTS]
    parts = [rounded((place,)) for place in suspects]
    rest = tuple(place for place in range(len(looks)) if place not in suspects)
    if rest:
        parts.append(rounded(rest) if suspects else Part(rest, whole))
    while used < runs:
        total = sum(part.error for part in parts)
        open_parts = [part for part in parts if len(part.groups) > 1 and part.error > 0]
        heavy = max((part.error for part in parts if len(part.groups) == 1), default=0.0)
        if not open_parts or total <= 0:
            break
        largest = max(open_parts, key=lambda part: part.error)
        if largest.error < (LEFT if heavy > LARGE * total else LARGE) * total:
            break
        parts.remove(largest)
        middle = len(largest.groups) // 2
        first, second = largest.groups[:middle], largest.groups[middle:]
        late = rounded(second)
        alone = len(first) == 1 or late.error >= largest.error
        early = rounded(first) if alone and used < runs else remainder(first, largest, late)
        parts += [early, late]
    told(runs, runs)
    return parts


def remainder(groups: tuple[int, ...], whole: Part, other: Part) -> Part:
    """What a part must err where the whole and the other half are known."""
    return Part(groups, max(0.0, whole.error - other.error))


def held_badly(looks: Sequence[Look], how: How) -> list[int]:
    """The groups whose values half precision holds much worse than others, the worst first."""
    noises = [noise(look, how) for look in looks]
    usual = UNIT[how.precision] ** 2 / 3
    found = [place for place, each in enumerate(noises) if each > BADLY * usual]
    return sorted(found, key=lambda place: -noises[place])


def noise(look: Look, how: How) -> float:
    """The squared relative error of storing what a group gives, by its sample; 1 where a value overflows."""
    if not look.sample.size:
        return 1.0 if look.reach > largest_of(how) else 0.0
    wide: Array = look.sample.astype(np.float64)
    size = float(wide @ wide)
    if look.reach > largest_of(how):
        return 1.0
    if not size:
        return 0.0
    gone = stored(look.sample, how).astype(np.float64) - wide
    return float(gone @ gone) / size


def largest_of(how: How) -> float:
    """The largest number of the precision."""
    return LARGEST[how.precision]
