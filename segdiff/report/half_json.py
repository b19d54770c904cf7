"""What does a report on half precision look like as JSON, and what does its JSON say? docs/json.md has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from segdiff.core.environment import Computed
from segdiff.core.half import Cost, HalfOp, HalfRemedy, Static
from segdiff.half.answer import ClassScore, HalfEnvironment, HalfReport

Fields = Mapping[str, Any]


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
        "static": [
            {"candidate": {"nodes": list(each.nodes)}, "reason": each.reason, "text": each.text}
            for each in report.static
        ],
        "remedies": [_remedy(each) for each in report.remedies],
        "images": {"used": list(report.images), "skipped": report.skipped, "for_shares": report.shared},
        "runs": report.runs,
        "problems": list(report.problems),
        "remarks": list(report.remarks),
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
        static=tuple(
            Static(tuple(each["candidate"]["nodes"]), each["reason"], each["text"]) for each in data["static"]
        ),
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
        environment=_read_environment(environment) if environment else None,
        asked=tuple(data["asked"]),
        command=tuple(data["command"]) if data["command"] else None,
        timing_s=dict(data["timing_s"]),
        peak_memory_mb=data["peak_memory_mb"],
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
    cost = _read_cost(data["cost_after"]) or Cost(math.inf, math.inf)
    files = {target: Path(path) for target, path in data["files"].items()}
    return HalfRemedy(data["kind"], tuple(data["nodes"]), data["text"], cost, files)


def _read_environment(data: Fields) -> HalfEnvironment:
    computed = data["candidate"]
    return HalfEnvironment(
        data["segdiff"],
        data["python"],
        data["platform"],
        Computed(computed["engine"], computed["python"], dict(computed["versions"])),
    )
