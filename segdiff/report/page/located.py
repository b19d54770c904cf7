"""What does the page of ``locate`` show? From the verdict to the environment, in the order of thought."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from segdiff.core.answer import Origin, Report
from segdiff.core.printable import clean
from segdiff.report import document as doc
from segdiff.report.document import Line
from segdiff.report.facts import (
    assumed_lines,
    by_weight,
    can_be_repaired,
    cause_lines,
    columns,
    crossing,
    error_rows,
    first_heading,
    from_here,
    input_lines,
    locate_command,
    outputs_heading,
    repair_command,
    surroundings,
    value_lines,
)
from segdiff.report.located import device_parts, numbers, outputs_of, sides_of
from segdiff.report.page.computed import computed
from segdiff.report.page.content import Content, Section, Tile, headline_of, without_headline
from segdiff.report.page.curve import curve_of
from segdiff.report.page.drawing import Drawing, Known, neighbourhood
from segdiff.report.page.images import stage_of
from segdiff.report.page.strip import strip_of, what_is_known
from segdiff.report.short import short
from segdiff.report.text import number, rel_l2, share, shorten

ORIGINS_SHOWN = 12
"""Origins that are shown in full, those that weigh most; of the rest the table of pairs tells."""

OPERATORS = 24
"""Operators of an origin that are drawn on a side, its last ones."""

PAIRS_KEPT = 4000
"""Pairs that stand in the page; of a larger model those that err most, and every so many of the rest."""


LACKING = {"heat": "map of the origin's error", "repaired": "mask after repair"}
"""What a picture may lack, in words."""


@dataclass(frozen=True)
class OriginShown:
    """An origin as the page shows it."""

    number: int
    title: str
    kind: str
    pair: int | None
    sides: doc.Sides
    errors: tuple[tuple[str, tuple[str, str, str], str], ...]
    cause: tuple[Line, ...]
    facts: tuple[Line, ...]
    drawings: tuple[Drawing | None, Drawing | None]
    titles: tuple[str, str]
    runtime: bool
    command: str | None
    node: int | None


def content(report: Report) -> Content:
    """The page of a report."""
    card = tuple(part for part in short(report) if not isinstance(part, doc.Profile))  # the curve has it
    sides = (shorten(from_here(side.path), 60) for side in (report.candidate, report.reference))
    return Content(
        headline_of(card),
        " against ".join(sides),
        tuple(tiles(report)),
        without_headline(card),
        tuple(sections(report)),
        {"report": thinned(report.to_dict())},
    )


def tiles(report: Report) -> Iterator[Tile]:
    """The figures beside the verdict."""
    own = [o.mask_changed for o in report.as_fed.outputs if o.mask_changed] if report.as_fed else []
    if own:
        yield Tile(share(max(own)), "of the mask's pixels change on its own input", "bad")
    changed = [o.mask_changed for o in report.outputs if o.mask_changed is not None]
    if changed and not own:
        tone: doc.Tone = "bad" if max(changed) else "good"
        yield Tile(share(max(changed)), "of the mask's pixels change", tone)
    elif report.outputs and report.outputs[0].cumulative:
        yield Tile(rel_l2(report.outputs[0].cumulative), "relative error of the output")
    first = report.first
    if first and first.pair.why.times:
        yield Tile(f"{number(first.pair.why.times)}", "times its own rounding, on equal inputs", "bad")
    if report.together and report.together.final_error_removed > 0:
        removed = share(report.together.final_error_removed)
        yield Tile(removed, "of the error goes with the repair", "good")
    if report.origins:
        count = len(report.origins)
        yield Tile(str(count), "origin" if count == 1 else "origins, independent of one another")
    judged = sum(pair.state != "unknown" for pair in report.pairs)
    if report.pairs:
        yield Tile(f"{judged} of {len(report.pairs)}", "pairs of values judged")


def sections(report: Report, stem: str = "") -> Iterator[Section]:
    """Everything below the verdict."""
    if report.pictures is not None:
        missing = report.pictures.missing.items() if report.origins else ()
        stage = stage_of(
            report.pictures, notes=[f"No {LACKING.get(what, what)}: {why}." for what, why in missing]
        )
        yield Section(f"{stem}pictures", "The picture and the masks", "pictures", (stage,), "Picture")
    curve = curve_of(report)
    if curve is not None:
        yield Section(f"{stem}walk", "The walk", "walk", (curve, crossing(report)), "Walk")
    known: tuple[list[Known], list[Known]] = ([], [])
    if report.outlines is not None:
        ours, theirs = report.outlines
        known = what_is_known(report, ours, 0), what_is_known(report, theirs, 1)
    if report.origins:
        yield from _origins(report, known, stem)
    if report.outlines is not None and report.outlines[1].nodes:
        strip = strip_of(report.outlines[1], known[1])
        yield Section(f"{stem}graph", "The candidate's graph", "graph", strip, "Graph")
    if report.pairs:
        yield Section(f"{stem}pairs", "The pairs of values", "pairs", len(report.pairs), "Pairs")
    outputs = tuple(part for part in outputs_of(report) if not isinstance(part, doc.Heading))
    if outputs:
        yield Section(f"{stem}outputs", outputs_heading(report), "parts", outputs, "Outputs")
    yield from _input(report, stem)
    yield from _precision(report, stem)
    device = tuple(part for part in device_parts(report) if not isinstance(part, doc.Heading))
    if device:
        yield Section(f"{stem}device", "What a device may read otherwise", "parts", device, "Device")
    if report.remarks:
        notes = tuple(doc.Note(clean(remark)) for remark in report.remarks)
        yield Section(f"{stem}notes", "Notes", "parts", notes)
    yield Section(f"{stem}computed", "How it was computed", "computed", computed(report), "Computed by")
    yield Section(f"{stem}json", "The report as JSON", "json", None, "JSON")


def _origins(report: Report, known: tuple[list[Known], list[Known]], stem: str) -> Iterator[Section]:
    """Those of the network, and those of an optimiser, each kind a section."""
    shown = tuple(origins(report, known))
    network = tuple(each for each in shown if not each.runtime)
    runtime = tuple(each for each in shown if each.runtime)
    total = sum(not origin.runtime for origin in report.origins)
    if network:
        title = "The origin" if total == 1 else f"The {total} origins"
        yield Section(f"{stem}origins", title, "origins", (network, total), "Origins")
    if runtime:
        title = "As deployed: an optimiser changes the result"
        yield Section(f"{stem}runtime", title, "origins", (runtime, len(report.origins) - total), "Runtime")


def _input(report: Report, stem: str) -> Iterator[Section]:
    told = [*assumed_lines(report), *input_lines(report)]
    told += [("" if index else "as fed", clean(words)) for index, words in enumerate(report.input_findings)]
    if told:
        yield Section(f"{stem}input", "The input", "parts", doc.lines(told), "Input")


def _precision(report: Report, stem: str) -> Iterator[Section]:
    found = report.precision
    if found is None:
        return
    rows = [
        ("computes in", f"{found.candidate}, the reference in {found.reference}"),
        ("within it", f"{found.within} of {found.segments} segments err by no more than such types round"),
    ]
    if found.final_error is not None:
        rows.append(("in the end", f"rel_l2 {number(found.final_error)}"))
    if found.mask_changed is not None:
        rows.append(("", f"{share(found.mask_changed)} of the mask's pixels change"))
    yield Section(f"{stem}precision", "What the precision costs", "parts", doc.lines(rows), "Precision")


def origins(report: Report, known: tuple[list[Known], list[Known]]) -> Iterator[OriginShown]:
    """The origins that are shown in full, in walk order."""
    chosen = {id(origin) for origin in by_weight(report.origins)[:ORIGINS_SHOWN]}
    places = {(pair.reference, pair.candidate): i for i, pair in reversed(list(enumerate(report.pairs)))}
    for number_, origin in enumerate(report.origins, 1):
        if id(origin) in chosen or number_ == 1:
            yield _origin(report, number_, origin, places, known)


def _origin(
    report: Report,
    number_: int,
    origin: Origin,
    places: dict[tuple[str, str], int],
    known: tuple[list[Known], list[Known]],
) -> OriginShown:
    pair = origin.pair
    cause = list(cause_lines(origin))
    nodes = [] if report.outlines is None or origin.runtime else _members(report, origin, 1)
    return OriginShown(
        number_,
        f"{clean(pair.candidate_op)} {shorten(clean(pair.candidate), 60)}",
        first_heading(origin) if number_ == 1 else "",
        places.get((pair.reference, pair.candidate)),
        sides_of(origin),
        tuple((label, numbers(error), meaning) for label, error, meaning in error_rows(origin)),
        tuple(cause),
        (*value_lines(pair), *surroundings(report, origin)),
        _drawings(report, origin, known),
        columns(origin),
        origin.runtime,
        _command(report, origin),
        max(nodes, default=None),
    )


def _command(report: Report, origin: Origin) -> str | None:
    """What to do about an origin; a repair mends all that it can, so it is told once."""
    repairable = [each for each in report.origins if can_be_repaired(each)]
    if repairable:
        return repair_command(report) if origin is repairable[0] else None
    if origin is not report.first or origin.speaks or origin.runtime:
        return None
    return f"{locate_command(report)} --repro repro"


def _members(report: Report, origin: Origin, side: int) -> list[int]:
    """The places of an origin's operators in the outline of one side."""
    assert report.outlines is not None
    maker = report.outlines[side].maker
    ops = origin.candidate_nodes if side else origin.reference_ops
    return sorted({maker[name] for op in ops for name in op.outputs if name in maker})


