"""What does a report look like in a terminal? At most 80 columns, and readable without colour.

No text of a model is ever parsed as rich markup: every cell is a :class:`rich.text.Text` of cleaned text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segdiff.core.answer import ModelInfo, OpInfo, Origin, PairInfo, Report
from segdiff.core.metrics import Comparison
from segdiff.core.printable import clean
from segdiff.report.facts import (
    MARKS,
    MEANINGS,
    VERDICT_MARKS,
    Line,
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
from segdiff.report.text import attribute, bar, cosine, number, rel_l2, share, shorten

WIDTH = 80
LABEL = 13
"""Cells of the labels on the left."""

OPS_SHOWN, ATTRIBUTES_SHOWN, ORIGINS_SHOWN, OUTPUTS_SHOWN = 6, 24, 10, 12
NAME = 140
"""Cells of a name that is given in full: four lines of a column or so."""

COLUMN = 37
"""Cells of either framework's column."""

_VERDICT_STYLES = {"agrees": "bold green", "diverges": "bold red", "inconclusive": "bold yellow"}
_STATE_STYLES = {"clean": "green", "origin": "bold red", "inherited": "yellow", "unknown": "magenta"}


def render(report: Report, *, all_pairs: bool = False) -> RenderableType:
    """The report as a rich renderable of at most 80 columns; ``all_pairs`` shows every pair and origin."""
    return Constrain(Group(*_sections(report, all_pairs)), WIDTH)


def _sections(report: Report, all_pairs: bool) -> Iterator[RenderableType]:
    yield _headline(report)
    yield Text()
    yield _lines([("reference", _model(report.reference)), ("candidate", _model(report.candidate))])
    fed = list(input_lines(report))
    if fed:
        yield Text()
        yield _lines(fed)
    if report.first:
        yield from _first(report, report.first)
        yield from _others(report.origins[1:], all_pairs)
    story = crossing(report)
    if story:
        yield Text()
        yield Padding(Text(story, "yellow" if report.first else ""), (0, 2))
    yield from _pairs(report, all_pairs)
    yield from _outputs(report)
    yield Text()
    yield _lines(closing_lines(report))


def _headline(report: Report) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    style = _VERDICT_STYLES[report.verdict]
    grid.add_row(Text(VERDICT_MARKS[report.verdict], style), Text(clean(report.sentence), style))
    return grid


def _model(model: ModelInfo) -> str:
    return f"{shorten(clean(model.path), NAME)} ({clean(model.format)}, {model.ops} ops)"


def _lines(lines: Iterable[Line]) -> RenderableType:
    """Labels on the left, wrapped text on the right; a label that repeats is shown once."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=LABEL)
    grid.add_column(overflow="fold")
    last = None
    for label, words in lines:
        grid.add_row(Text("" if label == last else label, "dim"), Text(words))
        last = label or last
    return Padding(grid, (0, 0, 0, 2))


def _heading(words: str) -> RenderableType:
    return Group(Text(), Text(words, "bold"))


# --- the first origin


def _first(report: Report, first: Origin) -> Iterator[RenderableType]:
    yield _heading(first_heading(first))
    yield _side_by_side(first)
    yield _errors(first)
    yield _lines([*value_lines(first.pair), *surroundings(report, first)])
    causes = list(cause_lines(report, first))
    if causes:
        yield Text()
        yield _lines(causes)


def _side_by_side(origin: Origin) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, header_style="dim")
    left, right = columns(origin)
    table.add_column(left, width=COLUMN, overflow="fold")
    table.add_column("", width=1, no_wrap=True)
    table.add_column(right, width=COLUMN, overflow="fold")
    ours, theirs = origin.reference_ops, origin.candidate_nodes
    table.add_row(_ops(ours, theirs), "", _ops(theirs, ours))
    table.add_row(_name(origin.pair.reference), "", _name(origin.pair.candidate))
    return Padding(table, (1, 0, 1, 2))


def _name(name: str) -> Text:
    return Text.assemble(("→ ", "dim"), shorten(clean(name), NAME) or "-")


def _ops(ops: tuple[OpInfo, ...], others: tuple[OpInfo, ...]) -> Text:
    """The last ops of one side with their attributes: the end of a segment makes the value."""
    hidden = len(ops) - OPS_SHOWN
    lines = [Text(f"… {hidden} more before", "dim")] if hidden > 0 else []
    for op in ops[-OPS_SHOWN:]:
        lines.append(Text(shorten(clean(op.type), NAME), "bold"))
        lines.extend(_attributes(op, others))
    return Text("\n").join(lines) if lines else Text("no operator", "dim")


def _attributes(op: OpInfo, others: tuple[OpInfo, ...]) -> Iterator[Text]:
    """An op's attributes a line each; dim where the other side has the same, ``≠`` where it has another."""
    repeated = op.name.startswith(f"{op.type}.") or any(op.name in output for output in op.outputs)
    if op.name and not repeated:
        yield Text(shorten(f"  ({clean(op.name)})", COLUMN), "dim")
    for key, value in islice(sorted(op.attributes.items()), ATTRIBUTES_SHOWN):
        shown = shorten(attribute(value), NAME)
        theirs = {attribute(other.attributes[key]) for other in others if key in other.attributes}
        mark, style = ("≠ ", "bold") if theirs and shown not in theirs else ("  ", "dim" if theirs else "")
        yield Text(_hanging(f"{mark}{shorten(clean(key), COLUMN - 4)} =", shown), style)
    if len(op.attributes) > ATTRIBUTES_SHOWN:
        yield Text(f"  … {len(op.attributes) - ATTRIBUTES_SHOWN} more", "dim")


