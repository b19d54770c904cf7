"""What would half precision cost? The answer of ``segdiff.precision`` as plain data (docs/json.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HalfVerdict = Literal["keeps", "loses", "inconclusive"]
Half = Literal["fp16", "bf16"]

EXIT_CODES: Mapping[str, int] = {"keeps": 0, "loses": 1, "inconclusive": 2}


@dataclass(frozen=True)
class Cost:
    """What half precision changes in the end, over all images: ``rel_l2`` and ``max_abs`` of the output that
    errs most, the share of mask pixels that change (None without a mask), and mIoU points lost (None without
    labels)."""

    rel_l2: float
    max_abs: float
    mask_changed: float | None = None
    miou_points: float | None = None


@dataclass(frozen=True)
class HalfOp:
    """One fused group of the candidate.

    ``nodes`` are their names and ``value`` what they write. ``share`` is its part of the final error, from 0
    to 1 (None where it was not measured alone), ``spread`` the standard deviation of that over the images;
    ``alone`` the final error when it alone is rounded. ``reason`` is a kind (``precision.overflow``, …) with
    ``text`` for it; ``can_keep`` whether the target can compute it in float32.
    """

    nodes: tuple[str, ...]
    value: str
    share: float | None
    alone: Cost | None
    reason: str | None = None
    text: str = ""
    can_keep: bool = True
    spread: float | None = None


@dataclass(frozen=True)
class Static:
    """What is known without a run: the ``nodes``, a kind of reason and words."""

    nodes: tuple[str, ...]
    reason: str
    text: str


@dataclass(frozen=True)
class HalfRemedy:
    """What to do, checked in the same simulation: an exact ``rewrite`` or nodes to ``keep_float32``, what it
    costs afterwards, and the files that were written, by target (or ``onnx`` for a model)."""

    kind: Literal["rewrite", "keep_float32"]
    nodes: tuple[str, ...]
    text: str
    cost_after: Cost
    files: Mapping[str, Path]


@dataclass(frozen=True)
class HalfEdit:
    """What a user's own edit of the file changes: the nodes with their parameters (``changes``), the outputs
    in float32 (``float32``), and what half precision costs the file as it was (``before``) and as it is now
    (``after``), all of them against the float32 outputs of the file as it was."""

    path: Path
    changes: tuple[Static, ...]
    float32: Cost
    before: Cost
    after: Cost
