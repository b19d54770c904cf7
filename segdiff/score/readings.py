"""Labels of 0 and 255 alone: is 255 class 1, or the label that does not count? Both readings are scored.

A tool that paints masks in black and white means class 1 by 255; to PaddleSeg it is ``ignore_index``, and
then such labels have the background alone. Nothing in the files decides it, so the report says which reading
was taken and what the other would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from segdiff.core.errors import InputError
from segdiff.score.areas import IGNORE
from segdiff.score.compare import CANDIDATE, REFERENCE, Summary
from segdiff.score.encoding import BLACK_AND_WHITE, Sightings
from segdiff.score.files import Raw, Values, read_raw
from segdiff.score.folder import SAMPLE
from segdiff.score.protocol import Protocol

Meaning = Literal["class", "ignored"]

OTHER: Mapping[Meaning, Meaning] = {"class": "ignored", "ignored": "class"}
OTHER_SIDES = {side: f"{side}, with the other reading of 255" for side in (REFERENCE, CANDIDATE)}
"""What the sides are called whose areas are counted with the reading that was not taken."""
TWO = 2
"""Classes that black and white stand for; with more of them, 255 is hardly class 1."""
FITS = 5e-5
"""Half a unit of the last digit of a printed score (in percent with two decimals)."""


@dataclass(frozen=True)
class Doubt:
    """The labels hold 0 and 255 alone; ``told`` is what the user, or a palette, says that 255 is."""

    told: Meaning | None = None

    def taken(self, classes: int) -> Meaning:
        """The reading that is taken: what is told, or else class 1 where there are two classes."""
        return self.told or ("class" if classes <= TWO else "ignored")

    def read(self, label: Values, meaning: Meaning) -> Values:
        """A label of two values, as class numbers, uint8."""
        return np.where(label > 0, 1 if meaning == "class" else IGNORE, 0).astype(np.uint8)


def doubt_of(
    labels: Iterable[Path],
    encoding: str | None,
    ignore_index: int | None,
    read: Callable[[Path], Raw] = read_raw,
) -> Doubt | None:
    """Whether labels may be read in two ways; None where they may not. Damaged files are passed over.

    ``encoding`` is the user's word on the labels, ``read`` reads one of them. Without 255 as ``ignore_index``
    there is one reading only.
    """
    if ignore_index != IGNORE or encoding not in (None, "binary", "index"):
        return None
    every = list(labels)
    seen = Sightings()
    for path in every[:: max(1, len(every) // SAMPLE)]:
        try:
            seen.add(read(path))
        except InputError:
            continue
    if seen.colours or IGNORE not in seen.numbers or not seen.numbers <= BLACK_AND_WHITE:
        return None
    if encoding is None:
        return Doubt("ignored" if seen.palette else None)
    return Doubt("class" if encoding == "binary" else "ignored")


@dataclass(frozen=True)
class LabelReading:
    """Which reading was taken, and the mIoU of reference and candidate with it and with the other one."""

    taken: Meaning
    scores: tuple[float, float]
    other: tuple[float, float]
    fits: Meaning | None = None
    """The reading that the printed scores fit, if they fit one alone."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "reading": self.taken,
            "reference": self.scores[0],
            "candidate": self.scores[1],
            "other": {
                "reading": OTHER[self.taken],
                "reference": self.other[0],
                "candidate": self.other[1],
            },
            "fits": self.fits,
        }

    def sentence(self) -> str:
        """The same for a person."""
        words = {
            "class": "class 1 (black and white)",
            "ignored": "the ignore_index, as PaddleSeg reads it, so that only class 0 is scored",
        }
        option = {"class": "binary", "ignored": "index"}
        told = (
            f"The labels hold 0 and 255 alone. 255 was read as {words[self.taken]}: mIoU "
            f"{_percent(self.scores)}. Read as {words[OTHER[self.taken]]}, the same masks would score "
            f"{_percent(self.other)}. --label-encoding {option[OTHER[self.taken]]} takes that reading."
        )
        if self.fits is None:
            return told
        which = "reading that was taken" if self.fits == self.taken else "other reading"
        return f"{told} The printed scores fit the {which}."


def label_reading(
    summary: Summary,
    doubt: Doubt | None,
    classes: int | None,
    protocols: tuple[Protocol, Protocol],
    printed: tuple[float | None, float | None] = (None, None),
) -> LabelReading | None:
    """Both readings' scores, each side by its own protocol; None where there is no doubt, or no score."""
    if doubt is None or classes is None or not summary.labelled:
        return None
    sides = (REFERENCE, CANDIDATE)
    own = _scores(summary, protocols, lambda side: side)
    other = _scores(summary, protocols, lambda side: OTHER_SIDES[side])
    if own is None or other is None:
        return None
    taken = doubt.taken(classes)
    given = [place for place in range(len(sides)) if printed[place] is not None]
    fitting = [
        meaning
        for meaning, scores in ((taken, own), (OTHER[taken], other))
        if given and all(abs(scores[i] - (printed[i] or 0.0)) <= FITS for i in given)
    ]
    return LabelReading(taken, own, other, fitting[0] if len(fitting) == 1 else None)


def _scores(
    summary: Summary, protocols: tuple[Protocol, Protocol], name: Callable[[str], str]
) -> tuple[float, float] | None:
    found = []
    for side, protocol in zip((REFERENCE, CANDIDATE), protocols, strict=True):
        tally = summary.tallies.get((name(side), protocol.frame))
        if tally is None:
            return None
        found.append(tally.scores(protocol.over).miou)
    return found[0], found[1]


def _percent(scores: tuple[float, float]) -> str:
    return f"{100 * scores[0]:.2f} for the reference and {100 * scores[1]:.2f} for the candidate"