def _hanging(key: str, value: str) -> str:
    """Key and value on one line if they fit, otherwise the value on lines of its own, set in."""
    if cell_len(key) + 1 + cell_len(value) <= COLUMN:
        return f"{key} {value}"
    return "\n".join([key, *(f"      {line}" for line in chop_cells(value, COLUMN - 6))])


def _errors(origin: Origin) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=LABEL - 1)
    table.add_row("", *(Text(title, "dim") for title in ("cosine", "max_abs", "rel_l2")))
    for label, comparison, meaning in error_rows(origin):
        table.add_row(Text(label, "dim"), *map(Text, _numbers(comparison)), Text(meaning, "dim"))
    return Padding(table, (0, 0, 1, 2))


def _numbers(comparison: Comparison | None) -> tuple[str, str, str]:
    if comparison is None:
        return "-", "-", "-"
    metrics = comparison.metrics
    return cosine(metrics.cosine), number(metrics.max_abs), number(metrics.rel_l2)


# --- the other origins, the pairs, the outputs


def _others(origins: tuple[Origin, ...], all_pairs: bool) -> Iterator[RenderableType]:
    if not origins:
        return
    yield _heading("The other origins: independent faults, by their weight")
    table = Table.grid(padding=(0, 2), expand=False)
    shown = by_weight(origins) if all_pairs else by_weight(origins)[:ORIGINS_SHOWN]
    for left, right in map(other_origin, shown):
        table.add_row(Text("✗", "red"), Middle(left), Text(right))
    yield Padding(table, (0, 0, 0, 2))
    if len(shown) < len(origins):
        yield Text(f"  and {len(origins) - len(shown)} more; --all shows them", "dim")


def _pairs(report: Report, all_pairs: bool) -> Iterator[RenderableType]:
    heading, rows = shown_pairs(report, all_pairs=all_pairs)
    if not rows:
        yield Text()
        yield Text("  No pair of values was compared.", "dim")
        return
    yield _heading(heading)
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, header_style="dim")
    table.add_column("", width=1, no_wrap=True)
    table.add_column("reference", width=29)
    table.add_column("candidate", width=12)
    table.add_column("isolated rel_l2", width=16, no_wrap=True)
    table.add_column("cumulative", width=16, no_wrap=True)
    for pair in rows:
        table.add_row(*_row(pair))
    yield Padding(table, (0, 0, 0, 2))
    yield Padding(_legend(rows), (0, 2))


def _row(pair: PairInfo) -> tuple[RenderableType, ...]:
    style = _STATE_STYLES[pair.state]
    strong = "bold" if pair.state == "origin" else ""
    return (
        Text(MARKS[pair.state], style),
        OpAndValue(clean(pair.reference_op), clean(pair.reference), strong),
        Middle(clean(pair.candidate_op), strong),
        _measure(pair.isolated, style),
        _measure(pair.cumulative, style),
    )


def _measure(comparison: Comparison | None, style: str) -> Text:
    text = Text(f"{rel_l2(comparison):<7} ")
    return text.append(bar(comparison.metrics.rel_l2), style) if comparison else text


def _legend(rows: Iterable[PairInfo]) -> Text:
    states = {pair.state for pair in rows}
    marks = [f"{mark} {MEANINGS[state]}" for state, mark in MARKS.items() if state in states]
    return Text("   ".join(marks) + "\nbars run from 1e-8 to 1 on a log scale, a cell for a decade", "dim")


def _outputs(report: Report) -> Iterator[RenderableType]:
    outputs = report.outputs
    if not outputs:
        return
    yield _heading(outputs_heading(report))
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, header_style="dim")
    for title, width in (("reference", 24), ("candidate", 23)):
        table.add_column(title, width=width)
    for title, width in (("max_abs", 8), ("cosine", 10), ("mask", 8)):
        table.add_column(title, width=width, no_wrap=True)
    for output in outputs[:OUTPUTS_SHOWN]:
        cosine_text, max_abs, _ = _numbers(output.cumulative)
        names = Middle(clean(output.reference)), Middle(clean(output.candidate) or "-")
        table.add_row(*names, Text(max_abs), Text(cosine_text), _mask(output.mask_changed))
    yield Padding(table, (0, 0, 0, 2))
    if len(outputs) > OUTPUTS_SHOWN:
        yield Text(f"  and {len(outputs) - OUTPUTS_SHOWN} more", "dim")
    if any(output.mask_changed is not None for output in outputs):
        yield Text("  mask: the share of pixels whose class changes", "dim")


def _mask(changed: float | None) -> Text:
    return Text("-") if changed is None else Text(share(changed), "yellow" if changed else "")


# --- cells that know their width


@dataclass(frozen=True)
class Middle:
    """One line of text that is cut in its middle where the column is too narrow."""

    text: str
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(shorten(self.text, options.max_width), self.style, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        length = max(1, Text(self.text).cell_len)
        return Measurement(min(8, length), length).with_maximum(options.max_width)


@dataclass(frozen=True)
class OpAndValue:
    """An operator and its value in one cell; only the value where its name tells the operator anyway."""

    op: str
    value: str
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if self.op in self.value:
            yield Text(shorten(self.value, width), self.style, no_wrap=True)
            return
        op = shorten(self.op, width * 3 // 5)
        value = shorten(self.value, width - cell_len(op) - 1)
        yield Text.assemble((op, self.style), " ", (value, self.style or "dim"), no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(12, options.max_width), options.max_width)
