"""What does a person need of two scores? Where the points go, how masks differ, how sure, what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from segdiff.core.printable import clean
from segdiff.report.document import Action, Document, Headline, Hint, Lines, Part, lines
from segdiff.report.facts import VERDICT_MARKS, VERDICT_TONES
from segdiff.report.score_facts import attribution_rows, long_names, percent, protocols
from segdiff.report.text import number, percentage, shorten
from segdiff.score.report import ScoreReport

STEPS, REMARKS = 4, 3
"""Rows of the table, and remarks, that are told."""

NAME, SENTENCE = 40, 480
"""Cells of a name in a line, and of a remark: both readings of labels of 0 and 255 are told whole."""

LISTED = 3
"""Classes that are told."""


def short(report: ScoreReport) -> Document:
    """The document of a score report in short; the full one has the tables."""
    return tuple(_blocks(report))


def _blocks(report: ScoreReport) -> Iterator[Part]:
    tone = VERDICT_TONES[report.verdict]
    yield Headline(VERDICT_MARKS[report.verdict], clean(report.sentence, 1000), tone)
    yield from lines(_scores(report))
    yield from lines(_reasons(report))
    yield from lines(_size(report))
    yield from lines(_sureness(report))
    yield Hint("more", "--full shows every score, class and image, --html FILE keeps it")
    yield from _next(report)


def _scores(report: ScoreReport) -> Iterator[tuple[str, str]]:
    """The mIoU of each side, under each protocol where that makes a difference."""
    label, counted = "mIoU", report.attribution is not None and "score" in report.attribution.by_home()
    for protocol in protocols(report)[: None if counted else 1]:
        sides = zip(long_names(report.sides), report.sides, strict=True)
        words = ", ".join(f"{name} {percent(side.scores[protocol].miou)}" for name, side in sides)
        yield label, f"{words}: {protocol}"
        label = ""


def _reasons(report: ScoreReport) -> Iterator[tuple[str, str]]:
    """The rows that cost or give points, the largest first."""
    if report.attribution is None:
        return
    rows = sorted(attribution_rows(report.attribution), key=lambda row: -abs(float(row[2])))
    for index, (text, home, points, _) in enumerate(rows[:STEPS]):
        yield "" if index else "why", f"{points} {clean(text)} [{home}]"
    if len(rows) > STEPS:
        yield "", f"and {len(rows) - STEPS} smaller ones"


def _size(report: ScoreReport) -> Iterator[tuple[str, str]]:
    """How the masks and the raw outputs differ, and which classes lose most."""
    found = report.agreement
    if found.changed:
        words = f"{percentage(found.share)} of the pixels, clearly {percentage(found.clear_share)}"
        if report.worst:
            worst = report.worst[0]
            words += (
                f"; most in {shorten(clean(worst.name), NAME)} ({percentage(worst.agreement.clear_share)})"
            )
        yield "the masks", f"differ in {words}"
    if report.output:
        relative = number(report.output.max_rel)
        yield "raw outputs", f"max_abs_diff {number(report.output.max_abs)}, {relative} of the largest value"
    losses = _losses(report)
    if losses:
        told = (f"{shorten(clean(name), NAME)} {percent(a)} to {percent(b)}" for name, a, b in losses)
        yield "classes", f"IoU of {', '.join(told)}"


def _losses(report: ScoreReport) -> list[tuple[str, float, float]]:
    """The classes that lose a hundredth of a point or more from first to last side, the most first."""
    if not protocols(report):
        return []
    before, after = (
        side.scores[protocols(report)[0]].class_iou for side in (report.sides[0], report.sides[-1])
    )
    rows = [row for row in zip(report.names, before, after, strict=False) if row[1] - row[2] >= 1e-4]
    return sorted(rows, key=lambda row: row[2] - row[1])[:LISTED]


def _sureness(report: ScoreReport) -> Iterator[tuple[str, str]]:
    """What the answer rests on, and what else there is to know."""
    skipped = f", {report.skipped} skipped" if report.skipped else ""
    images = "1 image" if report.images == 1 else f"{report.images} images"
    yield "how sure", f"{images} used, {report.labelled} with a label{skipped}"
    if report.labels:
        yield "labels", clean(report.labels.sentence(), 1000)
    remarks = report.remarks[1:] if report.labels else report.remarks
    for remark in remarks[:REMARKS]:
        yield "note", shorten(clean(remark), SENTENCE)
    if len(remarks) > REMARKS:
        yield "note", f"and {len(remarks) - REMARKS} more: --full"


def _next(report: ScoreReport) -> Iterator[Part]:
    """What to ask next, as it can be pasted where the command is known."""
    if report.located:
        return
    if report.verdict == "diverges" and report.output is None:
        yield from lines(
            [("next", "segdiff evaluate DEPLOY MODEL.onnx DATASET runs both, and tells input from network")]
        )
    elif report.verdict == "diverges" and report.worst:
        yield from _to_paste(
            report, "this names the operator, on the image that differs most:", "--locate-worst"
        )
    elif report.attribution and "score" in report.attribution.by_home():
        over = protocols(report)[0].over
        yield from _to_paste(report, "this counts both in the same way:", f"--candidate-protocol {over}")


def _to_paste(report: ScoreReport, words: str, option: str) -> Iterator[Part]:
    if not report.asked:
        yield from lines([("next", f"{words} {option}")])
        return
    yield Lines((("next", words),))
    yield Action(f"{shlex.join(clean(word, 1000) for word in report.asked)} {option}")
