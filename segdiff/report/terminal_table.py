"""How is a table drawn in so many columns? Numbers whole, bars where there is room, names share the rest."""

from __future__ import annotations

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from segdiff.report import document as doc
from segdiff.report.text import DECADES, bar, shorten

STYLES: dict[doc.Tone, str] = {
    "plain": "",
    "dim": "dim",
    "strong": "bold",
    "good": "green",
    "bad": "red",
    "warning": "yellow",
    "unknown": "magenta",
}

NUMBER = 7
"""Cells of the number in front of a bar."""

WORDS = 2
"""Spaces that a number may hold (``1 - 3e-09``); what has more is a sentence."""

LEAST_NAME = 7
"""Cells that a name has to have to be worth showing."""


def styled(tone: doc.Tone) -> str:
    """The style of a tone."""
    return STYLES[tone]


def drawn_table(block: doc.Table, room: int) -> RenderableType:
    """A table in ``room`` columns; one that does not fit has a list of its cells for each row instead."""
    gap = 2 if block.airy else 1
    widths, bars = _widths(block, room, gap)
    if widths is None:
        return _listed(block)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), show_edge=False, header_style="dim")
    tall = any(" " in column.title for column in block.columns)
    for column, width in zip(block.columns, widths, strict=True):
        table.add_column(
            column.title,
            width=width,
            justify="right" if column.right else "left",
            vertical="bottom" if tall else "top",
            overflow="fold",
        )
    for row in block.rows:
        table.add_row(*_fitted(row, widths, bars))
    if block.total:
        table.add_section()
        table.add_row(*_fitted(block.total, widths, bars))
    return table


def cell_text(cell: doc.Cell) -> Text:
    """A cell with all that it says."""
    return Text(cell.text, STYLES[cell.tone])


def _fitted(row: tuple[doc.Cell, ...], widths: list[int], bars: bool) -> list[Text]:
    return [_cell(cell, width, bars) for cell, width in zip(row, widths, strict=True)]


def _cell(cell: doc.Cell, width: int, bars: bool) -> Text:
    style = STYLES[cell.tone]
    if cell.bar is not None:
        number = Text(f"{cell.text:<{NUMBER}} " if bars else cell.text, no_wrap=True)
        return number.append(bar(cell.bar), style) if bars else number
    if cell.lead and cell.lead not in cell.text:
        lead = shorten(cell.lead, width * 3 // 5)
        value = shorten(cell.text, width - cell_len(lead) - 1)
        return Text.assemble((lead, style), " ", (value, style or "dim"), no_wrap=True)
    if cell.one_line:
        return Text(shorten(cell.text, width), style, no_wrap=True)
    return Text(cell.text, style)


def _widths(block: doc.Table, room: int, gap: int) -> tuple[list[int] | None, bool]:
    """The width of every column, and whether bars are drawn; no widths where even cut names do not fit."""
    room -= gap * len(block.columns) - 1  # a line's cell between columns, the rest behind each
    rows = (*block.rows, *((block.total,) if block.total else ()))
    giving = {i for i, column in enumerate(block.columns) if _can_give(column, [row[i] for row in rows])}
    for bars in (True, False):
        widths = [_needed(block, rows, i, bars) for i in range(len(block.columns))]
        spare = room - sum(width for i, width in enumerate(widths) if i not in giving)
        if spare >= LEAST_NAME * len(giving) * (2 if bars else 1):
            return _shared(block, widths, giving, spare), bars
    return None, False


def _can_give(column: doc.Column, cells: list[doc.Cell]) -> bool:
    """Whether a column can do with less: names are cut, and sentences wrapped."""
    named = any(cell.one_line or cell.lead for cell in cells)
    sentences = any(cell.text.count(" ") > WORDS and cell.bar is None for cell in cells)
    return named or column.breaks or (sentences and not column.right)


def _needed(block: doc.Table, rows: tuple[tuple[doc.Cell, ...], ...], index: int, bars: bool) -> int:
    """The cells that a column takes where nothing is cut; a title may break between words."""
    title = max((cell_len(word) for word in block.columns[index].title.split()), default=1)
    return max([title, *(_length(row[index], bars) for row in rows)])


def _length(cell: doc.Cell, bars: bool) -> int:
    if cell.bar is not None:
        return NUMBER + 1 + DECADES if bars else cell_len(cell.text)
    lead = cell_len(cell.lead) + 1 if cell.lead and cell.lead not in cell.text else 0
    return lead + cell_len(cell.text)


def _shared(block: doc.Table, widths: list[int], giving: set[int], spare: int) -> list[int]:
    """They share what is left as the table says; what one does not need goes to the next."""
    asked = {index: block.columns[index].width or widths[index] for index in sorted(giving)}
    found, left = list(widths), spare
    for index, share in asked.items():
        found[index] = min(widths[index], spare * share // sum(asked.values()))
        left -= found[index]
    for index in asked:
        more = min(left, widths[index] - found[index])
        found[index], left = found[index] + more, left - more
    return found


def _said(cell: doc.Cell) -> str:
    return f"{cell.lead} {cell.text}".strip()


def _listed(block: doc.Table) -> RenderableType:
    """Every row as its first words, and under them what its columns say."""
    lines: list[Text] = []
    for row in (*block.rows, *((block.total,) if block.total else ())):
        first = next((i for i, column in enumerate(block.columns) if column.title), 0) if row[0].text else 0
        lines.append(Text(" ".join(map(_said, row[: first + 1])), STYLES[row[0].tone], overflow="fold"))
        for column, cell in zip(block.columns[first + 1 :], row[first + 1 :], strict=True):
            if cell.text:
                words = f"  {column.title} {_said(cell)}"
                lines.append(Text(words, STYLES[cell.tone], overflow="fold"))
    return Group(*lines)
