"""What does a report on half precision say? What it costs, where and why, what helps, how sure that is."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.printable import clean
from segdiff.half.answer import HalfReport
from segdiff.report.document import (
    Cell,
    Column,
    Detail,
    Document,
    Heading,
    Headline,
    Hint,
    Line,
    Part,
    Table,
    cells,
    lines,
    more,
    without_empty,
)
from segdiff.report.elsewhere import DEVICE_HEADING, device_lines
from segdiff.report.half_facts import (
    LISTED,
    MARKS,
    TONES,
    cost_lines,
    edit_lines,
    name_of,
    op_lines,
    remedy_lines,
    share_of,
    simulated_lines,
    static_lines,
    sureness_lines,
)
from segdiff.report.text import number

OPS_SHOWN = 20
"""Rows of the table, unless all are asked for."""

MANY = 1000
"""More lines than any report has."""


def document(report: HalfReport, detail: Detail = "full") -> Document:
    """The document of a report; the short one has no table, and ``all`` lists every op."""
    found = (*_head(report, LISTED if detail == "short" else MANY),)
    if detail == "short":
        return (*found, Hint("more", "--full shows every op, --html FILE keeps it"))
    everything = detail == "all"
    return (*found, *_ops(report, everything=everything), *_classes(report), *_elsewhere(report))


def _elsewhere(report: HalfReport) -> Iterator[Part]:
    found = lines(device_lines(report.device_remarks))
    if found:
        yield Heading(DEVICE_HEADING)
        yield from found


def _head(report: HalfReport, most: int) -> Iterator[Part]:
    yield Headline(MARKS[report.verdict], clean(report.sentence, 1000), TONES[report.verdict])
    rows: list[Line] = [*cost_lines(report), *op_lines(report, most), *static_lines(report, most)]
    rows += [
        *remedy_lines(report),
        *edit_lines(report, most),
        *simulated_lines(report),
        *sureness_lines(report, most),
    ]
    yield from lines(rows)


def _ops(report: HalfReport, *, everything: bool) -> Iterator[Part]:
    if not report.ops:
        return
    yield Heading("Where the loss comes from")
    columns = (
        Column("op", 40),
        Column("share", 16, right=True),
        Column("rel_l2", 9, right=True),
        Column("mask", 8, right=True),
        Column("float32", 8),
    )
    chosen = report.ops if everything else report.ops[:OPS_SHOWN]
    rows = []
    for op in chosen:
        alone = op.alone
        changed = alone.mask_changed if alone else None
        rows.append(
            (
                Cell(name_of(op), one_line=True),
                Cell(share_of(op)),
                Cell(number(alone.rel_l2) if alone else "-"),
                Cell("-" if changed is None else f"{changed:.3%}"),
                Cell("" if op.can_keep else "never"),
            )
        )
    yield without_empty(Table(columns, tuple(rows), airy=True))
    yield from more(len(chosen), len(report.ops))


def _classes(report: HalfReport) -> Iterator[Part]:
    if not report.classes:
        return
    yield Heading("IoU of each class")
    columns = (
        Column("class", 24),
        *(Column(title, 9, right=True) for title in ("float32", report.precision, "points")),
    )
    rows = (
        cells(each.name, f"{each.plain:.2%}", f"{each.half:.2%}", f"{100 * (each.half - each.plain):+.2f}")
        for each in report.classes
    )
    yield Table(columns, tuple(rows))
