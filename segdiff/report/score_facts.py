"""Which names, rows and lines does every form of the score report show?

The terminal and the notebook differ in how they draw; what they say comes from here. Texts are not cleaned
yet: whoever draws them does that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segdiff.core.printable import clean
from segdiff.report.text import number, percentage, shorten
from segdiff.score.areas import MmSeg
from segdiff.score.attribution import Attribution
from segdiff.score.compare import CANDIDATE, SAME_INPUT, ImageResult
from segdiff.score.conclude import signed
from segdiff.score.protocol import Protocol
from segdiff.score.report import ScoreReport, SideScores

SAME, OWN = "same input", "own input"
"""The candidate twice, where it has an input of its own: fed what the reference is fed, and fed that."""


Row = tuple[str, str, str, str]
"""What is done, where it is at home, points, and the mIoU after it."""


@dataclass(frozen=True)
class ClassRow:
    """A class and its IoU on each side under each protocol."""

    name: str
    values: tuple[str, ...]


def short_names(sides: Sequence[SideScores]) -> tuple[str, ...]:
    """A name for each side that fits a label, distinct where the candidate has two."""
    if not any(side.name == SAME_INPUT for side in sides):
        return tuple(side.name for side in sides)
    return tuple({SAME_INPUT: SAME, CANDIDATE: OWN}.get(side.name, side.name) for side in sides)


def long_names(sides: Sequence[SideScores]) -> tuple[str, ...]:
    """A name for each side that says which model it is, in at most 21 characters."""
    return tuple(f"{CANDIDATE}, {name}" if name in (SAME, OWN) else name for name in short_names(sides))


def side_lines(report: ScoreReport) -> Iterator[tuple[str, str]]:
    """Each side and where it comes from."""
    for side, name in zip(report.sides, short_names(report.sides), strict=True):
        yield name, f"{side.source}, fed as the reference is" if name == SAME else side.source


def percent(value: float) -> str:
    """A fraction as people write a score: ``95.04``; ``-`` where it is not defined."""
    return f"{round(100 * value, 2) + 0.0:.2f}" if math.isfinite(value) else "-"


def protocols(report: ScoreReport) -> tuple[Protocol, ...]:
    """Those under which there are scores; none without labels."""
    return tuple(report.sides[0].scores) if report.sides else ()


def score_rows(report: ScoreReport, protocol: Protocol) -> Iterator[tuple[str, ...]]:
    """Each side's name, mIoU, accuracy, kappa and Dice."""
    for side, name in zip(report.sides, long_names(report.sides), strict=True):
        found = side.scores[protocol]
        yield name, *map(percent, (found.miou, found.accuracy, found.kappa, found.dice))


def attribution_rows(table: Attribution) -> tuple[Row, ...]:
    """The rows that change the score as printed; their points are differences of printed scores, so that they
    add up to the printed gap."""
    return tuple(
        (step.text, str(step.home), signed(points / 1e4), percent(step.score))
        for step, points in table.printed()
        if points
    )


def gap(table: Attribution) -> str:
    """The points of all rows together."""
    return signed(sum(points for _, points in table.printed()) / 1e4)


def class_titles(report: ScoreReport) -> tuple[str, ...]:
    """The columns of the table of classes, in the order of :func:`class_rows`."""
    return tuple(f"{name} {p.over}" for p in protocols(report) for name in short_names(report.sides))


def class_rows(report: ScoreReport) -> Iterator[ClassRow]:
    """Every class; none without labels."""
    if not protocols(report):
        return
    for index, name in enumerate(report.names):
        values = (side.scores[p].class_iou[index] for p in protocols(report) for side in report.sides)
        yield ClassRow(name, tuple(map(percent, values)))


def _counted(report: ScoreReport) -> list[tuple[str, MmSeg]]:
    """Each side's short name and what mmsegmentation makes of its areas; none where one side has none."""
    found = [
        (name, next((scores.mmseg for scores in side.scores.values() if scores.mmseg), None))
        for name, side in zip(short_names(report.sides), report.sides, strict=True)
    ]
    known = [(name, scores) for name, scores in found if scores is not None]
    return known if len(known) == len(found) else []


def mmseg_titles(report: ScoreReport) -> tuple[str, ...]:
    """The columns of :func:`mmseg_rows`."""
    return tuple(f"{name} {what}" for name, _ in _counted(report) for what in ("IoU", "Acc"))


def mmseg_rows(report: ScoreReport) -> Iterator[ClassRow]:
    """Every class: IoU and accuracy on each side, as mmsegmentation counts them."""
    sides = _counted(report)
    for index, name in enumerate(report.names if sides else ()):
        values = (value for _, side in sides for value in (side.class_iou[index], side.class_acc[index]))
        yield ClassRow(name, tuple(map(percent, values)))


def mmseg_means(report: ScoreReport) -> Iterator[tuple[str, ...]]:
    """Each side's name, aAcc, mIoU and mAcc."""
    for (_, side), name in zip(_counted(report), long_names(report.sides), strict=True):
        yield name, *map(percent, (side.a_acc, side.m_iou, side.m_acc))


def image_numbers(result: ImageResult) -> tuple[str, str, str]:
    """Pixels that differ, that clearly differ, and ``max_abs``."""
    found = result.agreement
    largest = number(result.output.max_abs) if result.output else "-"
    return percentage(found.share), percentage(found.clear_share), largest


def next_steps(report: ScoreReport) -> Iterator[tuple[str, str]]:
    """What to ask next, where the masks differ: saved masks cannot tell the input from the network."""
    if report.verdict == "agrees" or not report.agreement.share or report.located:
        return
    if report.output is None:
        yield "next", "segdiff evaluate DEPLOY MODEL.onnx DATASET runs both and tells input from network"
    elif report.worst:
        worst = shorten(clean(report.worst[0].name), 40)
        yield "next", f"--locate-worst names the operator, asked about {worst}"


def closing_lines(report: ScoreReport, problems: int) -> Iterator[tuple[str, str]]:
    """What was used, what else there is to know, and what it cost; at most so many ``problems``."""
    skipped = f", {report.skipped} skipped" if report.skipped else ""
    yield "images", f"{report.images} used, {report.labelled} with a label{skipped}"
    if report.output:
        largest, relative = number(report.output.max_abs), number(report.output.max_rel)
        yield "raw outputs", f"max_abs_diff {largest}, {relative} of the reference's largest value"
    shown = report.problems[:problems]
    for problem in shown:
        yield "skipped", problem
    if len(shown) < report.skipped:
        yield "skipped", f"and {report.skipped - len(shown)} more"
    for remark in report.remarks:
        yield "remarks", remark
    if report.files:
        yield "pictures", f"{len(report.files)} in {shorten(clean(report.files[-1].parent), 120)}"
    seconds = sum(report.timing_s.values())
    yield "cost", f"{seconds:.1f} s, at most {report.peak_memory_mb:.0f} MB"
