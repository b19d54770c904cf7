"""What does segdiff answer for many images? The worst of them located, their origins merged, one verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segdiff.core.answer import Origin, Report
from segdiff.core.several import ORDER, Several, Told


@dataclass(frozen=True)
class LocatedImage(Told):
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

    def __repr__(self) -> str:
        return f"<segdiff.LocatedImage {self.name}: {self.verdict}>"


@dataclass(frozen=True)
class SharedOrigin:
    """An origin with the names of all located images that have it, as the first of them has it."""

    origin: Origin
    images: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class ImagesReport(Several):
    """The answer to "where do the two models part, on the images where they differ most?".

    ``entries`` are the images that were located, the worst first; ``origins`` theirs, merged: those of most
    images first. ``run`` images were run whole by both models, ``differing`` of them with another mask (or,
    without masks, another output); ``skipped`` could not be used, for the reasons in ``problems`` (at most a
    hundred). ``paths`` are the two models and the images, ``timing_s`` is in seconds, by phase, of all
    entries together; ``peak_memory_mb`` is in MiB.
    """

    DOORS = "located_images"

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
    def told(self) -> LocatedImage | None:
        """The image that is told in full: the worst that diverges, else that could not be told, else the
        first; None where none was located."""
        located = [entry for entry in self.entries if entry.report]
        return min(located, key=lambda entry: ORDER.index(entry.verdict), default=None)
