"""What does an answer look like in a terminal? At most 80 columns, and readable without colour.

No text of a model is ever parsed as rich markup: every cell is a :class:`rich.text.Text` of cleaned text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segdiff.report import document as doc
from segdiff.report.text import bar, shorten

WIDTH = 80
LABEL = 13
"""Cells of the labels on the left."""

COLUMN = 37
"""Cells of either framework's column."""

STYLES: dict[doc.Tone, str] = {
    "plain": "",
    "dim": "dim",
    "strong": "bold",
    "good": "green",
    "bad": "red",
    "warning": "yellow",
    "unknown": "magenta",
}


def render(document: doc.Document) -> RenderableType:
    """A document as a rich renderable of at most 80 columns."""
    return Constrain(Group(*_spaced(document)), WIDTH)


def _spaced(document: doc.Document) -> Iterator[RenderableType]:
    """The blocks, an empty line between those that are of different things."""
    before: doc.Block | None = None
    for block in document:
        if before is not None and _apart(before, block):
            yield Text()
        yield _drawn(block)
        before = block


def _apart(before: doc.Block, block: doc.Block) -> bool:
    if isinstance(before, doc.Heading):
        return isinstance(block, doc.Sides)
    together = isinstance(block, doc.Note) and (
        isinstance(before, doc.Table | doc.Grid) or (isinstance(before, doc.Note) and block.tone == "dim")
    )
    return not together


def _drawn(block: doc.Block) -> RenderableType:
    if isinstance(block, doc.Headline):
        return _headline(block)
    if isinstance(block, doc.Heading):
        return Text(block.text, "bold")
    if isinstance(block, doc.Lines):
        return _lines(block)
    if isinstance(block, doc.Note):
        return Padding(Text(block.text, STYLES[block.tone]), (0, 2))
    if isinstance(block, doc.Sides):
        return _side_by_side(block)
    if isinstance(block, doc.Grid):
        return _grid(block)
    return _table(block)


def _headline(block: doc.Headline) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    style = f"bold {STYLES[block.tone]}"
    grid.add_row(Text(block.mark, style), Text(block.sentence, style))
    return grid


def _lines(block: doc.Lines) -> RenderableType:
    """Labels on the left, wrapped text on the right; a label that repeats is shown once."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=LABEL)
    grid.add_column(overflow="fold")
    last = None
    for label, words in block.rows:
        grid.add_row(Text("" if label == last else label, "dim"), Text(words))
        last = label or last
    return Padding(grid, (0, 0, 0, 2))


def _grid(block: doc.Grid) -> RenderableType:
    table = Table.grid(padding=(0, 2), expand=False)
    if len(block.rows[0]) > 3:
        table.add_column(width=LABEL - 1)
    for row in block.rows:
        table.add_row(*map(_cell, row))
    return Padding(table, (0, 0, 0, 2))


def _table(block: doc.Table) -> RenderableType:
    padding = (0, 1, 0, 0) if block.airy else (0, 0, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, padding=padding, show_edge=False, header_style="dim")
    tall = any(" " in column.title and column.right for column in block.columns)
    for column in block.columns:
        table.add_column(
            column.title,
            width=column.width,
            justify="right" if column.right else "left",
            vertical="bottom" if tall else "top",
        )
    for row in block.rows:
        table.add_row(*map(_cell, row))
    if block.total:
        table.add_section()
        table.add_row(*map(_cell, block.total))
    return Padding(table, (0, 0, 0, 2))


def _cell(cell: doc.Cell) -> RenderableType:
    style = STYLES[cell.tone]
    if cell.bar is not None:
        return Text(f"{cell.text:<7} ", no_wrap=True).append(bar(cell.bar), style)
    if cell.lead:
        return OpAndValue(cell.lead, cell.text, style)
    return Middle(cell.text, style) if cell.one_line else Text(cell.text, style)


# --- both sides of an origin


def _side_by_side(block: doc.Sides) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, header_style="dim")
    table.add_column(block.left.title, width=COLUMN, overflow="fold")
    table.add_column("", width=1, no_wrap=True)
    table.add_column(block.right.title, width=COLUMN, overflow="fold")
    table.add_row(_operators(block.left), "", _operators(block.right))
    table.add_row(_value(block.left), "", _value(block.right))
    return Padding(table, (0, 0, 0, 2))


def _value(side: doc.Side) -> Text:
    return Text.assemble(("→ ", "dim"), side.value)


def _operators(side: doc.Side) -> Text:
    lines = [Text(f"… {side.before} more before", "dim")] if side.before else []
    for operator in side.operators:
        lines.append(Text(operator.type, "bold"))
        lines.extend(_attributes(operator))
    return Text("\n").join(lines) if lines else Text("no operator", "dim")


def _attributes(operator: doc.Operator) -> Iterator[Text]:
    """A line each; dim where the other side has the same, ``≠`` where it has another."""
    if operator.name:
        yield Text(shorten(f"  ({operator.name})", COLUMN), "dim")
    for key, value, differs in operator.attributes:
        mark, style = ("≠ ", "bold") if differs else ("  ", "" if differs is None else "dim")
        yield Text(_hanging(f"{mark}{shorten(key, COLUMN - 4)} =", value), style)
    if operator.more:
        yield Text(f"  … {operator.more} more", "dim")


def _hanging(key: str, value: str) -> str:
    """Key and value on one line if they fit, otherwise the value on lines of its own, set in."""
    if cell_len(key) + 1 + cell_len(value) <= COLUMN:
        return f"{key} {value}"
    return "\n".join([key, *(f"      {line}" for line in chop_cells(value, COLUMN - 6))])


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
