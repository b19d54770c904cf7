"""What is the answer to "what would half precision cost?" As plain data; every form is drawn of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segdiff.core.elsewhere import DeviceRemark
from segdiff.core.environment import Computed
from segdiff.core.half import EXIT_CODES, Cost, Half, HalfEdit, HalfOp, HalfRemedy, HalfVerdict, Static
from segdiff.core.late import Shown, door


@dataclass(frozen=True)
class ClassScore:
    """One class: its IoU in float32 and in half precision, fractions."""

    name: str
    plain: float
    half: float


@dataclass(frozen=True)
class HalfEnvironment:
    """Where it was computed: the versions of segdiff and Python, the machine, and what ran the file."""

    segdiff: str
    python: str
    platform: str
    candidate: Computed


@dataclass(frozen=True)
class HalfReport(Shown):
    """What half precision costs a model, where, why, and what keeps it right.

    ``ops`` are the fused groups, the largest share first; ``measured`` of them were rounded alone, on
    ``shared`` of the ``images``; ``largest_unmeasured`` is the most that one of the others can have of the
    loss (None where all were). ``scores`` are the mIoU in float32 and in half precision, None without
    labels, ``classes`` those of each class. ``cost`` is None where nothing could be measured. ``allowed`` is
    the share of pixels that may change. ``skipped`` images were not used, for the reasons in ``problems``.
    ``edit`` is what the user's own edit of the file changes, where one was given. ``device_remarks`` say what
    of the file a device may read otherwise, whatever its precision.
    """

    verdict: HalfVerdict
    sentence: str
    reference: str
    candidate: str
    precision: Half
    target: str
    batch_norm: str
    overflow: str
    cost: Cost | None
    ops: tuple[HalfOp, ...]
    static: tuple[Static, ...]
    remedies: tuple[HalfRemedy, ...]
    images: tuple[str, ...]
    allowed: float
    measured: int = 0
    shared: int = 0
    runs: int = 0
    largest_unmeasured: float | None = None
    scores: tuple[float, float] | None = None
    classes: tuple[ClassScore, ...] = ()
    skipped: int = 0
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    environment: HalfEnvironment | None = None
    asked: tuple[str, ...] = ()
    command: tuple[str, ...] | None = None
    timing_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: float | None = None
    edit: HalfEdit | None = None
    device_remarks: tuple[DeviceRemark, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 keeps, 1 loses, 2 could not tell."""
        return EXIT_CODES[self.verdict]

    @property
    def heavy(self) -> tuple[HalfOp, ...]:
        """The few ops that carry the loss, the largest share first."""
        return heavy(self.ops)

    @property
    def path(self) -> Path:
        """The candidate's file."""
        return Path(self.candidate)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as docs/json.md describes it."""
        found: dict[str, Any] = door("half.to_dict")(self)
        return found

    def to_json(self) -> str:
        """The same as text, which is valid JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)


HEAVY, TIMES, HALF = 0.1, 5.0, 0.5
"""The share of the loss from which an op is named, and worth being kept in float32: a tenth, and five times
what each would have if all had the same, or half of all."""


def heavy(ops: Sequence[HalfOp]) -> tuple[HalfOp, ...]:
    """The few of all the ops of a model that carry the loss, the largest share first."""
    least = max(HEAVY, min(HALF, TIMES / max(1, len(ops))))
    found = [op for op in ops if op.share is not None and op.share >= least]
    return tuple(sorted(found, key=lambda op: -(op.share or 0.0)))
