"""What does segdiff answer? The report as plain data: every other form of it is made from these.

``Report.to_dict()`` is the JSON contract, schema version 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from segdiff.edit import Edit
from segdiff.metrics import Comparison, Metrics

if TYPE_CHECKING:
    from segdiff.evidence import Evidence
    from segdiff.inputs import InputComparison
    from segdiff.repair import Repaired

Verdict = Literal["agrees", "diverges", "inconclusive"]
State = Literal["clean", "origin", "inherited", "unknown"]

EXIT_CODES: Mapping[str, int] = {"agrees": 0, "diverges": 1, "inconclusive": 2}


@dataclass(frozen=True)
class ModelInfo:
    """One side: where it lies, its format, and how many compute ops it has."""

    path: Path
    format: str
    ops: int


@dataclass(frozen=True)
class OpInfo:
    """An operator as its framework calls it, with the attributes it was written with."""

    type: str
    name: str
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class PairInfo:
    """Two aligned values and their errors; ``state`` is the verdict on the segment that makes them.

    ``shape`` is the reference tensor's; ``reason`` says in words why the state is what it is; ``noise`` is
    the segment's own rounding where it was measured (see ``segdiff.walk.judge``).
    """

    reference: str
    candidate: str
    reference_op: str
    candidate_op: str
    shape: tuple[int, ...]
    evidence: tuple[str, ...]
    state: State
    cumulative: Comparison | None
    isolated: Comparison | None
    noise: Comparison | None = None
    reason: str = ""


@dataclass(frozen=True)
class Cause:
    """Why an origin errs; ``proven`` when the change it stands for makes the isolated error vanish.

    ``residual`` is the isolated error after the change and ``before`` the one without it; ``edits`` are the
    change itself, for the repair.
    """

    kind: str
    text: str
    proven: bool
    residual: Metrics | None = None
    before: Metrics | None = None
    edits: tuple[Edit, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True)
class Effect:
    """What repairing an origin gives back: the share of the final error, and of the changed mask pixels.

    Negative where it makes things worse; ``mask_pixels_restored`` is None where no output is a map of classes
    or none of its pixels changes.
    """

    final_error_removed: float
    mask_pixels_restored: float | None


@dataclass(frozen=True)
class Origin:
    """A segment that errs on equal inputs: the operators of both sides and the pair they end in.

    ``inputs`` are the pairs (reference, candidate) the segment starts from. ``confirmed`` says that what
    reads the value agrees once the reference's tensor is put in its place, so that the fault lies in this
    segment and nowhere else.
    """

    pair: PairInfo
    reference_ops: tuple[OpInfo, ...]
    candidate_nodes: tuple[OpInfo, ...]
    inputs: tuple[tuple[str, str], ...]
    confirmed: bool
    cause: Cause | None = None
    effect: Effect | None = None

    @property
    def runtime(self) -> bool:
        """Whether the model errs only as deployed: ``reference_ops`` are then the graph as written,
        ``candidate_nodes`` the same place as the framework's optimiser has made it."""
        return self.cause is not None and self.cause.kind.startswith("runtime.")


@dataclass(frozen=True)
class OutputInfo:
    """One output of the model; ``mask_changed`` is the share of pixels whose class changes, None where the
    output is not a map of classes."""

    reference: str
    candidate: str
    cumulative: Comparison | None
    mask_changed: float | None


@dataclass(frozen=True)
class AsFed:
    """The candidate with the input that its user feeds it.

    ``outputs`` compare the candidate on that input with the reference on its own; they are empty where the
    two inputs are the same, or where the candidate does not take it (``problem`` says why).
    """

    comparison: InputComparison
    outputs: tuple[OutputInfo, ...]
    problem: str | None = None


