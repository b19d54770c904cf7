"""Where do the points go between two scores? One table, from the reference's score to the candidate's.

Each row changes one thing; its points are the difference it makes on top of the rows above. So the points add
up to the gap, whatever the order. The order is that of the issue at hand: what was printed and cannot be
rebuilt, the protocol, the label's resizing, then the masks themselves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from segdiff.score.bounds import Bounds
from segdiff.score.protocol import Protocol, steps_between

Home = Literal["score", "input", "network", "input or network", "unexplained"]

Lookup = Callable[[Protocol], float]
"""The mIoU of a side under a protocol."""

PRINTED = 0.00005
"""Half a unit of the last digit of a score printed as 0.9510 or 95.10."""


def hundredths(score: float) -> int:
    """A fraction in hundredths of a point, as it is printed.

    >>> hundredths(0.91786)
    9179
    """
    return round(100 * round(100 * score, 2)) if math.isfinite(score) else 0


@dataclass(frozen=True)
class Stage:
    """One row: what changes, where that is at home, what it costs, and the score after it (fractions)."""

    home: Home
    kind: str
    text: str
    points: float
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; points and score in hundredths, as people write them."""
        return vars(self) | {"points": 100 * self.points, "score": 100 * self.score}


@dataclass(frozen=True)
class Attribution:
    """The rows from ``start`` to ``end``; their points add up to the gap."""

    start: float
    start_text: str
    steps: tuple[Stage, ...]

    @property
    def end(self) -> float:
        """The score after the last row."""
        return self.steps[-1].score if self.steps else self.start

    @property
    def gap(self) -> float:
        """``end - start``."""
        return self.end - self.start

    def points(self, *homes: Home) -> float:
        """What the rows of these homes cost together."""
        return sum(step.points for step in self.steps if step.home in homes)

    def printed(self) -> tuple[tuple[Stage, int], ...]:
        """Each row with its points as they are printed, in hundredths: differences of printed scores, so that
        they add up to the printed gap."""
        scores = [hundredths(self.start), *(hundredths(step.score) for step in self.steps)]
        changes = (after - before for before, after in pairwise(scores))
        return tuple(zip(self.steps, changes, strict=True))

    def by_home(self) -> Mapping[Home, int]:
        """The printed points of each home that has any, in hundredths, the largest first."""
        found: Counter[Home] = Counter()
        for step, points in self.printed():
            found[step.home] += points
        return {
            home: found[home] for home in sorted(found, key=lambda each: -abs(found[each])) if found[home]
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "start": 100 * self.start,
            "start_text": self.start_text,
            "end": 100 * self.end,
            "gap": 100 * self.gap,
            "steps": [step.to_dict() for step in self.steps],
        }


@dataclass(frozen=True)
class Passage:
    """From one side's masks to the next: what that is called and where it is at home."""

    home: Home
    kind: str
    text: str
    lookup: Lookup


def attributed(reference: Lookup, changes: Sequence[Passage], start: Protocol, end: Protocol) -> Attribution:
    """The table from the reference under ``start`` to the last of ``changes`` under ``end``."""
    first = reference(start)
    steps: list[Stage] = []
    score = first
    before = start
    for protocol in steps_between(start, end):
        score, before, step = _protocol_step(reference(protocol), score, before, protocol)
        steps.append(step)
    for change in changes:
        after = change.lookup(end)
        steps.append(Stage(change.home, change.kind, change.text, after - score, after))
        score = after
    return Attribution(first, f"the reference's masks: {start}", tuple(steps))


def _protocol_step(
    after: float, score: float, before: Protocol, protocol: Protocol
) -> tuple[float, Protocol, Stage]:
    if protocol.over != before.over:
        mean = "mean of per-image IoU" if protocol.over == "image" else "areas summed over the data set"
        kind, text = "score.average", f"protocol: {mean}"
    elif protocol.frame.size != before.frame.size:
        kind, text = "score.size", f"compared {protocol.frame}"
    else:
        resized = "mask" if protocol.frame.size == "label" else "label"
        kind, text = "score.resize", f"{resized} resized {protocol.frame.resize.replace('_', ' ')}"
    return after, protocol, Stage("score", kind, text, after - score, after)


def with_published(
    table: Attribution,
    reference: float | None,
    candidate: float | None,
    centred: float | None,
    bounds: Bounds | None,
) -> Attribution:
    """The table between two printed scores; what the masks do not give is a row of its own at either end.

    ``centred`` is the reference's score with masks resized about pixel centres, ``bounds`` what its logits
    allow; both are for a reference scored at the label's size by PaddleSeg.
    """
    if reference is not None:
        steps = tuple(_from_printed(reference, table.start, centred, bounds))
        table = replace(
            table,
            start=reference,
            start_text="the score printed for the reference",
            steps=steps + table.steps,
        )
    if candidate is not None and table.end != candidate:
        table = replace(table, steps=(*table.steps, _to_printed(table.end, candidate)))
    return table


def _from_printed(
    printed: float, rebuilt: float, centred: float | None, bounds: Bounds | None
) -> Iterator[Stage]:
    score = printed if centred is None else centred
    if centred is not None:
        yield _remainder(printed, centred, bounds)
        text = "masks resized nearest, which cv2.resize begins half a pixel off"
        yield Stage("score", "score.half_pixel", text, rebuilt - centred, rebuilt)
    elif score != rebuilt:
        yield _remainder(printed, rebuilt, bounds)


def _remainder(printed: float, score: float, bounds: Bounds | None) -> Stage:
    points = score - printed
    if abs(points) <= PRINTED:
        return Stage("score", "score.rounding", "digits that were not printed", points, score)
    if bounds is not None:
        low, high = bounds.miou()
        if low - PRINTED <= printed <= high + PRINTED:
            text = (
                "edges: PaddleSeg resizes logits, which masks have lost; with the "
                f"{bounds.share:.1%} of open pixels it can print {100 * low:.2f} to {100 * high:.2f}"
            )
            return Stage("score", "score.edges", text, points, score)
    return Stage(
        "unexplained",
        "score.unexplained",
        "not in the masks: other images, weights or settings",
        points,
        score,
    )


def _to_printed(score: float, printed: float) -> Stage:
    points = printed - score
    if abs(points) <= PRINTED:
        return Stage("score", "score.rounding", "digits that were not printed", points, printed)
    return Stage(
        "unexplained",
        "score.unexplained",
        "not in the masks: other images, weights or settings",
        points,
        printed,
    )
