"""What does segdiff answer for many images? The worst of them located, their origins merged, one verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segdiff.core.answer import EXIT_CODES, Origin, Repaired, Report, Verdict
from segdiff.core.late import Shown, door
from segdiff.core.pictured import Pictures


@dataclass(frozen=True)
class LocatedImage:
    """One of the images that the models were located on: how far they are apart there, and the report.

    ``changed`` is the share of the mask's pixels that differ, ``max_abs`` the largest difference of the raw
    outputs (None where it is not known). ``problem`` says why there is no report.
    """

    name: str
    path: Path
    changed: float
    max_abs: float | None
    report: Report | None
    problem: str | None = None

    @property
    def verdict(self) -> Verdict:
        """The report's; ``inconclusive`` where there is none."""
        return self.report.verdict if self.report else "inconclusive"

    def __repr__(self) -> str:
        return f"<segdiff.LocatedImage {self.name}: {self.verdict}>"


@dataclass(frozen=True)
class SharedOrigin:
    """An origin with the names of all located images that have it, as the first of them has it."""

    origin: Origin
    images: tuple[str, ...]


@dataclass(frozen=True)
class ImagesReport(Shown):
    """The answer to "where do the two models part, on the images where they differ most?".

    ``entries`` are the images that were located, the worst first; ``origins`` theirs, merged: those of most
    images first. ``run`` images were run whole by both models, ``differing`` of them with another mask (or,
    without masks, another output); ``skipped`` could not be used, for the reasons in ``problems`` (at most a
    hundred). ``paths`` are the two models and the images, ``timing_s`` is in seconds, by phase, of all
    entries together; ``peak_memory_mb`` is in MiB.
    """

    sentence: str
    entries: tuple[LocatedImage, ...]
    origins: tuple[SharedOrigin, ...]
    paths: tuple[Path, Path, str]
    run: int
    differing: int
    skipped: int = 0
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    timing_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    command: tuple[str, ...] | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst: ``diverges`` where one image's is; ``agrees`` only where every located one agrees."""
        found = {entry.verdict for entry in self.entries} or {"inconclusive"}
        return next((each for each in ("diverges", "inconclusive") if each in found), "agrees")

    @property
    def exit_code(self) -> int:
        """That of the verdict: 0, 1 or 2."""
        return EXIT_CODES[self.verdict]

    @property
    def told(self) -> LocatedImage | None:
        """The image that is told in full: the worst that diverges, else that could not be told, else the
        first; None where none was located."""
        order = ("diverges", "inconclusive", "agrees")
        located = [entry for entry in self.entries if entry.report]
        return min(located, key=lambda entry: order.index(entry.verdict), default=None)

    @property
    def pictures(self) -> Pictures | None:
        """Those of the image that is told in full."""
        return self.told.report.pictures if self.told and self.told.report else None

    def repair(self, path: str | Path, **options: Any) -> Repaired:
        """What :meth:`Report.repair` does, for the image that is told in full.

        Raises InputError where none was located, and what that raises.
        """
        repaired: Repaired = door("located_images.repair")(self, path, **options)
        return repaired

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON has it (docs/json.md); plain types only."""
        found: dict[str, Any] = door("located_images.to_dict")(self)
        return found

    def to_json(self) -> str:
        """``to_dict()`` as text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __repr__(self) -> str:
        return f"<segdiff.ImagesReport {self.verdict}: {self.sentence}>"
