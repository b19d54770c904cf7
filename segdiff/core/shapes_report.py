"""What does segdiff answer for several batches and sizes? A report for each, and one verdict over all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal

from segdiff.core.answer import EXIT_CODES, Repaired, Report, Verdict
from segdiff.core.late import Shown, door
from segdiff.core.pictured import Pictures

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
class Entry:
    """One shape of the input that both models were to be compared on: its report, or why there is none.

    ``options`` name it on the command line: ``--batch 4``, ``--sizes 512x512``.
    """

    shape: tuple[int, ...]
    options: tuple[str, ...]
    report: Report | None
    not_run: NotRun | None = None

    @property
    def verdict(self) -> Verdict:
        """The report's; ``inconclusive`` where there is none."""
        return self.report.verdict if self.report else "inconclusive"

    def __repr__(self) -> str:
        return f"<segdiff.Entry {'x'.join(map(str, self.shape))}: {self.verdict}>"


@dataclass(frozen=True)
class ShapesReport(Shown):
    """The answer to "do the two models part at any of these batches and sizes?".

    ``entries`` stand in the order that was asked for; ``how`` says how the images were made; ``timing_s`` is
    in seconds, by phase, of all entries together, ``peak_memory_mb`` in MiB. ``paths`` are the two models and
    the image (None for an array), ``command`` the words of the command line, where it was one.
    """

    sentence: str
    entries: tuple[Entry, ...]
    paths: tuple[Path, Path, str | None]
    how: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    timing_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    command: tuple[str, ...] | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst: ``diverges`` where one does; ``agrees`` only where every one was compared and does."""
        found = {entry.verdict for entry in self.entries}
        return next((each for each in ("diverges", "inconclusive") if each in found), "agrees")

    @property
    def exit_code(self) -> int:
        """That of the verdict: 0, 1 or 2."""
        return EXIT_CODES[self.verdict]

    @property
    def told(self) -> Entry | None:
        """The entry that is told in full: the smallest that diverges, else that could not be told, else the
        smallest; None where nothing was compared."""
        order = ("diverges", "inconclusive", "agrees")
        compared = [entry for entry in self.entries if entry.report]
        return min(compared, key=lambda e: (order.index(e.verdict), prod(e.shape)), default=None)

    @property
    def pictures(self) -> Pictures | None:
        """Those of the entry that is told in full."""
        return self.told.report.pictures if self.told and self.told.report else None

    def repair(self, path: str | Path, **options: Any) -> Repaired:
        """What :meth:`Report.repair` does, for the entry that is told in full.

        Raises InputError where nothing was compared, and what that raises.
        """
        repaired: Repaired = door("swept.repair")(self, path, **options)
        return repaired

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON has it (docs/json.md); plain types only."""
        found: dict[str, Any] = door("swept.to_dict")(self)
        return found

    def to_json(self) -> str:
        """``to_dict()`` as text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __repr__(self) -> str:
        return f"<segdiff.ShapesReport {self.verdict}: {self.sentence}>"
