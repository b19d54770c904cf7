"""How was an answer computed? Versions, files, the command, thresholds, coverage, time."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from segdiff.core.answer import Report
from segdiff.core.printable import clean
from segdiff.report.document import Line
from segdiff.report.facts import closing_lines

COMMAND = 2000
"""Characters of a command line that are shown."""

SKIPPED = frozenset(("input", "note", "computed by", "time", ""))
"""Labels of the closing lines that the page shows elsewhere."""


@dataclass(frozen=True)
class Computed:
    """``versions`` have a row a package, with both sides' versions; ``facts`` are lines; ``files`` have a
    side, a path, a size and a hash; ``phases`` a name, seconds, and the share of the longest."""

    versions: tuple[tuple[str, str, str], ...]
    facts: tuple[Line, ...]
    files: tuple[tuple[str, str, str, str], ...]
    phases: tuple[tuple[str, float, float], ...]
    command: str | None


def computed(report: Report) -> Computed:
    """What the page says of how a report was computed."""
    facts = tuple(line for line in closing_lines(report) if line[0] not in SKIPPED)
    timing = {name: seconds for name, seconds in report.timing_s.items() if name != "total"}
    longest = max(timing.values(), default=0.0) or 1.0
    phases = tuple((clean(name), seconds, seconds / longest) for name, seconds in timing.items())
    command = clean(shlex.join(report.command), COMMAND) if report.command else None
    return Computed(tuple(_versions(report)), facts, tuple(_files(report)), phases, command)


def _versions(report: Report) -> Iterator[tuple[str, str, str]]:
    found = report.environment
    if found is None:
        return
    yield "engine", clean(found.reference.engine), clean(found.candidate.engine)
    yield "Python", clean(found.reference.python), clean(found.candidate.python)
    ours, theirs = found.reference.versions, found.candidate.versions
    for name in dict.fromkeys((*ours, *theirs)):
        yield clean(name), clean(ours.get(name, "-")), clean(theirs.get(name, "-"))
    yield "segdiff", clean(found.segdiff), clean(found.segdiff)
    yield "platform", clean(found.platform), clean(found.platform)


def _files(report: Report) -> Iterator[tuple[str, str, str, str]]:
    for side, model in (("reference", report.reference), ("candidate", report.candidate)):
        opset = f", opset {model.opset}" if model.opset else ""
        yield side, clean(model.path), f"{clean(model.format)}, {model.ops} operators{opset}", ""
        for file in model.files:
            yield "", clean(file.name), _size(file.bytes), clean(file.sha256)
    if report.image is not None:
        picture = report.image_file
        size, digest = (_size(picture.bytes), clean(picture.sha256)) if picture else ("", "")
        yield "image", clean(report.image), size, digest


def _size(count: int) -> str:
    return f"{count:,} bytes"
