"""What does a report look like as JSON? Schema version 1, as docs/json.md has it; plain types only."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from segdiff.core.answer import (
    Cause,
    Effect,
    ModelInfo,
    Origin,
    OutputInfo,
    PairInfo,
    Repaired,
    Report,
)
from segdiff.core.edit import Edit, Node
from segdiff.core.fed import InputFinding
from segdiff.core.metrics import Comparison
from segdiff.core.outlets import Ends, Outlets
from segdiff.core.plain import plain
from segdiff.core.precision import EPSILON
from segdiff.core.shapes_report import NotRun, ShapesReport
from segdiff.report.elsewhere import device_remark_to_dict
from segdiff.report.kept_pictures import pictures_to_dict
from segdiff.report.links import docs_of
from segdiff.report.repaired import sentence_of
from segdiff.report.words import reason

SIDES = ("reference", "candidate")


def report_to_dict(report: Report) -> dict[str, Any]:
    """The report as dicts, lists, text and numbers."""
    return {
        "schema": 1,
        "verdict": report.verdict,
        "sentence": report.sentence,
        "exit_code": report.exit_code,
        "homes": list(report.homes),
        "command": list(report.command) if report.command else None,
        "baseline": asdict(report.baseline) if report.baseline else None,
        "coverage": {"reference": report.coverage[0], "candidate": report.coverage[1]},
        "reference": _model(report.reference),
        "candidate": _model(report.candidate),
        "image": _image(report),
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
        "measured": asdict(report.measured) if report.measured else None,
        "device": _device(report),
        "environment": asdict(report.environment) if report.environment else None,
        "remarks": list(report.remarks),
        "device_remarks": [device_remark_to_dict(each) for each in report.device_remarks],
        "pictures": pictures_to_dict(report.pictures),
        "timing_s": dict(report.timing_s),
        "peak_memory_mb": report.peak_memory_mb,
    }


def repaired_to_dict(repaired: Repaired) -> dict[str, Any]:
    """A repair as dicts, lists, text and numbers."""
    return {
        "schema": 1,
        "verdict": "agrees" if repaired.agrees else "diverges",
        "sentence": sentence_of(repaired),
        "exit_code": repaired.exit_code,
        "unit": repaired.unit,
        "path": str(repaired.path),
        "changes": [cause_to_dict(cause) for cause in repaired.changes],
        "left": list(repaired.left),
        "outputs": [_before_and_after(o.before, o.after, o.mask_changed) for o in repaired.outputs],
        "remarks": list(repaired.remarks),
        "pictures": pictures_to_dict(repaired.pictures),
    }


def swept_to_dict(swept: ShapesReport) -> dict[str, Any]:
    """Several batches and sizes as dicts, lists, text and numbers."""
    reference, candidate, image = swept.paths
    told = swept.told
    return {
        "schema": 1,
        "verdict": swept.verdict,
        "sentence": swept.sentence,
        "exit_code": swept.exit_code,
        "command": list(swept.command) if swept.command else None,
        "reference": str(reference),
        "candidate": str(candidate),
        "image": image,
        "told": None if told is None else swept.entries.index(told),
        "entries": [
            {
                "shape": list(entry.shape),
                "options": list(entry.options),
                "verdict": entry.verdict,
                "not_run": _not_run(entry.not_run) if entry.not_run else None,
                "report": report_to_dict(entry.report) if entry.report else None,
            }
            for entry in swept.entries
        ],
        "how": list(swept.how),
        "remarks": list(swept.remarks),
        "timing_s": dict(swept.timing_s),
        "peak_memory_mb": swept.peak_memory_mb,
    }


def _not_run(not_run: NotRun) -> dict[str, Any]:
    return {
        "kind": not_run.kind,
        "file": str(not_run.file) if not_run.file else None,
        "takes": list(not_run.takes),
        "detail": not_run.detail,
    }


def not_repaired_to_dict(report: Report) -> dict[str, Any]:
    """The same where nothing was written, because nothing was found that could be repaired."""
    return {
        "schema": 1,
        "verdict": report.verdict,
        "sentence": report.sentence,
        "exit_code": report.exit_code,
        "unit": EPSILON,
        "path": None,
        "changes": [],
        "left": [],
        "outputs": [_before_and_after(each, each.cumulative, each.mask_changed) for each in report.outputs],
        "remarks": [],
        "pictures": None,
    }


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


def cause_to_dict(cause: Cause) -> dict[str, Any]:
    """A cause, with the change that it stands for."""
    return {
        **_finding(cause),
        "before": cause.before.to_dict() if cause.before else None,
        "mends": cause.mends,
        "docs": docs_of(cause.kind),
        "edits": [_edit(edit) for edit in cause.edits],
        "gives_out": _ends(cause.ends),
    }


def _finding(cause: Cause | InputFinding) -> dict[str, Any]:
    return {
        "kind": cause.kind,
        "text": cause.text,
        "proven": cause.proven,
        "residual": cause.residual.to_dict() if cause.residual else None,
    }


def _ends(ends: Ends | None) -> list[dict[str, Any]] | None:
    """What the file shall give out."""
    if ends is None:
        return None
    listed = ends.outputs if isinstance(ends, Outlets) else (ends,)
    return [
        {
            "name": each.name,
            "value": each.value,
            "of": each.of or None,
            "nodes": [_node(node) for node in each.nodes],
        }
        for each in listed
    ]


def _model(model: ModelInfo) -> dict[str, Any]:
    return {
        "path": str(model.path),
        "format": model.format,
        "ops": model.ops,
        "opset": model.opset,
        "files": [asdict(file) for file in model.files],
    }


def _image(report: Report) -> dict[str, Any] | None:
    """The image's path, size and hash, where it came as a file."""
    if report.image is None:
        return None
    file = report.image_file
    return {
        "path": report.image,
        "bytes": file.bytes if file else None,
        "sha256": file.sha256 if file else None,
    }


