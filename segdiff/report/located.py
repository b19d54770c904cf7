"""What does a report of ``locate`` say? Where the models part, why, how much, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from segdiff.core.answer import ModelInfo, OpInfo, Origin, Report
from segdiff.core.equal_masks import masks_alone_equal
from segdiff.core.metrics import Comparison
from segdiff.core.printable import clean
from segdiff.report.document import (
    Cell,
    Column,
    Detail,
    Document,
    Grid,
    Heading,
    Headline,
    Lines,
    Note,
    Operator,
    Part,
    Side,
    Sides,
    Table,
    lines,
    more,
    without_empty,
)
from segdiff.report.elsewhere import DEVICE_HEADING, device_lines, remarks_on
from segdiff.report.facts import (
    VERDICT_MARKS,
    VERDICT_TONES,
    assumed_lines,
    baseline_lines,
    by_weight,
    cause_lines,
    closing_lines,
    columns,
    crossing,
    error_rows,
    first_heading,
    input_lines,
    other_origin,
    outputs_heading,
    shown_pairs,
    surroundings,
    value_lines,
)
from segdiff.report.named_settings import named_settings
from segdiff.report.pair_table import pair_table
from segdiff.report.short import action, short
from segdiff.report.text import attribute, cosine, number, share, shorten

OPS_SHOWN, ATTRIBUTES_SHOWN, ORIGINS_SHOWN, OUTPUTS_SHOWN = 6, 24, 10, 12

NAME = 140
"""Cells of a name that is given in full: four lines of a column or so."""


def document(report: Report, detail: Detail = "full") -> Document:
    """The report: what a person needs of it (``report.short``), in full, or with every pair and origin."""
    if detail == "short":
        return short(report)
    return tuple(_blocks(report, detail == "all"))


def _blocks(report: Report, everything: bool) -> Iterator[Part]:
    tone = VERDICT_TONES[report.verdict]
    yield Headline(VERDICT_MARKS[report.verdict], clean(report.sentence, 1000), tone)
    yield Lines((("reference", _model(report.reference)), ("candidate", _model(report.candidate))))
    yield from lines(baseline_lines(report))
    yield from lines(assumed_lines(report))
    yield from lines(input_lines(report))
    if report.first:
        yield from _first(report, report.first)
        yield from _others(report.origins[1:], everything)
    story = crossing(report)
    if story:
        yield Note(story, "warning" if report.first else "plain")
    yield from _pairs(report, everything)
    yield from outputs_of(report)
    yield from device_parts(report)
    yield from lines(closing_lines(report))
    yield from action(report)


def _model(model: ModelInfo) -> str:
    return f"{shorten(clean(model.path), NAME)} ({clean(model.format)}, {model.ops} ops)"


def _first(report: Report, first: Origin) -> Iterator[Part]:
    yield Heading(first_heading(first))
    yield sides_of(first)
    if first.pair.why.kind == "refused":
        yield from lines(cause_lines(first))
        return
    yield Grid(
        (
            (Cell(""), *(Cell(title, "dim") for title in ("cosine", "max_abs", "rel_l2"))),
            *(
                (Cell(label, "dim"), *map(Cell, numbers(error)), Cell(meaning, "dim"))
                for label, error, meaning in error_rows(first)
            ),
        ),
        remark=4,
    )
    yield from lines([*value_lines(first.pair), *surroundings(report, first)])
    yield from lines([*cause_lines(first), *remarks_on(report, first)])


def sides_of(origin: Origin) -> Sides:
    """Both sides of an origin: the last operators of its segment with their attributes, and their values."""
    left, right = columns(origin)
    ours, theirs = origin.reference_ops, origin.candidate_nodes
    return Sides(
        Side(left, *_told(ours, theirs, origin), _value(origin.pair.reference)),
        Side(right, *_told(theirs, ours, origin), _value(origin.pair.candidate)),
    )


def _told(
    ops: tuple[OpInfo, ...], others: tuple[OpInfo, ...], origin: Origin
) -> tuple[tuple[Operator, ...], int]:
    """The last operators of one side, and how many more there are: the end of a segment makes the value."""
    told = tuple(_operator(op, others, named_settings(origin.cause, op)) for op in ops[-OPS_SHOWN:])
    return told, max(0, len(ops) - OPS_SHOWN)


def _value(name: str) -> str:
    return shorten(clean(name), NAME) or "-"


def _operator(op: OpInfo, others: tuple[OpInfo, ...], named: frozenset[str]) -> Operator:
    """An operator with its attributes; marked are those that the other side has otherwise, and those that the
    cause speaks of."""
    repeated = op.name.startswith(f"{op.type}.") or any(op.name in output for output in op.outputs)
    rows = []
    for key, value in islice(sorted(op.attributes.items()), ATTRIBUTES_SHOWN):
        told = shorten(attribute(value), NAME)
        theirs = {attribute(other.attributes[key]) for other in others if key in other.attributes}
        differs = key in named or told not in theirs
        rows.append((clean(key), told, differs if theirs or key in named else None))
    left = max(0, len(op.attributes) - ATTRIBUTES_SHOWN)
    name = "" if repeated else clean(op.name)
    return Operator(shorten(clean(op.type), NAME), name, tuple(rows), left)


def numbers(comparison: Comparison | None) -> tuple[str, str, str]:
    """Cosine, ``max_abs`` and ``rel_l2`` as text; ``-`` where nothing was measured."""
    if comparison is None:
        return "-", "-", "-"
    metrics = comparison.metrics
    return cosine(metrics.cosine), number(metrics.max_abs), number(metrics.rel_l2)


def _others(origins: tuple[Origin, ...], everything: bool) -> Iterator[Part]:
    if not origins:
        return
    yield Heading("The other origins: independent faults, by their weight")
    chosen = by_weight(origins) if everything else by_weight(origins)[:ORIGINS_SHOWN]
    told = map(other_origin, chosen)
    yield Grid(tuple((Cell("✗", "bad"), Cell(left, one_line=True), Cell(right)) for left, right in told))
    yield from more(len(chosen), len(origins))


def _pairs(report: Report, everything: bool) -> Iterator[Part]:
    heading, rows = shown_pairs(report, all_pairs=everything)
    if not rows:
        yield Note("No pair of values was compared.", "dim")
        return
    yield Heading(heading)
    yield from pair_table(rows)


def outputs_of(report: Report) -> Iterator[Part]:
    """The outputs under their heading, with their errors; nothing where there is none."""
    outputs = report.outputs
    if not outputs:
        return
    yield Heading(outputs_heading(report))
    titles = (("reference", 24), ("candidate", 23), ("max_abs", 8), ("cosine", 10), ("mask", 8))
    rows = []
    for output in outputs[:OUTPUTS_SHOWN]:
        cosine_text, max_abs, _ = numbers(output.cumulative)
        names = (
            Cell(clean(output.reference), one_line=True),
            Cell(clean(output.candidate) or "-", one_line=True),
        )
        rows.append((*names, Cell(max_abs), Cell(cosine_text), _mask(output.mask_changed)))
    table = Table(tuple(Column(title, width) for title, width in titles), tuple(rows))
    yield without_empty(table) if any(output.cumulative for output in outputs) else table
    yield from more(len(rows), len(outputs))
    if masks_alone_equal(report):
        yield Note("the masks are equal, the values are not", "warning")
    if any(output.mask_changed is not None for output in outputs):
        yield Note("mask: the share of pixels whose class changes", "dim")


def device_parts(report: Report) -> Iterator[Part]:
    """What of the candidate's file a device may read otherwise, under its heading."""
    found = lines(device_lines(report.device_remarks))
    if found:
        yield Heading(DEVICE_HEADING)
        yield from found


def _mask(changed: float | None) -> Cell:
    return Cell("-") if changed is None else Cell(share(changed), "warning" if changed else "plain")
