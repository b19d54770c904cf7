"""What does a report look like as JSON? Schema version 1, as docs/json.md has it; plain types only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from segdiff.core.answer import (
    Cause,
    Effect,
    InputFinding,
    ModelInfo,
    Origin,
    OutputInfo,
    PairInfo,
    Repaired,
    Report,
)
from segdiff.core.edit import Edit, Node
from segdiff.core.metrics import Comparison
from segdiff.core.plain import plain
from segdiff.report.repaired import sentence_of
from segdiff.report.words import reason

SIDES = ("reference", "candidate")


def report_to_dict(report: Report) -> dict[str, Any]:
    """The report as dicts, lists, text and numbers."""
    return {
        "schema": 1,
        "verdict": report.verdict,
        "sentence": report.sentence,
        "coverage": {"reference": report.coverage[0], "candidate": report.coverage[1]},
        "reference": _model(report.reference),
        "candidate": _model(report.candidate),
        "thresholds": dict(report.thresholds),
        "outputs": [_output(output) for output in report.outputs],
        "first": _origin(report.first) if report.first else None,
        "origins": [_origin(origin) for origin in report.origins],
        "together": _effect(report.together),
        "first_crossing": _crossing(report.first_crossing) if report.first_crossing else None,
        "pairs": [_pair(pair) for pair in report.pairs],
        "unmatched": {"reference": list(report.unmatched[0]), "candidate": list(report.unmatched[1])},
        "input": _input(report),
        "precision": asdict(report.precision) if report.precision else None,
        "environment": asdict(report.environment) if report.environment else None,
        "remarks": list(report.remarks),
        "timing_s": dict(report.timing_s),
        "peak_memory_mb": report.peak_memory_mb,
    }


def repaired_to_dict(repaired: Repaired) -> dict[str, Any]:
    """A repair as dicts, lists, text and numbers."""
    return {
        "schema": 1,
        "verdict": "agrees" if repaired.agrees else "diverges",
        "sentence": sentence_of(repaired),
        "path": str(repaired.path),
        "changes": [_change(cause) for cause in repaired.changes],
        "left": list(repaired.left),
        "outputs": [_before_and_after(o.before, o.after, o.mask_changed) for o in repaired.outputs],
        "remarks": list(repaired.remarks),
    }


def not_repaired_to_dict(report: Report) -> dict[str, Any]:
    """The same where nothing was written, because nothing was found that could be repaired."""
    return {
        "schema": 1,
        "verdict": report.verdict,
        "sentence": report.sentence,
        "path": None,
        "changes": [],
        "left": [],
        "outputs": [_before_and_after(each, each.cumulative, each.mask_changed) for each in report.outputs],
        "remarks": [],
    }


def _change(cause: Cause) -> dict[str, Any]:
    return {**_cause(cause), "edits": [_edit(edit) for edit in cause.edits]}


def _edit(edit: Edit) -> dict[str, Any]:
    """What becomes of the node that writes ``value``."""
    return {
        "value": edit.output,
        "inside": edit.inside or None,
        "op_type": edit.op_type,
        "attributes": plain(edit.attributes),
        "inputs": plain(edit.inputs),
        "nodes": [_node(node) for node in edit.nodes],
        "before": [_node(node) for node in edit.before],
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "op_type": node.op_type,
        "inputs": plain(node.inputs),
        "outputs": list(node.outputs),
        "attributes": plain(node.attributes),
    }


def _before_and_after(before: OutputInfo, after: Comparison | None, mask: float | None) -> dict[str, Any]:
    return {
        "reference": before.reference,
        "candidate": before.candidate,
        "before": _metrics(before.cumulative),
        "after": _metrics(after),
        "mask_changed": {"before": before.mask_changed, "after": mask},
    }


def _cause(cause: Cause | InputFinding) -> dict[str, Any]:
    return {
        "kind": cause.kind,
        "text": cause.text,
        "proven": cause.proven,
        "residual": cause.residual.to_dict() if cause.residual else None,
    }


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
        "place": dict(zip(SIDES, output.places, strict=True)),
        "shape": {side: form and list(form.shape) for side, form in zip(SIDES, output.forms, strict=True)},
        "dtype": {side: form and form.dtype for side, form in zip(SIDES, output.forms, strict=True)},
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
        "reason": reason(origin.pair.why),
        "cause": cause and _cause(cause),
        "effect": _effect(effect),
        "inside": [
            {"node": each.node, "op_type": each.op_type, "block": each.block, "iteration": each.iteration}
            for each in origin.inside
        ],
    }


def _input(report: Report) -> dict[str, Any]:
    assumed = report.assumed is not None
    if report.as_fed is None:
        return {"same": True, "assumed": assumed, "findings": list(report.input_findings)}
    found = report.as_fed.comparison
    return {
        "same": found.same,
        "assumed": assumed,
        "findings": [*report.input_findings, *(finding.text for finding in found.findings)],
        "metrics": found.metrics.to_dict(),
        "causes": [_cause(finding) for finding in found.findings if found.accused],
        "differences": [_cause(finding) for finding in found.findings if not found.accused],
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