@dataclass(frozen=True)
class Report:
    """The answer to "where do the two models part?".

    ``sentence`` says the verdict for a person; ``remarks`` what else one should know; ``input_findings``
    what was fed and how. ``pairs`` stand in walk order, ``origins`` too, those of an optimiser last.
    ``together`` is the effect of repairing all origins at once. ``as_fed`` is what the candidate's own input
    does, where it was given. ``image`` is the image's path, where it was given as one; ``evidence`` keeps the
    tensors that a repair and a repro need.
    """

    verdict: Verdict
    sentence: str
    coverage: tuple[float, float]
    reference: ModelInfo
    candidate: ModelInfo
    thresholds: Mapping[str, float | None]
    outputs: tuple[OutputInfo, ...]
    origins: tuple[Origin, ...]
    first_crossing: PairInfo | None
    pairs: tuple[PairInfo, ...]
    unmatched: tuple[tuple[str, ...], tuple[str, ...]]
    input_findings: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    together: Effect | None = None
    as_fed: AsFed | None = None
    timing_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    image: str | None = None
    evidence: Evidence | None = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> Origin | None:
        """The first origin in walk order."""
        return self.origins[0] if self.origins else None

    @property
    def homes(self) -> tuple[str, ...]:
        """Where the error lives: ``input``, ``network``, ``runtime``; several, or nowhere."""
        found = {
            "input": self.as_fed is not None and not self.as_fed.comparison.same,
            "network": any(not origin.runtime for origin in self.origins),
            "runtime": any(origin.runtime for origin in self.origins),
        }
        return tuple(home for home, here in found.items() if here)

    @property
    def exit_code(self) -> int:
        """0 agrees, 1 diverges, 2 could not tell."""
        return EXIT_CODES[self.verdict]

    def repair(self, path: str | Path) -> Repaired:
        """Write a copy of the candidate with every proven cause mended, and run it; see segdiff.repair."""
        from segdiff.repair import repair

        return repair(self, path)

    def repro(self, folder: str | Path, *, origin: int = 0) -> Path:
        """Write one origin down for a bug report: its nodes, its tensors, a script; see segdiff.repro."""
        from segdiff.repro import repro

        return repro(self, folder, origin=origin)

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract, schema version 1; plain types only."""
        return {
            "schema": 1,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "coverage": {"reference": self.coverage[0], "candidate": self.coverage[1]},
            "reference": _model(self.reference),
            "candidate": _model(self.candidate),
            "thresholds": dict(self.thresholds),
            "outputs": [_output(output) for output in self.outputs],
            "first": _origin(self.first) if self.first else None,
            "origins": [_origin(origin) for origin in self.origins],
            "together": _effect(self.together),
            "first_crossing": _crossing(self.first_crossing) if self.first_crossing else None,
            "pairs": [_pair(pair) for pair in self.pairs],
            "unmatched": {"reference": list(self.unmatched[0]), "candidate": list(self.unmatched[1])},
            "input": _input(self),
            "remarks": list(self.remarks),
            "timing_s": dict(self.timing_s),
            "peak_memory_mb": self.peak_memory_mb,
        }

    def to_json(self) -> str:
        """``to_dict()`` as text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __rich__(self) -> Any:
        from segdiff.report.terminal import render

        return render(self)

    def _repr_html_(self) -> str:
        from segdiff.report.notebook import to_html

        return to_html(self)

    def __repr__(self) -> str:
        return f"<segdiff.Report {self.verdict}: {self.sentence}>"


def _model(model: ModelInfo) -> dict[str, Any]:
    return {"path": str(model.path), "format": model.format, "ops": model.ops}


def _metrics(comparison: Comparison | None) -> dict[str, float | None] | None:
    return comparison.metrics.to_dict() if comparison else None


def _output(output: OutputInfo) -> dict[str, Any]:
    return {
        "reference": output.reference,
        "candidate": output.candidate,
        "cumulative": _metrics(output.cumulative),
        "mask_changed": output.mask_changed,
    }


def _pair(pair: PairInfo) -> dict[str, Any]:
    return {
        "reference": pair.reference,
        "candidate": pair.candidate,
        "reference_op": pair.reference_op,
        "candidate_op": pair.candidate_op,
        "evidence": list(pair.evidence),
        "state": pair.state,
        "cumulative": _metrics(pair.cumulative),
        "isolated": _metrics(pair.isolated),
    }


def _crossing(pair: PairInfo) -> dict[str, Any]:
    return {
        "reference": pair.reference,
        "candidate": pair.candidate,
        "cumulative": _metrics(pair.cumulative),
    }


def _origin(origin: Origin) -> dict[str, Any]:
    ops = [
        {"type": op.type, "outputs": list(op.outputs), "attributes": plain(op.attributes)}
        for op in origin.reference_ops
    ]
    nodes = [
        {
            "op_type": op.type,
            "name": op.name,
            "outputs": list(op.outputs),
            "attributes": plain(op.attributes),
        }
        for op in origin.candidate_nodes
    ]
    cause, effect = origin.cause, origin.effect
    return {
        "reference": {"ops": ops, "value": origin.pair.reference},
        "candidate": {"nodes": nodes, "value": origin.pair.candidate},
        "isolated": _metrics(origin.pair.isolated),
        "cumulative": _metrics(origin.pair.cumulative),
        "confirmed": origin.confirmed,
        "reason": origin.pair.reason,
        "cause": cause
        and {
            "kind": cause.kind,
            "text": cause.text,
            "proven": cause.proven,
            "residual": cause.residual.to_dict() if cause.residual else None,
        },
        "effect": _effect(effect),
    }


def _input(report: Report) -> dict[str, Any]:
    if report.as_fed is None:
        return {"same": True, "findings": list(report.input_findings)}
    found = report.as_fed.comparison
    return {
        "same": found.same,
        "findings": [*report.input_findings, *(finding.text for finding in found.findings)],
        "metrics": found.metrics.to_dict(),
        "causes": [
            {
                "kind": finding.kind,
                "text": finding.text,
                "proven": finding.proven,
                "residual": finding.residual.to_dict() if finding.residual else None,
            }
            for finding in found.findings
        ],
        "outputs": [_output(output) for output in report.as_fed.outputs],
        "problem": report.as_fed.problem,
    }


def _effect(effect: Effect | None) -> dict[str, float | None] | None:
    if effect is None:
        return None
    return {
        "final_error_removed": effect.final_error_removed,
        "mask_pixels_restored": effect.mask_pixels_restored,
    }


def plain(value: Any) -> Any:
    """Attributes as JSON can hold them: arrays become lists (long ones their shape), bytes text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist()) if value.size <= 16 else f"{value.dtype} {list(value.shape)}"
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)
