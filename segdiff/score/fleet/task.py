"""What does a worker do for a sweep? It locates one pair on one image, scores it, tells what the table needs.

What it is asked, and what it answers, are plain data: they pass from process to process, and to a journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from segdiff.core.answer import Origin, Report
from segdiff.core.crew.told import Failure
from segdiff.core.late import door
from segdiff.core.printable import clean
from segdiff.core.sweep_report import SweptImage, SweptLabel, SweptOrigin, SweptScore
from segdiff.core.worst import worst_of
from segdiff.engines.session import default_memory
from segdiff.engines.warm import keep_warm
from segdiff.finding.locate import locate
from segdiff.readers.urls import fetched_once
from segdiff.score.fleet.faults import fault_of
from segdiff.score.fleet.labels import Reading
from segdiff.score.fleet.points import labelled

SENTENCE = 1000
"""Characters of a sentence or a cause."""


@dataclass(frozen=True)
class Asked:
    """One pair on one image. ``beside`` is how many tasks share a machine, and so its memory; ``whole`` says
    that the report and its page are wanted, too. ``reading`` is what the image's label means."""

    reference: str
    candidate: str
    image: str
    options: Mapping[str, Any] = field(default_factory=dict)
    beside: int = 1
    whole: bool = False
    label: str | None = None
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True)
class Answered:
    """A row of the table; the whole report as JSON and as a page, where they were asked for."""

    row: SweptImage
    report: str | None = None
    page: str | None = None


def answered(asked: Asked) -> Answered:
    """Locate, and score where there is a label. Raises what :func:`segdiff.locate` raises.

    What imports the frameworks is kept for the next task, until :func:`segdiff.engines.warm.let_go`.
    """
    options = dict(asked.options)
    if asked.beside > 1 and options.get("memory") is None:
        options["memory"] = default_memory() // asked.beside
    asked_for = asked.reference, asked.candidate, asked.image
    keep_warm()
    with fetched_once():
        report = locate(*asked_for, **options)
        row = row_of(report, asked.image)
        if asked.label is not None:
            row = replace(row, labelled=labelled(*asked_for, asked.label, asked.reading, options))
    if not asked.whole:
        return Answered(row)
    return Answered(row, report.to_json() + "\n", str(door("report.page")(report)))


def row_of(report: Report, image: str) -> SweptImage:
    """What the table needs of a report."""
    worst = worst_of(report.outputs)
    error = worst.cumulative if worst else None
    fed = report.as_fed.comparison if report.as_fed else None
    return SweptImage(
        image,
        report.verdict,
        clean(report.sentence, SENTENCE),
        tuple(map(origin_of, report.origins)),
        tuple(each.kind for each in fed.findings) if fed is not None and fed.accused else (),
        error.metrics.to_dict()["max_abs"] if error and not error.mismatch else None,
        worst.mask_changed if worst else None,
    )


def origin_of(origin: Origin) -> SweptOrigin:
    """What the table needs of an origin."""
    cause, effect = origin.cause, origin.effect
    return SweptOrigin(
        origin.fingerprint,
        fault_of(origin),
        cause.kind if cause else "unknown",
        clean(cause.text, SENTENCE) if cause else "",
        bool(cause and cause.proven),
        origin.pair.reference_op,
        origin.pair.candidate_op,
        origin.pair.candidate or origin.pair.reference,
        effect.final_error_removed if effect else None,
        effect.mask_pixels_restored if effect else None,
    )


def failed(image: str, failure: Failure) -> SweptImage:
    """The row of a task that came to nothing."""
    return SweptImage(image, "inconclusive", f"{failure.type}: {failure.message}", failure=failure)


def to_dict(row: SweptImage) -> dict[str, Any]:
    """A row as plain data."""
    return asdict(row)


def from_dict(data: Mapping[str, Any]) -> SweptImage:
    """The row that ``to_dict`` gave. Raises KeyError, TypeError or ValueError on anything else."""
    known = dict(data)
    known["origins"] = tuple(SweptOrigin(**each) for each in known["origins"])
    known["input_causes"] = tuple(map(str, known["input_causes"]))
    known["failure"] = Failure(**known["failure"]) if known["failure"] else None
    known["baseline"] = None
    known["labelled"] = label_from(known["labelled"]) if known.get("labelled") else None
    return SweptImage(**known)


def label_from(data: Mapping[str, Any]) -> SweptLabel:
    """The label, with its areas and score, that ``asdict`` gave."""
    known = dict(data)
    for side in ("reference", "candidate"):
        known[side] = tuple(tuple(map(int, row)) for row in known[side])
    known["score"] = SweptScore(**known["score"]) if known["score"] else None
    known["failure"] = Failure(**known["failure"]) if known["failure"] else None
    return SweptLabel(**known)
