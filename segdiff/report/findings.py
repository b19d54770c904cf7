"""What does an answer find fault with, one by one? For the forms that are lists: JUnit, SARIF, and so on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

from segdiff.core.answer import Origin, Repaired, Report
from segdiff.core.images_report import ImagesReport, LocatedImage
from segdiff.core.printable import clean
from segdiff.core.shapes_report import Entry, ShapesReport
from segdiff.core.sweep_report import SweepReport, SweptPair
from segdiff.report.facts import effect_in_short, proof_in_short
from segdiff.report.repaired import sentence_of
from segdiff.report.text import number, rel_l2, shorten
from segdiff.score.report import ScoreReport

NAME = 120
"""Cells of a name in a title."""

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    ``kind`` is a stable dotted word, ``title`` a line, ``text`` what else there is to say. ``file`` is the
    path of the file that is to blame, ``node`` and ``value`` name the place in it. ``fingerprint`` is
    empty where none is known; ``known`` says that a baseline has it.
    """

    kind: str
    level: Level
    title: str
    text: tuple[str, ...]
    file: str
    node: str = ""
    value: str = ""
    fingerprint: str = ""
    known: bool = False


def findings_of(answer: Any) -> tuple[Finding, ...]:
    """The findings of any answer; none where it says that all agrees."""
    if isinstance(answer, Report):
        return tuple(_located(answer))
    if isinstance(answer, ShapesReport):
        return tuple(_swept(answer))
    if isinstance(answer, ImagesReport):
        return tuple(_images(answer))
    if isinstance(answer, ScoreReport):
        return tuple(_scored(answer))
    if isinstance(answer, SweepReport):
        return tuple(each for pair in answer.pairs for each in pair_findings(pair))
    return tuple(_repaired(answer)) if isinstance(answer, Repaired) else ()


def _located(report: Report) -> Iterator[Finding]:
    file = str(report.candidate.path)
    known = report.baseline.known if report.baseline else ()
    if report.verdict == "inconclusive":
        yield Finding("inconclusive", "warning", clean(report.sentence, 1000), (), file)
    if report.as_fed is not None and report.as_fed.comparison.accused:
        for found in report.as_fed.comparison.findings:
            words = "proven" if found.proven else "a guess, not proven"
            title, kind = f"The candidate is fed another input: {clean(found.text)}", clean(found.kind)
            yield Finding(kind, "error", title, (words,), file, "", "", kind, kind in known)
    for origin in report.origins:
        yield _origin(report, origin, origin.fingerprint in known)


def _swept(swept: ShapesReport) -> Iterator[Finding]:
    """The findings of every shape, each told once, by the smallest that has it; and what was not compared."""
    seen: set[tuple[str, str, str]] = set()
    for entry in sorted(swept.entries, key=lambda entry: prod(entry.shape)):
        for each in entry_findings(swept, entry):
            key = each.kind, each.value, each.title
            if key not in seen:
                seen.add(key)
                yield each


def _images(found: ImagesReport) -> Iterator[Finding]:
    """The findings of every located image, each told once, with the images that have it."""
    told: dict[tuple[str, str, str], tuple[Finding, list[str]]] = {}
    for entry in found.entries:
        for each in image_findings(found, entry):
            key = each.kind, each.value, each.title
            told.setdefault(key, (each, []))[1].append(clean(entry.name, NAME))
    for each, names in told.values():
        yield replace(each, text=(f"on {', '.join(names)}", *each.text))


def image_findings(found: ImagesReport, entry: LocatedImage) -> tuple[Finding, ...]:
    """The findings on one image."""
    if entry.report is None:
        title = f"{clean(entry.name, NAME)} was not located: {clean(entry.problem or '', 300)}"
        return (Finding("inconclusive", "warning", title, (), str(found.paths[1])),)
    return tuple(_located(entry.report))


def entry_findings(swept: ShapesReport, entry: Entry) -> tuple[Finding, ...]:
    """The findings at one shape."""
    if entry.report is None:
        title = clean(swept.sentence, 1000)
        return (Finding("inconclusive", "warning", title, (), str(swept.paths[1])),)
    found = _located(entry.report)
    return tuple(replace(each, text=(f"at {shape_of(entry)}", *each.text)) for each in found)


