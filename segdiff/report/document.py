"""What does an answer say, whatever shows it? A document: a headline, headings, lines, tables, operators.

Each answer has one module that makes its document (``located``, ``scored``, ``repaired``), each form one that
draws any document (``terminal``, ``html``). Texts are cleaned here or before; a form escapes what it must.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from segdiff.core.printable import clean

Tone = Literal["plain", "dim", "strong", "good", "bad", "warning", "unknown"]
"""What a text means; each form has its own way to show that, and none relies on colour alone."""

Detail = Literal["short", "full", "all"]
"""What a person needs; all that was found out; the same with no row left out."""

Line = tuple[str, str]
"""A label and what it says."""


@dataclass(frozen=True)
class Headline:
    """The answer in a sentence, with its mark."""

    mark: str
    sentence: str
    tone: Tone


@dataclass(frozen=True)
class Heading:
    """What stands over the blocks that follow."""

    text: str


@dataclass(frozen=True)
class Lines:
    """Labels and what they say; a label that repeats is shown once."""

    rows: tuple[Line, ...]


@dataclass(frozen=True)
class Note:
    """A sentence of its own."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Cell:
    """One field of a table.

    ``lead`` is an operator in front of the text; ``bar`` an error that is drawn on a log scale from 1e-8 to
    1; ``hint`` what a mark means, for forms that can show it on demand; one of ``one_line`` is cut in its
    middle where there is no room. ``href`` is a page beside this one that tells more, for forms with links.
    """

    text: str
    tone: Tone = "plain"
    lead: str = ""
    bar: float | None = None
    hint: str = ""
    one_line: bool = False
    href: str = ""


@dataclass(frozen=True)
class Column:
    """A title, the width that a terminal gives it, whether it holds numbers, and whether its cells may break
    between words, however few they are."""

    title: str
    width: int | None = None
    right: bool = False
    breaks: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns; ``total`` stands below a line; ``airy`` has room between columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] = ()
    airy: bool = False


@dataclass(frozen=True)
class Grid:
    """Rows of cells without titles; from column ``remark`` on they are remarks, that may go."""

    rows: tuple[tuple[Cell, ...], ...]
    remark: int | None = None


@dataclass(frozen=True)
class Operator:
    """An operator with its name and attributes; ``differs`` marks an attribute that the other side has
    otherwise or that the cause speaks of, None one that the other side does not have."""

    type: str
    name: str
    attributes: tuple[tuple[str, str, bool | None], ...]
    more: int = 0


@dataclass(frozen=True)
class Side:
    """One side of an origin: its last operators, how many more stand before them, the value they make."""

    title: str
    operators: tuple[Operator, ...]
    before: int
    value: str


@dataclass(frozen=True)
class Sides:
    """Both sides of an origin, beside one another."""

    left: Side
    right: Side


@dataclass(frozen=True)
class Profile:
    """A curve of errors on a log scale from 1e-8 to 1; None where one was not measured.

    ``marked`` is the index of the value that a form should make stand out, None for none; ``words`` say what
    is drawn.
    """

    label: str
    values: tuple[float | None, ...]
    marked: int | None
    words: str


@dataclass(frozen=True)
class Action:
    """A command to paste: on a line of its own, never broken."""

    command: str


@dataclass(frozen=True)
class Hint:
    """What the command line can show besides: for a terminal alone."""

    label: str
    text: str


@dataclass(frozen=True)
class Picture:
    """A small picture with what stands under it; ``alt`` says it without the picture.

    ``layers`` are data URIs, of one size, the later over the earlier; ``wide`` is how many pixels wide it is
    shown, None for its own size.
    """

    layers: tuple[str, ...] = field(repr=False)
    caption: str
    alt: str
    wide: int | None = None


@dataclass(frozen=True)
class Pictures:
    """Pictures beside one another, and what they show, for forms that can show any."""

    pictures: tuple[Picture, ...]
    legend: str = ""


Part = Headline | Heading | Lines | Note | Table | Grid | Sides | Profile | Action | Hint | Pictures
Document = tuple[Part, ...]


def without_empty(table: Table) -> Table:
    """A table without the columns in which every row says nothing (``-``); the first one stays."""
    says = [any(row[i].text not in ("", "-") for row in table.rows) for i in range(len(table.columns))]
    kept = [i for i, something in enumerate(says) if something or not i]
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in kept), rows=rows)


def lines(rows: Iterable[Line]) -> tuple[Lines, ...]:
    """A block of lines; nothing where there is none."""
    found = tuple((clean(label), clean(words, 1000)) for label, words in rows)
    return (Lines(found),) if found else ()


def cells(*values: Any) -> tuple[Cell, ...]:
    """A plain cell for each value."""
    return tuple(Cell(clean(value)) for value in values)


def more(shown: int, total: int) -> tuple[Note, ...]:
    """A note on what is left out; nothing where all is shown."""
    return (Note(f"and {total - shown} more; --all shows them", "dim"),) if shown < total else ()


def title(document: Document) -> str:
    """The answer in a sentence."""
    return next((block.sentence for block in document if isinstance(block, Headline)), "segdiff")
