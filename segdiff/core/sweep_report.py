"""What does segdiff answer for many pairs of models? A row for each, their faults merged, and one verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segdiff.core.answer import EXIT_CODES, Verdict
from segdiff.core.baseline import Baseline
from segdiff.core.crew.told import Failure
from segdiff.core.late import Shown, door
from segdiff.core.several import ORDER


@dataclass(frozen=True)
class SweptOrigin:
    """An origin of one pair on one image.

    ``fault`` is the key of the :class:`Fault` that it belongs to. ``kind`` and ``text`` are the cause's, the
    kind ``unknown`` where there is none; the rest as in :class:`segdiff.core.answer.Origin`.
    """

    fingerprint: str
    fault: str
    kind: str
    text: str
    proven: bool
    reference_op: str
    candidate_op: str
    value: str
    final_error_removed: float | None = None
    mask_pixels_restored: float | None = None


@dataclass(frozen=True)
class SweptScore:
    """The mIoU of both sides (fractions) over some ``images``: their areas summed, as PaddleSeg does it."""

    reference: float
    candidate: float
    images: int = 1

    @property
    def points(self) -> float:
        """Points lost: hundredths that the reference has more than the candidate."""
        return 100 * (self.reference - self.candidate)


Areas = tuple[tuple[int, ...], ...]
"""Pixels of each class, three times: where mask and label agree on it, in the mask, in the label."""


@dataclass(frozen=True)
class SweptLabel:
    """An image's label, and what both models score against it; or in ``failure`` why nothing is known.

    ``reference`` and ``candidate`` are the areas of either side, of ``classes`` classes (of as many as this
    label has where the models give masks and nobody has said how many there are). ``reading`` is what 255 was
    taken for where the labels hold 0 and 255 alone: ``class`` or ``ignored``.
    """

    label: str
    score: SweptScore | None = None
    classes: int = 0
    reference: Areas = ()
    candidate: Areas = ()
    reading: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class SweptImage:
    """One pair on one image: its verdict, or in ``failure`` why there is none.

    ``input_causes`` are the kinds of what the candidate's own input does otherwise. ``max_abs`` and
    ``mask_changed`` are those of the output that changes most, the second the share of its mask's pixels.
    ``report`` and ``page`` are the files of the whole report, from the sweep's folder; None where none is
    kept. ``seconds`` are those of this image alone. ``labelled`` is None where there is no label.
    """

    image: str
    verdict: Verdict
    sentence: str
    origins: tuple[SweptOrigin, ...] = ()
    input_causes: tuple[str, ...] = ()
    max_abs: float | None = None
    mask_changed: float | None = None
    seconds: float = 0.0
    report: str | None = None
    page: str | None = None
    failure: Failure | None = None
    baseline: Baseline | None = None
    labelled: SweptLabel | None = None

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """What is wrong here, as a baseline knows it."""
        return (*self.input_causes, *(origin.fingerprint for origin in self.origins))

    @property
    def known(self) -> bool:
        """Whether it diverges in nothing that a baseline does not know."""
        return self.verdict == "diverges" and self.baseline is not None and self.baseline.passes


@dataclass(frozen=True)
class SweptPair:
    """One pair of models; ``problem`` says why it was not compared at all.

    ``score`` is that of all its images with labels together; None where none is known.
    """

    name: str
    reference: str
    candidate: str
    images: tuple[SweptImage, ...] = ()
    problem: str | None = None
    score: SweptScore | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of its images; ``inconclusive`` where there is none."""
        found = {each.verdict for each in self.images}
        return next((each for each in ORDER if each in found), "inconclusive")

    @property
    def told(self) -> SweptImage | None:
        """The image that is told: the first of the worst; one that no baseline knows before the others."""
        order = sorted(self.images, key=lambda each: (ORDER.index(each.verdict), each.known))
        return order[0] if order else None

    @property
    def known(self) -> bool:
        """Whether it diverges, and a baseline knows all that it does so in."""
        bad = [each for each in self.images if each.verdict == "diverges"]
        return bool(bad) and all(each.known for each in bad)

    @property
    def seconds(self) -> float:
        """Seconds of all its images."""
        return round(sum(each.seconds for each in self.images), 3)


@dataclass(frozen=True)
class Fault:
    """What is wrong in one model or in several for the same reason (docs/fleet.md says when that is so).

    ``kind`` is that of the cause, ``changed`` what a repair would change. ``pairs`` are the names of the
    pairs that have it, ``alone`` of those in which there is nothing else.
    """

    key: str
    kind: str
    reference_op: str
    candidate_op: str
    changed: tuple[str, ...]
    pairs: tuple[str, ...]
    alone: tuple[str, ...]
    fingerprints: tuple[str, ...]


@dataclass(frozen=True)
class SweepReport(Shown):
    """The answer to "which of these pairs of models part, and in what?".

    ``pairs`` stand by their names, ``faults`` by how many pairs have them; ``left_over`` are files that
    belong to no pair; ``timing_s`` is in seconds: ``total`` what the sweep took, ``tasks`` what all of its
    tasks took together. ``source`` is what was asked, ``command`` the words of the command line, where it
    was one.
    """

    sentence: str
    pairs: tuple[SweptPair, ...]
    faults: tuple[Fault, ...] = ()
    left_over: tuple[str, ...] = ()
    source: str = ""
    remarks: tuple[str, ...] = ()
    timing_s: Mapping[str, float] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    linked: bool = field(default=False, compare=False)

    @property
    def verdict(self) -> Verdict:
        """The worst: ``diverges`` where one does; ``agrees`` only where every one was compared and does."""
        found = {pair.verdict for pair in self.pairs}
        return next((each for each in ORDER if each in found), "inconclusive")

    @property
    def exit_code(self) -> int:
        """That of the worst pair: 1 where one diverges in what no baseline knows, else 2 where one could not
        be told, else 0."""
        left = {pair.verdict for pair in self.pairs if not pair.known}
        worst = next((each for each in ORDER if each in left), "agrees" if self.pairs else "inconclusive")
        return EXIT_CODES[worst]

    def pair(self, name: str) -> SweptPair:
        """The pair of a name. Raises KeyError."""
        return {each.name: each for each in self.pairs}[name]

    def against(self, baseline: str | Path | Iterable[str]) -> SweepReport:
        """The sweep held against what is known: a saved sweep, a saved report, or fingerprints."""
        held: SweepReport = door("sweep.against")(self, baseline)
        return held

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON has it (docs/json.md); plain types only."""
        found: dict[str, Any] = door("sweep.to_dict")(self)
        return found

    def to_json(self) -> str:
        """``to_dict()`` as text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __repr__(self) -> str:
        return f"<segdiff.SweepReport {self.verdict}: {self.sentence}>"
