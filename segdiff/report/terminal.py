"""What does an answer look like in a terminal? Readable from 40 columns to 160, and without colour.

No text of a model is ever parsed as rich markup: every cell is a :class:`rich.text.Text` of cleaned text.
Where room is short, bars and remarks go first, then names are cut in their middles; numbers and marks never.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segdiff.report import document as doc
from segdiff.report.terminal_table import cell_text, drawn_table, styled
from segdiff.report.text import shorten, sparkline

WIDEST = 160
"""Columns beyond which lines are too long to read."""

PLAIN = 80
"""Columns of an answer that is asked for as text."""

NARROW = 64
"""Columns below which remarks beside numbers go and two things no longer stand side by side."""

LABEL = 13
"""Cells of the labels on the left."""

PROFILE = 30
"""Most cells of a curve; it has a third of the columns."""


def render(document: doc.Document) -> RenderableType:
    """A document as a rich renderable; a command to paste is one line, however long."""
    return Sheet(document)


def render_within(document: doc.Document) -> RenderableType:
    """The same for a console that cuts what is too long: commands are wrapped there."""
    return Sheet(tuple(doc.Note(b.command, "strong") if isinstance(b, doc.Action) else b for b in document))


def plain(document: doc.Document) -> str:
    """A document as text without any colour."""
    console = Console(file=StringIO(), width=PLAIN, color_system=None, force_jupyter=False)
    with console.capture() as captured:
        console.print(render(document), crop=False)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


@dataclass(frozen=True)
class Sheet:
    """A document that is laid out once the width is known."""

    document: doc.Document

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST)
        for renderable in _spaced(self.document, width):
            yield from console.render(renderable, options.update(width=width))


def _spaced(document: doc.Document, width: int) -> Iterator[RenderableType]:
    """The blocks, an empty line between those that are of different things."""
    before: doc.Part | None = None
    for block in document:
        if isinstance(block, doc.Pictures):
            continue
        if before is not None and _apart(before, block):
            yield Text()
        yield _drawn(block, width)
        before = block


def _apart(before: doc.Part, block: doc.Part) -> bool:
    if isinstance(before, doc.Heading):
        return isinstance(block, doc.Sides)
    listed = doc.Lines | doc.Profile | doc.Hint
    if isinstance(block, listed | doc.Action) and isinstance(before, listed):
        return False
    together = isinstance(block, doc.Note) and (
        isinstance(before, doc.Table | doc.Grid) or (isinstance(before, doc.Note) and block.tone == "dim")
    )
    return not together


def _drawn(block: doc.Part, width: int) -> RenderableType:
    if isinstance(block, doc.Headline):
        return _headline(block)
    if isinstance(block, doc.Heading):
        return Text(block.text, "bold")
    if isinstance(block, doc.Lines):
        return _lines(block, width)
    if isinstance(block, doc.Hint):
        return _lines(doc.Lines(((block.label, block.text),)), width)
    if isinstance(block, doc.Note):
        return Padding(Text(block.text, styled(block.tone)), (0, 2))
    if isinstance(block, doc.Sides):
        return _side_by_side(block, width) if width >= NARROW else _stacked(block, width)
    if isinstance(block, doc.Grid):
        return _grid(block, width)
    if isinstance(block, doc.Profile):
        return _profile(block, width)
    if isinstance(block, doc.Action):
        return Text(block.command, "bold", no_wrap=True, overflow="ignore")
    if isinstance(block, doc.Pictures):
        return Text()
    return Padding(drawn_table(block, width - 2), (0, 0, 0, 2))


def _headline(block: doc.Headline) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    style = f"bold {styled(block.tone)}".strip()
    grid.add_row(Text(block.mark, style), Text(block.sentence, style))
    return grid


def _lines(block: doc.Lines, width: int) -> RenderableType:
    """Labels on the left, wrapped text on the right; a label that repeats is shown once."""
    grid = _labelled(block.rows, width)
    last = None
    for label, words in block.rows:
        grid.add_row(Text("" if label == last else label, "dim"), Text(words))
        last = label or last
    return Padding(grid, (0, 0, 0, 2))


def _labelled(rows: tuple[doc.Line, ...], width: int) -> Table:
    """A grid of labels and texts; in a narrow terminal labels take no more than they need."""
    longest = max((cell_len(label) for label, _ in rows), default=0)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=LABEL if width >= NARROW else min(LABEL, max(longest, 8)))
    grid.add_column(overflow="fold")
    return grid


def _profile(block: doc.Profile, width: int) -> RenderableType:
    """The curve behind its label, the marked cell in another style, and the words."""
    line, at = sparkline(block.values, max(8, min(PROFILE, width // 3)), block.marked)
    curve = Text(line)
    if at is not None:
        curve.stylize(styled("bad"), at, at + 1)
    grid = _labelled(((block.label, ""),), width)
    grid.add_row(Text(block.label, "dim"), Text.assemble(curve, " ", (block.words, "dim")))
    return Padding(grid, (0, 0, 0, 2))


def _grid(block: doc.Grid, width: int) -> RenderableType:
    """Rows without titles; what is only a remark goes where there is no room for it."""
    narrow = width < NARROW
    rows = [row[: block.remark] if narrow and block.remark else row for row in block.rows]
    table = Table.grid(padding=(0, 1 if narrow else 2), expand=False)
    if len(block.rows[0]) > 3:
        table.add_column(width=None if narrow else LABEL - 1)
    for row in rows:
        table.add_row(*map(cell_text, row))
    return Padding(table, (0, 0, 0, 2))


# --- both sides of an origin


def _side_by_side(block: doc.Sides, width: int) -> RenderableType:
    column = (width - 6) // 2
    table = Table.grid(padding=(0, 1))
    for _ in (block.left, block.right):
        table.add_column(width=column, overflow="fold")
    table.add_row(*(Text(side.title, "dim") for side in (block.left, block.right)))
    table.add_row(*(Text("─" * column, "dim") for _ in (block.left, block.right)))
    table.add_row(_operators(block.left, column), _operators(block.right, column))
    table.add_row(_value(block.left), _value(block.right))
    return Padding(table, (0, 0, 0, 2))


def _stacked(block: doc.Sides, width: int) -> RenderableType:
    """One side under the other."""
    parts: list[RenderableType] = []
    for side in (block.left, block.right):
        parts += [Text(side.title, "dim"), Text("─" * (width - 2), "dim")]
        parts += [_operators(side, width - 2), _value(side)]
    return Padding(Group(*parts), (0, 0, 0, 2))


def _value(side: doc.Side) -> Text:
    return Text.assemble(("→ ", "dim"), side.value, overflow="fold")


def _operators(side: doc.Side, column: int) -> Text:
    lines = [Text(f"… {side.before} more before", "dim")] if side.before else []
    for operator in side.operators:
        lines.append(Text(operator.type, "bold"))
        lines.extend(_attributes(operator, column))
    return Text("\n").join(lines) if lines else Text("no operator", "dim")


def _attributes(operator: doc.Operator, column: int) -> Iterator[Text]:
    """A line each; dim where the other side has the same, ``≠`` where it has another."""
    if operator.name:
        yield Text(shorten(f"  ({operator.name})", column), "dim")
    for key, value, differs in operator.attributes:
        mark, style = ("≠ ", "bold") if differs else ("  ", "" if differs is None else "dim")
        yield Text(_hanging(f"{mark}{shorten(key, column - 4)} =", value, column), style)
    if operator.more:
        yield Text(f"  … {operator.more} more", "dim")


def _hanging(key: str, value: str, column: int) -> str:
    """Key and value on one line if they fit, otherwise the value on lines of its own, set in."""
    if cell_len(key) + 1 + cell_len(value) <= column:
        return f"{key} {value}"
    return "\n".join([key, *(f"      {line}" for line in chop_cells(value, column - 6))])
