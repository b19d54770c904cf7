"""What did a saved report say? The JSON read back into an answer, without the models.

All that the JSON has comes back, so that every form can be drawn of it; the tensors of the run do not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from segdiff.core.answer import OutputInfo, Repaired, RepairedOutput, Report
from segdiff.core.errors import InputError
from segdiff.core.images_report import ImagesReport
from segdiff.core.metrics import INCOMPARABLE, Comparison
from segdiff.core.precision import EPSILON
from segdiff.core.shapes_report import Entry, NotRun, ShapesReport
from segdiff.core.sweep_report import SweepReport
from segdiff.half.answer import HalfReport
from segdiff.report.fits import misfit
from segdiff.report.half_json import half_report
from segdiff.report.images_json import images_of
from segdiff.report.kept_pictures import PictureError, pictures_of
from segdiff.report.load_report import cause_of, comparison, report_of
from segdiff.report.load_score import score_report
from segdiff.report.sweep_json import sweep_report
from segdiff.score.report import ScoreReport

Fields = Mapping[str, Any]
Answer = Report | ScoreReport | Repaired | ShapesReport | ImagesReport | SweepReport | HalfReport
"""What a file can hold."""

UNKNOWN = Comparison(INCOMPARABLE, math.nan, math.nan, 0, mismatch="not known")


def load(path: str | Path) -> Answer:
    """A report that ``--json``, ``--out`` or ``save`` has written, by any version of segdiff.

    What an older version did not write is left out. A repair that wrote no file comes back as the report of
    ``locate`` that it rests on. Raises InputError where the file cannot be read, is no report, is damaged, or
    says that its run failed.
    """
    return answer_of(read_json(path), path)


def read_json(path: str | Path) -> Any:
    """The JSON of a file. Raises InputError where it is none."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # no text, no JSON, nested too deep
        raise InputError(f"{path}: is no JSON, or damaged: {_short(error)}") from error


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number in JSON")


def _short(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error).splitlines()[0][:200]


def answer_of(data: Any, path: str | Path) -> Answer:
    """The answer that a report as JSON stands for; see :func:`load`."""
    if not isinstance(data, dict) or "schema" not in data or "verdict" not in data:
        raise InputError(f"{path}: is no report of segdiff")
    if data["schema"] != 1:
        raise InputError(f"{path}: has schema {str(data['schema'])[:20]}, and this segdiff reads schema 1")
    try:
        problem = misfit(data)
    except RecursionError:
        problem = "it is nested too deep"
    if problem:
        raise InputError(f"{path}: is damaged: {problem[:200]}")
    if data["verdict"] == "error":
        failed = data["error"]
        raise InputError(f"{path}: that run failed ({failed['type'][:50]}): {failed['message']}")
    try:
        return _answer(data, path)
    except PictureError as error:
        raise InputError(f"{path}: is damaged: {error}") from error


def _answer(data: Fields, path: str | Path) -> Answer:
    if "changes" in data:
        return _repair(data, path)
    if "worst_images" in data:
        return images_of(data)
    if "entries" in data:
        return _swept(data)
    if "swept" in data:
        return sweep_report(data)
    if "sides" in data:
        return score_report(data)
    return half_report(data) if "remedies" in data else report_of(data)


def _swept(data: Fields) -> ShapesReport:
    """Several batches and sizes; each entry's report knows the options that name its shape."""
    image = data["image"]
    return ShapesReport(
        data["sentence"],
        tuple(map(_entry, data["entries"])),
        (Path(data["reference"]), Path(data["candidate"]), image),
        tuple(data["how"]),
        tuple(data["remarks"]),
        dict(data["timing_s"]),
        data["peak_memory_mb"],
        tuple(data["command"]) if data["command"] else None,
    )


def _entry(data: Fields) -> Entry:
    report, why = data["report"], data["not_run"]
    options = tuple(data["options"])
    not_run = why and NotRun(
        why["kind"], Path(why["file"]) if why["file"] else None, tuple(why["takes"]), why["detail"]
    )
    found = replace(report_of(report), at=options) if report else None
    return Entry(tuple(data["shape"]), options, found, not_run or None)


def _repair(data: Fields, path: str | Path) -> Report | Repaired:
    if data["path"] is not None:
        return Repaired(
            Path(data["path"]),
            tuple(cause_of(each, "") for each in data["changes"]),
            tuple(data["left"]),
            tuple(map(_repaired_output, data["outputs"])),
            tuple(data["remarks"]),
            data.get("unit", EPSILON),
            pictures_of(data.get("pictures")),
        )
    if "located" not in data:
        raise InputError(f"{path}: tells of no repair, and not what was located")
    return report_of(data["located"])


def _repaired_output(data: Fields) -> RepairedOutput:
    mask = data["mask_changed"]
    before = OutputInfo(data["reference"], data["candidate"], comparison(data["before"]), mask["before"])
    return RepairedOutput(before, comparison(data["after"]) or UNKNOWN, mask["after"])
