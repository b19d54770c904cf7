"""What does one image say, and what do all of them say together? Results that add up as images come.

Nothing here grows with the number of images but a short list of the worst and of what went wrong.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from segdiff.core.errors import InputError
from segdiff.score.areas import Areas, areas
from segdiff.score.files import Values
from segdiff.score.protocol import Frame, Tally, framed

REFERENCE, CANDIDATE, SAME_INPUT = "reference", "candidate", "candidate on the reference's input"
"""The sides. The third exists where the candidate is fed by a script of the user's."""

PROBLEMS_KEPT = 100
"""Skipped images that a report names; more are counted."""


@dataclass(frozen=True)
class Agreement:
    """How many pixels two masks have, in how many they differ, and in how many *clearly*.

    A pixel is clear where the reference's two largest logits are further apart than rounding can bridge;
    without logits every pixel is.
    """

    pixels: int = 0
    changed: int = 0
    clear: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(self.pixels + other.pixels, self.changed + other.changed, self.clear + other.clear)

    @property
    def share(self) -> float:
        """The fraction of pixels that differ."""
        return self.changed / self.pixels if self.pixels else 0.0

    @property
    def clear_share(self) -> float:
        """The fraction of pixels that clearly differ."""
        return self.clear / self.pixels if self.pixels else 0.0


@dataclass(frozen=True)
class OutputError:
    """The distance of the raw outputs: the largest ``|c - r|``, and that over ``max|r|``."""

    max_abs: float
    max_rel: float


@dataclass(frozen=True, eq=False)
class ImageResult:
    """One image: the areas of each side in each frame (none without a label), and the masks' agreement."""

    name: str
    areas: Mapping[str, Mapping[Frame, Areas]]
    agreement: Agreement
    output: OutputError | None = None

    @property
    def badness(self) -> tuple[float, float]:
        """Worst first: the share of pixels that differ, then the raw outputs' distance."""
        return self.agreement.share, self.output.max_abs if self.output else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a line of the journal."""
        output = [self.output.max_abs, self.output.max_rel] if self.output else None
        return {
            "image": self.name,
            "areas": {
                side: {frame.key: found.to_list() for frame, found in by_frame.items()}
                for side, by_frame in self.areas.items()
            },
            "agreement": [self.agreement.pixels, self.agreement.changed, self.agreement.clear],
            "output": output,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ImageResult:
        """The result that ``to_dict`` gave. Raises KeyError, TypeError or ValueError on anything else."""
        found = {
            side: {frame_of(key): Areas.from_list(rows) for key, rows in by_frame.items()}
            for side, by_frame in data["areas"].items()
        }
        output = data["output"]
        return cls(
            str(data["image"]),
            found,
            Agreement(*map(int, data["agreement"])),
            OutputError(*map(float, output)) if output else None,
        )


def frame_of(key: str) -> Frame:
    """The frame of a ``Frame.key``."""
    size, resize = key.split(":")
    return Frame(size, resize)  # type: ignore[arg-type]


def scored(
    mask: Values, label: Values, frames: Iterable[Frame], classes: int, ignore_index: int | None
) -> dict[Frame, Areas]:
    """The areas of one mask in each frame."""
    return {frame: areas(*framed(mask, label, frame), classes, ignore_index) for frame in frames}


def agreement(reference: Values, candidate: Values) -> Agreement:
    """How two masks differ; the candidate's size must be the reference's."""
    if reference.shape != candidate.shape:
        raise InputError(
            f"the reference's mask has {reference.shape[0]}x{reference.shape[1]} pixels (height x width), "
            f"the candidate's {candidate.shape[0]}x{candidate.shape[1]}"
        )
    changed = int((reference != candidate).sum())
    return Agreement(reference.size, changed, changed)


@dataclass
class Summary:
    """All images so far."""

    keep: int
    images: int = 0
    labelled: int = 0
    tallies: dict[tuple[str, Frame], Tally] = field(default_factory=dict)
    agreement: Agreement = field(default_factory=Agreement)
    output: OutputError | None = None
    skipped: int = 0
    problems: list[str] = field(default_factory=list)
    _worst: list[tuple[tuple[float, float], int, ImageResult]] = field(default_factory=list)

    def add(self, result: ImageResult) -> None:
        """Count one more image."""
        self.images += 1
        self.labelled += bool(result.areas)
        self.agreement += result.agreement
        for side, by_frame in result.areas.items():
            for frame, found in by_frame.items():
                self.tallies.setdefault((side, frame), Tally(len(found.label))).add(found)
        if result.output:
            known = self.output or OutputError(0.0, 0.0)
            self.output = OutputError(
                _larger(known.max_abs, result.output.max_abs), _larger(known.max_rel, result.output.max_rel)
            )
        if any(result.badness) and self.keep:
            push = heapq.heappushpop if len(self._worst) >= self.keep else heapq.heappush
            push(self._worst, (result.badness, -self.images, result))

    def skip(self, problem: str) -> None:
        """Note an image that could not be used."""
        self.skipped += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)

    @property
    def worst(self) -> tuple[ImageResult, ...]:
        """The images whose masks differ most, the worst first; none whose masks and outputs are equal."""
        return tuple(result for _, _, result in sorted(self._worst, reverse=True))


def _larger(a: float, b: float) -> float:
    return math.nan if math.isnan(a) or math.isnan(b) else max(a, b)