def pair_findings(pair: SweptPair) -> Iterator[Finding]:
    """The findings of one pair, by the image that is told of it; or why it was not compared."""
    told, name = pair.told, clean(pair.name)
    if told is None or told.verdict == "inconclusive":
        why = clean(told.sentence if told else pair.problem or "not compared", 1000)
        yield Finding("inconclusive", "warning", f"{name}: {why}", (), pair.candidate)
        return
    known = told.baseline.known if told.baseline else ()
    for kind in told.input_causes:
        title = f"{name}: the candidate is fed another input"
        yield Finding(kind, "error", title, (), pair.candidate, "", "", kind, kind in known)
    for origin in told.origins:
        is_known, where = origin.fingerprint in known, clean(origin.value)
        title = f"{name}: {clean(origin.candidate_op)} {shorten(where, NAME)!r} errs on equal inputs"
        yield Finding(
            clean(origin.kind),
            "note" if is_known else "error",
            title,
            (clean(origin.text, 1000),),
            pair.candidate,
            "",
            where,
            origin.fingerprint,
            is_known,
        )


def shape_of(entry: Entry) -> str:
    """An entry's shape, ``4x3x512x512``."""
    return "x".join(map(str, entry.shape))


def _origin(report: Report, origin: Origin, known: bool) -> Finding:
    cause, pair = origin.cause, origin.pair
    node = next((op.name for op in reversed(origin.candidate_nodes) if op.name), "")
    where = clean(pair.candidate) or clean(pair.reference)
    title = f"{clean(pair.candidate_op)} {shorten(where, NAME)!r} errs on equal inputs"
    text: list[str] = []
    if cause is not None and (origin.speaks or origin.runtime):
        title = clean(cause.text)
    elif cause is not None:
        text.append(f"{clean(cause.text).rstrip('.')} [{clean(cause.kind)}]{proof_in_short(cause)}")
    if not origin.runtime and not origin.speaks and pair.isolated is not None:
        times = f", {number(pair.why.times)} times its own rounding" if pair.why.times is not None else ""
        text.append(f"rel_l2 {rel_l2(pair.isolated)} on equal inputs{times}")
    if origin.effect:
        text.append(effect_in_short(origin.effect))
    side = report.reference if cause and "in the reference, " in cause.text[:20] else report.candidate
    level: Level = "note" if known else "error"
    kind = clean(cause.kind) if cause else "unknown"
    return Finding(
        kind, level, title, tuple(text), str(side.path), clean(node), where, origin.fingerprint, known
    )


def _scored(report: ScoreReport) -> Iterator[Finding]:
    candidate = next((side.source for side in report.sides if side.name == "candidate"), "candidate")
    if report.verdict == "diverges":
        yield Finding("score.masks", "error", clean(report.sentence, 1000), (), candidate)
    if report.verdict == "inconclusive":
        yield Finding("inconclusive", "warning", clean(report.sentence, 1000), (), candidate)
    if report.input is not None and report.input.accused:
        for found in report.input.findings:
            title = f"The candidate is fed another input: {clean(found.text)}"
            yield Finding(clean(found.kind), "error", title, (), candidate, "", "", clean(found.kind))
    if report.located is not None:
        yield from _located(report.located)


def _repaired(repaired: Repaired) -> Iterator[Finding]:
    file = str(repaired.path)
    for value in repaired.left:
        title = f"{shorten(clean(value), NAME)!r} errs still: no cause is proven, so nothing was changed"
        yield Finding("repair.left", "error", title, (), file, "", clean(value))
    if not repaired.agrees and not repaired.left:
        yield Finding("repair.differs", "error", sentence_of(repaired), (), file)


def from_here(path: str) -> str:
    """A path as it is written in a repository: from the working folder where it lies below that."""
    place, here = Path(path), Path.cwd()
    return place.relative_to(here).as_posix() if place.is_relative_to(here) else place.as_posix()