def _drawings(
    report: Report, origin: Origin, known: tuple[list[Known], list[Known]]
) -> tuple[Drawing | None, Drawing | None]:
    if report.outlines is None or origin.runtime:
        return None, None
    ours, theirs = (
        neighbourhood(report.outlines[side], set(_members(report, origin, side)), known[side], OPERATORS)
        for side in (0, 1)
    )
    return ours, theirs


def thinned(data: dict[str, Any]) -> dict[str, Any]:
    """The report's JSON without the pictures, which the page has; of very many pairs those that matter most,
    each with its place in the walk."""
    data = {**data, "pictures": None}
    pairs = data["pairs"]
    if len(pairs) <= PAIRS_KEPT:
        return data
    worth = sorted(range(len(pairs)), key=lambda i: _worth(pairs[i]), reverse=True)[: PAIRS_KEPT // 2]
    spread = range(0, len(pairs), -(-2 * len(pairs) // PAIRS_KEPT))
    kept = sorted({*worth, *spread})
    chosen = [{**pairs[i], "place": i} for i in kept]
    return {**data, "pairs": chosen, "pairs_left_out": len(pairs) - len(chosen)}


def _worth(pair: dict[str, Any]) -> tuple[bool, float]:
    error = (pair["isolated"] or {}).get("rel_l2", 0.0)
    return pair["state"] in ("origin", "unknown"), float("inf") if error is None else error
