"""What does a report on half precision look like as JSON, and what does its JSON say? docs/json.md has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from segdiff.core.environment import Computed
from segdiff.core.half import Cost, HalfEdit, HalfOp, HalfRemedy, Static
from segdiff.half.answer import ClassScore, HalfEnvironment, HalfReport
from segdiff.report.elsewhere import device_remark, device_remark_to_dict

Fields = Mapping[str, Any]

LOST = Cost(math.inf, math.inf)
"""A cost of which nothing is known."""


def half_to_dict(report: HalfReport) -> dict[str, Any]:
    """The report as dicts, lists, text and numbers."""
    return {
        "schema": 1,
        "verdict": report.verdict,
        "sentence": report.sentence,
        "exit_code": report.exit_code,
        "command": list(report.command) if report.command else None,
        "asked": list(report.asked),
        "reference": report.reference,
        "candidate": report.candidate,
        "precision": report.precision,
        "target": report.target,
        "simulated": {"batch_norm": report.batch_norm, "overflow": report.overflow},
        "allowed": report.allowed,
        "cost": _cost(report.cost),
        "miou": {"float32": report.scores[0], "half": report.scores[1]} if report.scores else None,
        "classes": [asdict(each) for each in report.classes],
        "ops": [_op(op) for op in report.ops],
        "measured": report.measured,
        "largest_unmeasured": report.largest_unmeasured,
        "static": [_static(each) for each in report.static],
        "remedies": [_remedy(each) for each in report.remedies],
        "edit": _edit(report.edit) if report.edit else None,
        "images": {"used": list(report.images), "skipped": report.skipped, "for_shares": report.shared},
        "runs": report.runs,
        "problems": list(report.problems),
        "remarks": list(report.remarks),
        "device_remarks": [device_remark_to_dict(each) for each in report.device_remarks],
        "environment": asdict(report.environment) if report.environment else None,
        "timing_s": dict(report.timing_s),
        "peak_memory_mb": report.peak_memory_mb,
    }


def _cost(cost: Cost | None) -> dict[str, Any] | None:
    """The figures; one that is not finite is null."""
    if cost is None:
        return None
    return {
        name: value if value is None or math.isfinite(value) else None for name, value in vars(cost).items()
    }


def _op(op: HalfOp) -> dict[str, Any]:
    return {
        "candidate": {"nodes": list(op.nodes), "value": op.value},
        "share": op.share,
        "spread": op.spread,
        "alone": _cost(op.alone),
        "reason": op.reason,
        "text": op.text,
        "can_keep": op.can_keep,
    }


def _remedy(remedy: HalfRemedy) -> dict[str, Any]:
    return {
        "kind": remedy.kind,
        "nodes": list(remedy.nodes),
        "text": remedy.text,
        "cost_after": _cost(remedy.cost_after),
        "files": {target: str(path) for target, path in remedy.files.items()},
    }


def _static(found: Static) -> dict[str, Any]:
    return {"candidate": {"nodes": list(found.nodes)}, "reason": found.reason, "text": found.text}


def _edit(edit: HalfEdit) -> dict[str, Any]:
    return {
        "path": str(edit.path),
        "changes": [_static(each) for each in edit.changes],
        "float32": _cost(edit.float32),
        "before": _cost(edit.before),
        "after": _cost(edit.after),
    }


def half_report(data: Fields) -> HalfReport:
    """A report of ``precision``; the JSON must fit the schema."""
    scores, environment = data["miou"], data["environment"]
    return HalfReport(
        verdict=data["verdict"],
        sentence=data["sentence"],
        reference=data["reference"],
        candidate=data["candidate"],
        precision=data["precision"],
        target=data["target"],
        batch_norm=data["simulated"]["batch_norm"],
        overflow=data["simulated"]["overflow"],
        cost=_read_cost(data["cost"]),
        ops=tuple(map(_read_op, data["ops"])),
        static=tuple(map(_read_static, data["static"])),
        remedies=tuple(map(_read_remedy, data["remedies"])),
        images=tuple(data["images"]["used"]),
        allowed=data["allowed"],
        measured=data["measured"],
        shared=data["images"]["for_shares"],
        runs=data["runs"],
        largest_unmeasured=data["largest_unmeasured"],
        scores=(scores["float32"], scores["half"]) if scores else None,
        classes=tuple(ClassScore(each["name"], each["plain"], each["half"]) for each in data["classes"]),
        skipped=data["images"]["skipped"],
        problems=tuple(data["problems"]),
        remarks=tuple(data["remarks"]),
        device_remarks=tuple(map(device_remark, data.get("device_remarks", ()))),
        environment=_read_environment(environment) if environment else None,
        asked=tuple(data["asked"]),
        command=tuple(data["command"]) if data["command"] else None,
        timing_s=dict(data["timing_s"]),
        peak_memory_mb=data["peak_memory_mb"],
        edit=_read_edit(data["edit"]) if data.get("edit") else None,
    )


def _read_cost(data: Fields | None) -> Cost | None:
    if data is None:
        return None
    error, largest = (math.inf if data[name] is None else data[name] for name in ("rel_l2", "max_abs"))
    return Cost(error, largest, data["mask_changed"], data["miou_points"])


def _read_op(data: Fields) -> HalfOp:
    return HalfOp(
        tuple(data["candidate"]["nodes"]),
        data["candidate"]["value"],
        data["share"],
        _read_cost(data["alone"]),
        data["reason"],
        data["text"],
        data["can_keep"],
        data["spread"],
    )


def _read_remedy(data: Fields) -> HalfRemedy:
    cost = _read_cost(data["cost_after"]) or LOST
    files = {target: Path(path) for target, path in data["files"].items()}
    return HalfRemedy(data["kind"], tuple(data["nodes"]), data["text"], cost, files)


def _read_static(data: Fields) -> Static:
    return Static(tuple(data["candidate"]["nodes"]), data["reason"], data["text"])


def _read_edit(data: Fields) -> HalfEdit:
    costs = (_read_cost(data[name]) or LOST for name in ("float32", "before", "after"))
    return HalfEdit(Path(data["path"]), tuple(map(_read_static, data["changes"])), *costs)


def _read_environment(data: Fields) -> HalfEnvironment:
    computed = data["candidate"]
    return HalfEnvironment(
        data["segdiff"],
        data["python"],
        data["platform"],
        Computed(computed["engine"], computed["python"], dict(computed["versions"])),
    )
