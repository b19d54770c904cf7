"""What does a report look like in a notebook? One small piece of HTML that needs nothing from elsewhere.

Everything a model file can have chosen goes through :func:`segdiff.report.html.text`: cleaned, then escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from segdiff.core.answer import OpInfo, Origin, PairInfo, Report
from segdiff.core.metrics import Comparison
from segdiff.core.printable import clean
from segdiff.report.facts import (
    MARKS,
    MEANINGS,
    VERDICT_MARKS,
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
from segdiff.report.html import cells, headline, lines, page, table, text
from segdiff.report.text import attribute, cosine, filled, number, rel_l2, share

MOST_ROWS = 20
"""Ops, attributes, origins or outputs listed; a page is for reading, ``to_dict()`` has them all."""

_STATE_COLOURS = {"clean": "#1a7f37", "origin": "#cf222e", "inherited": "#bf8700", "unknown": "#8250df"}


def to_html(report: Report) -> str:
    """The report as self-contained HTML: no script, no link, styles under a class of their own."""
    return page(_sections(report))


def _sections(report: Report) -> Iterator[str]:
    yield headline(VERDICT_MARKS[report.verdict], report.verdict, report.sentence)
    models = (("reference", report.reference), ("candidate", report.candidate))
    yield lines((side, f"{model.path} ({model.format}, {model.ops} ops)") for side, model in models)
    fed = list(input_lines(report))
    if fed:
        yield lines(fed)
    if report.first:
        yield from _first(report, report.first)
    story = crossing(report)
    if story:
        yield f"<p>{text(story)}</p>"
    yield from _others(report.origins[1:])
    yield from _pairs(report)
    yield from _outputs(report)
    yield lines(closing_lines(report))


def _first(report: Report, first: Origin) -> Iterator[str]:
    yield f"<h4>{escape(first_heading(first))}</h4>"
    names = cells(f"→ {clean(first.pair.reference)}", f"→ {clean(first.pair.candidate)}")
    operators = [f"<td>{_ops(first.reference_ops)}</td>", f"<td>{_ops(first.candidate_nodes)}</td>"]
    yield table(columns(first), [operators, names])
    rows = (cells(label, *_numbers(comparison)) for label, comparison, _ in error_rows(first))
    yield table(("", "cosine", "max_abs", "rel_l2"), rows)
    yield lines([*value_lines(first.pair), *surroundings(report, first), *cause_lines(report, first)])


def _ops(ops: tuple[OpInfo, ...]) -> str:
    parts = []
    for op in ops[-MOST_ROWS:]:
        parts.append(f"<b>{text(op.type)}</b>")
        items = sorted(op.attributes.items())[:MOST_ROWS]
        parts += [f"<code>&nbsp;{text(key)} = {text(attribute(value))}</code>" for key, value in items]
    return "<br>".join(parts) or "no operator"


def _numbers(comparison: Comparison | None) -> tuple[str, str, str]:
    if comparison is None:
        return "-", "-", "-"
    metrics = comparison.metrics
    return cosine(metrics.cosine), number(metrics.max_abs), number(metrics.rel_l2)


def _others(origins: tuple[Origin, ...]) -> Iterator[str]:
    if not origins:
        return
    yield "<h4>The other origins: independent faults, by their weight</h4>"
    yield table((), (cells("✗", *other_origin(origin)) for origin in by_weight(origins)[:MOST_ROWS]))
    if len(origins) > MOST_ROWS:
        yield f"<p>and {len(origins) - MOST_ROWS} more</p>"


def _pairs(report: Report) -> Iterator[str]:
    heading, rows = shown_pairs(report)
    if not rows:
        yield "<p>No pair of values was compared.</p>"
        return
    yield f"<h4>{escape(heading)}</h4>"
    titles = ("", "reference", "", "candidate", "isolated rel_l2", "cumulative rel_l2")
    yield table(titles, map(_row, rows))


def _row(pair: PairInfo) -> list[str]:
    colour = _STATE_COLOURS[pair.state]
    mark = f'<td style="color:{colour}" title="{escape(MEANINGS[pair.state])}">{MARKS[pair.state]}</td>'
    names = cells(pair.reference_op, pair.reference, pair.candidate_op)
    return [mark, *names, _measure(pair.isolated, colour), _measure(pair.cumulative, colour)]


def _measure(comparison: Comparison | None, colour: str) -> str:
    width = filled(comparison.metrics.rel_l2) * 6 if comparison else 0.0
    bar = f'<span class="bar" style="width:{width:.2f}em;background:{colour}"></span>'
    return f"<td>{rel_l2(comparison)}{bar if width else ''}</td>"


def _outputs(report: Report) -> Iterator[str]:
    if not report.outputs:
        return
    yield f"<h4>{escape(outputs_heading(report))}</h4>"
    titles = ("reference", "candidate", "cosine", "max_abs", "rel_l2", "mask pixels changed")
    rows = (
        cells(
            output.reference,
            output.candidate or "-",
            *_numbers(output.cumulative),
            "-" if output.mask_changed is None else share(output.mask_changed),
        )
        for output in report.outputs[:MOST_ROWS]
    )
    yield table(titles, rows)
