"""What does segdiff answer for several batches and sizes? A report for each, and one verdict over all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Literal

from segdiff.core.answer import Report
from segdiff.core.several import ORDER, Several, Told

Size = tuple[int, int]
"""Height and width, in pixels."""


@dataclass(frozen=True)
class NotRun:
    """Why a shape was not compared, by kind: ``fixed``, for ``file`` takes another one alone; ``failed``, for
    an engine did not run it.

    ``takes`` is the shape that the file declares, None where an axis is open; ``detail`` what the engine
    said.
    """

    kind: Literal["fixed", "failed"]
    file: Path | None = None
    takes: tuple[int | None, ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class Entry(Told):
    """One shape of the input that both models were to be compared on: its report, or why there is none.

    ``options`` name it on the command line: ``--batch 4``, ``--sizes 512x512``.
    """

    shape: tuple[int, ...]
    options: tuple[str, ...]
    report: Report | None
    not_run: NotRun | None = None

    def __repr__(self) -> str:
        return f"<segdiff.Entry {'x'.join(map(str, self.shape))}: {self.verdict}>"


@dataclass(frozen=True, repr=False)
class ShapesReport(Several):
    """The answer to "do the two models part at any of these batches and sizes?".

    ``entries`` stand in the order that was asked for; ``how`` says how the images were made; ``timing_s`` is
    in seconds, by phase, of all entries together, ``peak_memory_mb`` in MiB. ``paths`` are the two models and
    the image (None for an array), ``command`` the words of the command line, where it was one.
    """

    DOORS = "swept"

    sentence: str
    entries: tuple[Entry, ...]
    paths: tuple[Path, Path, str | None]
    how: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    timing_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    command: tuple[str, ...] | None = None

    @property
    def told(self) -> Entry | None:
        """The entry that is told in full: the smallest that diverges, else that could not be told, else the
        smallest; None where nothing was compared."""
        compared = [entry for entry in self.entries if entry.report]
        return min(compared, key=lambda e: (ORDER.index(e.verdict), prod(e.shape)), default=None)
