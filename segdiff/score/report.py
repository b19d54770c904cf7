"""What is the answer to "why do the scores differ?" As plain data; the terminal and JSON are made from it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segdiff.core.answer import EXIT_CODES, Verdict
from segdiff.core.late import Shown, door
from segdiff.core.pictured import Pictures
from segdiff.core.version import VERSION
from segdiff.inputs import InputComparison
from segdiff.score.areas import Scores
from segdiff.score.attribution import Attribution
from segdiff.score.compare import Agreement, ImageResult, OutputError
from segdiff.score.protocol import Protocol
from segdiff.score.readings import LabelReading


@dataclass(frozen=True)
class SideScores:
    """One side: its name, where it comes from, and its scores under each protocol."""

    name: str
    source: str
    scores: Mapping[Protocol, Scores]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        scores = [{"protocol": p.to_dict(), **s.to_dict()} for p, s in self.scores.items()]
        return {"name": self.name, "source": self.source, "scores": scores}


@dataclass(frozen=True)
class ScoreReport(Shown):
    """Scores of both sides, where the points go, how the masks agree, and the images that differ most.

    ``images`` were used and ``labelled`` of them have a label; ``skipped`` were not used, for the reasons in
    ``problems`` (at most a hundred). ``input`` is what the candidate's own preprocessing does otherwise,
    judged by one image; None where it has none, or the judging failed. ``output`` is None where only masks
    are known. ``labels`` says how labels of 0 and 255 alone were read, None where there is no doubt.
    ``files`` are the pictures that were written. ``command`` are the words of the command line, where it was
    one; ``asked`` those of the command that asks the same, none where it cannot be typed. ``located`` is the
    answer of ``locate`` on the worst image, if asked for.
    """

    verdict: Verdict
    sentence: str
    names: tuple[str, ...]
    images: int
    labelled: int
    skipped: int
    sides: tuple[SideScores, ...]
    attribution: Attribution | None
    agreement: Agreement
    output: OutputError | None
    worst: tuple[ImageResult, ...]
    problems: tuple[str, ...] = ()
    input: InputComparison | None = None
    remarks: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    labels: LabelReading | None = None
    command: tuple[str, ...] | None = None
    located: Any = None
    asked: tuple[str, ...] = ()
    pictures: tuple[tuple[str, Pictures], ...] = field(default=(), repr=False, compare=False)
    timing_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 agrees, 1 diverges, 2 could not tell."""
        return EXIT_CODES[self.verdict]

    def score(self, side: str, protocol: Protocol) -> Scores:
        """The scores of a side (``reference``, ``candidate``). Raises KeyError where there are none."""
        return next(s for s in self.sides if s.name == side).scores[protocol]

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract, schema version 1; plain types only."""
        return {
            "schema": 1,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "exit_code": self.exit_code,
            "segdiff": VERSION,
            "command": list(self.command) if self.command else None,
            "asked": list(self.asked),
            "classes": list(self.names),
            "images": {"used": self.images, "labelled": self.labelled, "skipped": self.skipped},
            "sides": [side.to_dict() for side in self.sides],
            "attribution": self.attribution.to_dict() if self.attribution else None,
            "agreement": _agreement(self.agreement),
            "output": finite(self.output) if self.output else None,
            "input": _input(self.input) if self.input else None,
            "labels": self.labels.to_dict() if self.labels else None,
            "worst": [_worst(result) for result in self.worst],
            "problems": list(self.problems),
            "remarks": list(self.remarks),
            "files": [str(path) for path in self.files],
            "pictures": door("pictures.named")(self.pictures),
            "located": self.located.to_dict() if self.located else None,
            "timing_s": dict(self.timing_s),
            "peak_memory_mb": self.peak_memory_mb,
        }

    def to_json(self) -> str:
        """The text of :meth:`to_dict`."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)

    def __repr__(self) -> str:
        return f"<segdiff.ScoreReport {self.verdict}: {self.sentence}>"


def finite(output: OutputError) -> dict[str, float | None]:
    """JSON knows no infinity: an infinite error becomes None."""
    return {name: value if math.isfinite(value) else None for name, value in vars(output).items()}


def _agreement(found: Agreement) -> dict[str, float]:
    """``share`` is the equal part by contract, unlike ``Agreement.share``; the others say what they are."""
    shares = {"share": 1 - found.share, "equal_share": 1 - found.share, "changed_share": found.share}
    return vars(found) | shares


def _input(comparison: InputComparison) -> dict[str, Any]:
    found = [
        {
            "kind": finding.kind,
            "text": finding.text,
            "proven": finding.proven,
            "residual": finding.residual.to_dict() if finding.residual else None,
        }
        for finding in comparison.findings
    ]
    return {
        "same": comparison.same,
        "assumed": comparison.assumed,
        "metrics": comparison.metrics.to_dict(),
        "causes": found if comparison.accused else [],
        "differences": [] if comparison.accused else found,
    }


def _worst(result: ImageResult) -> dict[str, Any]:
    return {
        "image": result.name,
        "changed": result.agreement.share,
        "clearly_changed": result.agreement.clear_share,
        "pixels": {
            "all": result.agreement.pixels,
            "changed": result.agreement.changed,
            "clear": result.agreement.clear,
        },
        "output": finite(result.output) if result.output else None,
    }
