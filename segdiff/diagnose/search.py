"""Which hypothesis is the cause? The one whose change makes the error vanish; the smallest, if several do.

What the reference's own attributes and parameters ask for is tried first, as the families read it, then node
by node as any operator can be read; the usual suspects follow. Changes that help but do not suffice alone are
tried together.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce

from segdiff.core.edit import Edit
from segdiff.diagnose.hypothesis import Hypothesis
from segdiff.walk.trial import Trial

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
    def rank(self) -> tuple[int, bool, float]:
        """Smallest change first, then what a family has the words for, then the smallest error."""
        return self.hypothesis.size, self.hypothesis.general, self.trial.error


Again = Callable[[tuple[Edit, ...]], Trial | None]


def search(
    found: Iterable[Hypothesis],
    attempt: Attempt,
    before: Trial,
    seconds: float,
    again: Again | None = None,
) -> Tested | None:
    """The proven hypothesis, or the best that is worth telling, or None.

    ``before`` is the trial without any change. An unproven one is worth telling when it takes away half of
    the error; of those, what the reference asks for comes first. ``again`` is the same trial on another input
    (None where that tells nothing): what the reference does not ask for must hold there too, where there are
    so few elements that chance may have a hand in it.
    """
    trials = _Trials(attempt, time.monotonic() + seconds, before.error, again=again)
    asked, general, suspects = _parted(found)
    tried: list[Tested] = []
    for group in (asked, general, suspects):
        tested = list(trials.test(group))
        tried += tested
        if proven := _smallest(tested):
            return proven
        if proven := _smallest(trials.test(_together(tried, group is asked, before))):
            return proven
    return _best(tried, before)


@dataclass
class _Trials:
    """Trials until the time, or their number, is up; ``error`` is what there is without any change."""

    attempt: Attempt
    end: float
    error: float
    left: int = MOST_TRIALS
    again: Again | None = None

    def test(self, found: Iterable[Hypothesis]) -> Iterator[Tested]:
        for hypothesis in found:
            if self.left <= 0 or time.monotonic() > self.end:
                return
            self.left -= 1
            yield Tested(hypothesis, self._tried(hypothesis))

    def _tried(self, hypothesis: Hypothesis) -> Trial:
        trial = self.attempt(hypothesis.edits)
        if trial.agrees and trial.error > self.error:  # its rounding grew with it: that mends nothing
            return replace(trial, agrees=False)
        if not trial.agrees or hypothesis.expected or hypothesis.general or self.again is None:
            return trial
        second = self.again(hypothesis.edits)
        if second is None:
            return replace(trial, agrees=False)
        return trial if second.agrees else second


def _parted(found: Iterable[Hypothesis]) -> tuple[list[Hypothesis], list[Hypothesis], list[Hypothesis]]:
    """What the reference asks for as a family reads it, as anything can be read, and the suspects.

    Among the suspects what the reference's nodes suggest stands first: it must not be left out for the time.
    """
    asked: list[Hypothesis] = []
    general: list[Hypothesis] = []
    suspects: list[Hypothesis] = []
    for hypothesis in found:
        (suspects if not hypothesis.expected else general if hypothesis.general else asked).append(hypothesis)
    return asked, general, sorted(suspects, key=lambda each: not each.general)


def _smallest(tested: Iterable[Tested]) -> Tested | None:
    return min((each for each in tested if each.trial.agrees), key=lambda each: each.rank, default=None)


def _together(tested: list[Tested], all_at_once: bool, before: Trial) -> Iterator[Hypothesis]:
    """Changes joined: all that the reference asks for, and all of one kind; then those that help with every
    other."""
    if all_at_once and len(tested) > 1:
        yield reduce(Hypothesis.joined, [each.hypothesis for each in tested])
        kinds = Counter(each.hypothesis.kind for each in tested)
        for kind in (kind for kind, count in kinds.items() if 1 < count < len(tested)):
            yield reduce(Hypothesis.joined, [t.hypothesis for t in tested if t.hypothesis.kind == kind])
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


def _best(tried: list[Tested], before: Trial) -> Tested | None:
    """The unproven change worth telling: it leaves a finite error, and at most half of what there was.

    Where the candidate's tensor had no comparable error (another shape, or no numbers), half of the
    reference's own size counts.
    """
    most = min(before.error, 1.0) / 2
    halving = [each for each in tried if each.trial.problem is None and each.trial.error <= most]
    asked = [each for each in halving if each.hypothesis.expected]
    return min(asked or halving, key=lambda each: each.trial.error, default=None)