def _device(report: Report) -> dict[str, Any] | None:
    """The dump of a device, and how much it shows; None where both sides ran here."""
    found = report.device
    return None if found is None else {**asdict(found), "path": str(found.path)}


def _metrics(comparison: Comparison | None) -> dict[str, float | None] | None:
    return comparison.metrics.to_dict() if comparison else None


def _finite(number: float | None) -> float | None:
    """A number as JSON has it: null stands for infinity, too."""
    return number if number is not None and math.isfinite(number) else None


def _mismatch(comparison: Comparison | None) -> str | None:
    """Why two tensors cannot be compared element by element."""
    return comparison.mismatch if comparison else None


def _changed(comparison: Comparison | None) -> float | None:
    """The share of elements that differ, of whole numbers."""
    return comparison.changed if comparison and comparison.discrete else None


def _output(output: OutputInfo) -> dict[str, Any]:
    return {
        "reference": output.reference,
        "candidate": output.candidate,
        "cumulative": _metrics(output.cumulative),
        "mask_changed": output.mask_changed,
        "mismatch": _mismatch(output.cumulative),
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
        "shape": list(pair.shape),
        "evidence": list(pair.evidence),
        "state": pair.state,
        "reason": reason(pair.why),
        "why": {**asdict(pair.why), "times": _finite(pair.why.times)},
        "cumulative": _metrics(pair.cumulative),
        "isolated": _metrics(pair.isolated),
        "rounding": _metrics(pair.noise),
        "mismatch": {"cumulative": _mismatch(pair.cumulative), "isolated": _mismatch(pair.isolated)},
        "changed": {"cumulative": _changed(pair.cumulative), "isolated": _changed(pair.isolated)},
    }


def _crossing(pair: PairInfo) -> dict[str, Any]:
    return {
        "reference": pair.reference,
        "candidate": pair.candidate,
        "cumulative": _metrics(pair.cumulative),
    }


def _origin(origin: Origin) -> dict[str, Any]:
    ops = [
        {
            "type": op.type,
            "name": op.name,
            "outputs": list(op.outputs),
            "attributes": plain(op.attributes),
        }
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
        "fingerprint": origin.fingerprint or None,
        "home": "runtime" if origin.runtime else "device" if origin.device else "network",
        "reference": {"ops": ops, "value": origin.pair.reference},
        "candidate": {"nodes": nodes, "value": origin.pair.candidate},
        "pair": _pair(origin.pair),
        "inputs": [dict(zip(SIDES, names, strict=True)) for names in origin.inputs],
        "isolated": _metrics(origin.pair.isolated),
        "cumulative": _metrics(origin.pair.cumulative),
        "rounding": _metrics(origin.pair.noise),
        "confirmed": origin.confirmed,
        "reason": reason(origin.pair.why),
        "cause": cause and cause_to_dict(cause),
        "effect": _effect(effect),
        "inside": [
            {"node": each.node, "op_type": each.op_type, "block": each.block, "iteration": each.iteration}
            for each in origin.inside
        ],
    }


def _input(report: Report) -> dict[str, Any]:
    assumed = report.assumed is not None
    how = {"assumed": assumed, "assumption": report.assumed, "how": list(report.input_findings)}
    if report.as_fed is None:
        return {"same": True, **how, "findings": list(report.input_findings)}
    found = report.as_fed.comparison
    return {
        "same": found.same,
        **how,
        "findings": [*report.input_findings, *(finding.text for finding in found.findings)],
        "metrics": found.metrics.to_dict(),
        "causes": [_finding(finding) for finding in found.findings if found.accused],
        "differences": [_finding(finding) for finding in found.findings if not found.accused],
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
