"""What did a saved report on scores say? The JSON read back into an answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdiff.report.kept_pictures import named_of
from segdiff.report.load_report import input_comparison, report_of
from segdiff.score.areas import MmSeg, Scores
from segdiff.score.attribution import Attribution, Stage
from segdiff.score.compare import Agreement, ImageResult, OutputError
from segdiff.score.protocol import Frame, Protocol
from segdiff.score.readings import LabelReading
from segdiff.score.report import ScoreReport, SideScores

Fields = Mapping[str, Any]

PARTS = 10**9
"""Pixels that an image is said to have whose report gives the fractions alone."""


def score_report(data: Fields) -> ScoreReport:
    """A report of ``evaluate`` or ``score``; the JSON must fit the schema."""
    attribution, output, labels = data["attribution"], data["output"], data.get("labels")
    return ScoreReport(
        verdict=data["verdict"],
        sentence=data["sentence"],
        names=tuple(data["classes"]),
        images=data["images"]["used"],
        labelled=data["images"]["labelled"],
        skipped=data["images"]["skipped"],
        sides=tuple(map(_side, data["sides"])),
        attribution=_attribution(attribution) if attribution else None,
        agreement=_agreement(data["agreement"]),
        output=_distance(output),
        worst=tuple(map(_image, data["worst"])),
        problems=tuple(data["problems"]),
        input=input_comparison(data["input"]) if data["input"] else None,
        remarks=tuple(data["remarks"]),
        files=tuple(map(Path, data["files"])),
        labels=_reading(labels) if labels else None,
        command=tuple(data["command"]) if data.get("command") else None,
        asked=tuple(data.get("asked", ())),
        located=report_of(data["located"]) if data["located"] else None,
        pictures=named_of(data.get("pictures", ())),
        timing_s=dict(data["timing_s"]),
        peak_memory_mb=data["peak_memory_mb"],
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _side(data: Fields) -> SideScores:
    return SideScores(
        data["name"], data["source"], {_protocol(each["protocol"]): _scores(each) for each in data["scores"]}
    )


def _protocol(data: Fields) -> Protocol:
    return Protocol(data["over"], Frame(data["size"], data["resize"]))


def _scores(data: Fields) -> Scores:
    miou, accuracy, kappa, over = (_number(data[name]) for name in ("miou", "accuracy", "kappa", "dice"))
    names = ("class_iou", "class_dice", "class_precision", "class_recall")
    iou, dice, precision, recall = (tuple(map(_number, data[name])) for name in names)
    found = data.get("mmseg")
    return Scores(miou, accuracy, kappa, over, iou, dice, precision, recall, _mmseg(found) if found else None)


def _mmseg(data: Fields) -> MmSeg:
    a_acc, m_iou, m_acc = (_number(data[name]) for name in ("a_acc", "m_iou", "m_acc"))
    iou, acc = (tuple(map(_number, data[name])) for name in ("class_iou", "class_acc"))
    return MmSeg(a_acc, m_iou, m_acc, iou, acc)


def _attribution(data: Fields) -> Attribution:
    """The rows, which JSON has in hundredths."""
    steps = (
        Stage(step["home"], step["kind"], step["text"], step["points"] / 100, step["score"] / 100)
        for step in data["steps"]
    )
    return Attribution(data["start"] / 100, data["start_text"], tuple(steps))


def _agreement(data: Fields) -> Agreement:
    return Agreement(data["pixels"], data["changed"], data["clear"])


def _image(data: Fields) -> ImageResult:
    pixels = data.get("pixels") or {
        "all": PARTS,
        "changed": round(PARTS * data["changed"]),
        "clear": round(PARTS * data["clearly_changed"]),
    }
    agreement = Agreement(pixels["all"], pixels["changed"], pixels["clear"])
    return ImageResult(data["image"], {}, agreement, _distance(data["output"]))


def _distance(data: Fields | None) -> OutputError | None:
    if data is None:
        return None
    return OutputError(*(math.inf if data[name] is None else data[name] for name in ("max_abs", "max_rel")))


def _reading(data: Fields) -> LabelReading:
    other = data["other"]
    return LabelReading(
        data["reading"],
        (_number(data["reference"]), _number(data["candidate"])),
        (_number(other["reference"]), _number(other["candidate"])),
        data["fits"],
    )
