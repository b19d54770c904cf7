"""What does a repair answer? What was changed, and the outputs before and after, as plain data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdiff.core.answer import Cause, OutputInfo
from segdiff.core.late import door
from segdiff.core.metrics import Comparison
from segdiff.core.precision import EPSILON
from segdiff.core.thresholds import crossing


@dataclass(frozen=True)
class RepairedOutput:
    """One output before and after; ``mask_changed`` as in OutputInfo."""

    before: OutputInfo
    after: Comparison
    mask_changed: float | None


@dataclass(frozen=True)
class Repaired:
    """A repaired file at ``path``, what was changed in it, and the origins for which there was no proof.

    ``remarks`` say what else happened to the file; ``unit`` is one rounding of the coarsest type in use.
    """

    path: Path
    changes: tuple[Cause, ...]
    left: tuple[str, ...]
    outputs: tuple[RepairedOutput, ...]
    remarks: tuple[str, ...] = ()
    unit: float = EPSILON

    @property
    def agrees(self) -> bool:
        """Whether every origin was repaired and no output shows a difference any more."""
        seen, bounds = [output.after for output in self.outputs], crossing(self.unit)
        return not self.left and not any(after.mismatch or bounds.crossed(after) for after in seen)

    @property
    def exit_code(self) -> int:
        """0 when the models agree now, 1 when they still differ."""
        return 0 if self.agrees else 1

    def to_dict(self) -> dict[str, Any]:
        """The repair as JSON has it (docs/json.md); plain types only."""
        found: dict[str, Any] = door("repaired.to_dict")(self)
        return found

    def to_json(self) -> str:
        """``to_dict()`` as text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __rich__(self) -> Any:
        return door("terminal")(self)

    def _repr_html_(self) -> str:
        return str(door("html")(self))

    def __repr__(self) -> str:
        return f"<segdiff.Repaired {self.path}: {len(self.changes)} changes, {len(self.left)} origins left>"
