"""Which hypothesis is the cause? The one whose change makes the error vanish; the smallest, if several do.

What the reference's own attributes and parameters ask for is tried before the usual suspects; changes that
help but do not suffice alone are tried together.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from segdiff.core.edit import Edit
from segdiff.diagnose.hypothesis import Hypothesis
from segdiff.walk.probe import Trial

MOST_TRIALS = 160
"""Runs of one segment, so that a family with many suspects cannot run for ever."""

HELPS = 0.9
"""A change that leaves less than this share of the error may be one half of the repair."""

BEST = 4
"""Changes that help and are tried together with all the others."""

Attempt = Callable[[tuple[Edit, ...]], Trial]


@dataclass(frozen=True)
class Tested:
    """A hypothesis and what it did."""

    hypothesis: Hypothesis
    trial: Trial

    @property
    def rank(self) -> tuple[int, float]:
        """Smallest change first, then smallest error."""
        return self.hypothesis.size, self.trial.error


def search(found: Iterable[Hypothesis], attempt: Attempt, before: Trial, seconds: float) -> Tested | None:
    """The proven hypothesis, or the best that is worth telling, or None.

    ``before`` is the trial without any change. An unproven one is worth telling when the reference asks for
    it, or when it takes away half of the error.
    """
    bench = _Bench(attempt, time.monotonic() + seconds)
    asked, suspects = _parted(found)
    tried: list[Tested] = []
    for group in (asked, suspects):
        tested = list(bench.test(group))
        tried += tested
        if proven := _smallest(tested):
            return proven
        if proven := _smallest(bench.test(_together(tried, group is asked, before))):
            return proven
    return _best(tried, before)


@dataclass
class _Bench:
    """Trials until the time, or their number, is up."""

    attempt: Attempt
    end: float
    left: int = MOST_TRIALS

    def test(self, found: Iterable[Hypothesis]) -> Iterator[Tested]:
        for hypothesis in found:
            if self.left <= 0 or time.monotonic() > self.end:
                return
            self.left -= 1
            yield Tested(hypothesis, self.attempt(hypothesis.edits))


def _parted(found: Iterable[Hypothesis]) -> tuple[list[Hypothesis], list[Hypothesis]]:
    asked: list[Hypothesis] = []
    suspects: list[Hypothesis] = []
    for hypothesis in found:
        (asked if hypothesis.expected else suspects).append(hypothesis)
    return asked, suspects


def _smallest(tested: Iterable[Tested]) -> Tested | None:
    return min((each for each in tested if each.trial.agrees), key=lambda each: each.rank, default=None)


def _together(tested: list[Tested], all_at_once: bool, before: Trial) -> Iterator[Hypothesis]:
    """Changes joined: all that the reference asks for; then those that help with every other."""
    if all_at_once and len(tested) > 1:
        joined = tested[0].hypothesis
        for each in tested[1:]:
            joined = joined.joined(each.hypothesis)
        yield joined
    helping = [each for each in tested if each.trial.error <= HELPS * before.error]
    helping = sorted(helping, key=lambda each: each.trial.error)[:BEST]
    seen: set[frozenset[int]] = set()
    for first, second in itertools.product(helping, tested):
        key = frozenset({id(first), id(second)})
        same = [e.output for e in first.hypothesis.edits] == [e.output for e in second.hypothesis.edits]
        clash = same and any(e.nodes for e in (*first.hypothesis.edits, *second.hypothesis.edits))
        if len(key) == 2 and key not in seen and not clash:
            seen.add(key)
            yield first.hypothesis.joined(second.hypothesis)


def _best(tested: list[Tested], before: Trial) -> Tested | None:
    usable = [each for each in tested if each.trial.problem is None and math.isfinite(each.trial.error)]
    telling = [each for each in usable if each.hypothesis.expected and each.trial.error < before.error]
    halving = [each for each in usable if each.trial.error <= before.error / 2]
    return min(telling or halving, key=lambda each: each.trial.error, default=None)
