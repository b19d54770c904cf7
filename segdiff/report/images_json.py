"""Several images as JSON, and back: docs/json.md has the contract."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdiff.core.errors import InputError
from segdiff.core.images_report import ImagesReport, LocatedImage, SharedOrigin
from segdiff.report.json import report_to_dict
from segdiff.report.load_report import report_of

Fields = Mapping[str, Any]


def images_to_dict(found: ImagesReport) -> dict[str, Any]:
    """Several images as dicts, lists, text and numbers."""
    reference, candidate, images = found.paths
    told = found.told
    return {
        "schema": 1,
        "verdict": found.verdict,
        "sentence": found.sentence,
        "exit_code": found.exit_code,
        "command": list(found.command) if found.command else None,
        "reference": str(reference),
        "candidate": str(candidate),
        "images": images,
        "run": found.run,
        "differing": found.differing,
        "skipped": found.skipped,
        "told": None if told is None else found.entries.index(told),
        "worst_images": [
            {
                "name": entry.name,
                "path": str(entry.path),
                "mask_changed": entry.changed,
                "max_abs": finite(entry.max_abs),
                "verdict": entry.verdict,
                "problem": entry.problem,
                "report": report_to_dict(entry.report) if entry.report else None,
            }
            for entry in found.entries
        ],
        "shared_origins": [
            {
                "fingerprint": each.origin.fingerprint,
                "candidate": each.origin.pair.candidate,
                "kind": each.origin.cause.kind if each.origin.cause else "unknown",
                "proven": bool(each.origin.cause and each.origin.cause.proven),
                "images": list(each.images),
            }
            for each in found.origins
        ],
        "problems": list(found.problems),
        "remarks": list(found.remarks),
        "timing_s": dict(found.timing_s),
        "peak_memory_mb": found.peak_memory_mb,
    }


def finite(number: float | None) -> float | None:
    """A number as JSON has it: null stands for infinity, too."""
    return number if number is not None and math.isfinite(number) else None


def images_of(data: Fields) -> ImagesReport:
    """Several images from what ``images_to_dict`` gave."""
    entries = tuple(map(_entry, data["worst_images"]))
    return ImagesReport(
        data["sentence"],
        entries,
        tuple(_shared(entries, each) for each in data["shared_origins"]),
        (Path(data["reference"]), Path(data["candidate"]), data["images"]),
        data["run"],
        data["differing"],
        data["skipped"],
        tuple(data["problems"]),
        tuple(data["remarks"]),
        dict(data["timing_s"]),
        data["peak_memory_mb"],
        tuple(data["command"]) if data["command"] else None,
    )


def _entry(data: Fields) -> LocatedImage:
    report = report_of(data["report"]) if data["report"] else None
    path, changed = Path(data["path"]), data["mask_changed"]
    return LocatedImage(data["name"], path, changed, data["max_abs"], report, data["problem"])


def _shared(entries: tuple[LocatedImage, ...], data: Fields) -> SharedOrigin:
    """The origin, as the report of the first of its images has it. Raises InputError where none has."""
    for entry in entries:
        for origin in entry.report.origins if entry.report and entry.name in data["images"] else ():
            if origin.fingerprint == data["fingerprint"] and origin.pair.candidate == data["candidate"]:
                return SharedOrigin(origin, tuple(data["images"]))
    raise InputError(f"a shared origin at {data['candidate'][:80]!r} is in none of the images' reports")
