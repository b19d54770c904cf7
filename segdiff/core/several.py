"""What is the answer of several reports together? One verdict, and one of them that is told in full."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from segdiff.core.answer import EXIT_CODES, Repaired, Report, Verdict
from segdiff.core.late import Shown, door
from segdiff.core.pictured import Pictures

ORDER: tuple[Verdict, ...] = ("diverges", "inconclusive", "agrees")
"""The worst first."""


class Told:
    """One of several: it may have a ``report``."""

    report: Report | None

    @property
    def verdict(self) -> Verdict:
        """The report's; ``inconclusive`` where there is none."""
        return self.report.verdict if self.report else "inconclusive"


class Several(Shown):
    """What an answer has that holds a report for each of its ``entries``.

    ``DOORS`` is how the doors of :mod:`segdiff.core.late` that are its own begin.
    """

    DOORS: ClassVar[str]

    sentence: str
    entries: tuple[Any, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst: ``diverges`` where one does; ``agrees`` only where every one was compared and does."""
        found = {entry.verdict for entry in self.entries} or {"inconclusive"}
        return next(each for each in ORDER if each in found)

    @property
    def exit_code(self) -> int:
        """That of the verdict: 0, 1 or 2."""
        return EXIT_CODES[self.verdict]

    @property
    def told(self) -> Any:
        """The entry that is told in full."""
        raise NotImplementedError

    @property
    def pictures(self) -> Pictures | None:
        """Those of the entry that is told in full."""
        report: Report | None = self.told.report if self.told else None
        return report.pictures if report else None

    def repair(self, path: str | Path, **options: Any) -> Repaired:
        """What :meth:`Report.repair` does, for the entry that is told in full.

        Raises InputError where nothing was compared, and what that raises.
        """
        repaired: Repaired = door(f"{self.DOORS}.repair")(self, path, **options)
        return repaired

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON has it (docs/json.md); plain types only."""
        found: dict[str, Any] = door(f"{self.DOORS}.to_dict")(self)
        return found

    def to_json(self) -> str:
        """``to_dict()`` as text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __repr__(self) -> str:
        return f"<segdiff.{type(self).__name__} {self.verdict}: {self.sentence}>"
