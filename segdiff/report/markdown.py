"""What does an answer look like in a pull request? GitHub's Markdown, nothing of a model read as markup.

Whatever a model file can have chosen is escaped: a name can neither make a link, an image or HTML, nor
mention anybody, nor end the cell or the fence that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from segdiff.report import document as doc
from segdiff.report.text import sparkline

PROFILE = 30
"""Most characters of a curve."""

_ADDRESS = re.compile(r"(?i)(?<=://)|(?<=\bwww\.)")
"""Behind these a host would be made a link; an empty comment keeps it apart."""

_SPECIAL = re.compile(r"[\\`*_\[\]#|~$]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
_STARTS = re.compile(r"^(\s*\d*)([-+=:]|(?<=\d)[.)](?=\s))")


def render(document: doc.Document) -> str:
    """A document as Markdown."""
    text, before = "", None
    for block in document:
        if isinstance(block, doc.Hint | doc.Pictures):  # of the command line; of a page
            continue
        listed = isinstance(block, doc.Lines | doc.Profile) and isinstance(before, doc.Lines | doc.Profile)
        text += ("" if before is None else "\n" if listed else "\n\n") + "\n".join(_drawn(block))
        before = block
    return f"{text}\n"


def _drawn(block: doc.Part) -> Iterator[str]:
    if isinstance(block, doc.Headline):
        yield f"### {block.mark} {escaped(block.sentence)}"
    elif isinstance(block, doc.Heading):
        yield f"#### {escaped(block.text)}"
    elif isinstance(block, doc.Note):
        yield escaped(block.text)
    elif isinstance(block, doc.Lines):
        yield from _lines(block)
    elif isinstance(block, doc.Profile):
        line, _ = sparkline(block.values, PROFILE, block.marked)
        yield f"- **{escaped(block.label)}** {line} {escaped(block.words)}"
    elif isinstance(block, doc.Action):
        yield from _fenced(block.command)
    elif isinstance(block, doc.Sides):
        yield from _sides(block)
    elif isinstance(block, doc.Grid):
        yield from _rows([""] * max(map(len, block.rows)), map(_cells, block.rows))
    elif isinstance(block, doc.Table):
        total = (block.total,) if block.total else ()
        yield from _rows([column.title for column in block.columns], map(_cells, (*block.rows, *total)))


def escaped(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    plain = " ".join(text.split("\n"))
    plain = "".join(_ENTITIES.get(character, character) for character in _SPECIAL.sub(r"\\\g<0>", plain))
    return _ADDRESS.sub("<!-- -->", _STARTS.sub(r"\1\\\2", plain))


def _lines(block: doc.Lines) -> Iterator[str]:
    """A list; a label that repeats, or is empty, goes on with the item before."""
    items: list[list[str]] = []
    last: str | None = None
    for label, words in block.rows:
        if items and label in ("", last):
            items[-1].append(escaped(words))
        else:
            items.append([f"**{escaped(label)}** {escaped(words)}"])
            last = label
    yield from (f"- {'<br>'.join(item)}" for item in items)


def _fenced(command: str) -> Iterator[str]:
    longest = max((len(run) for run in re.findall("`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (f"{fence}sh", command, fence)


def _rows(titles: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(escaped, titles))} |"
    yield f"|{'---|' * len(titles)}"
    for row in rows:
        yield f"| {' | '.join([*row, *[''] * (len(titles) - len(row))])} |"


def _cells(row: tuple[doc.Cell, ...]) -> list[str]:
    return [escaped(f"{cell.lead} {cell.text}".strip()) for cell in row]


def _sides(block: doc.Sides) -> Iterator[str]:
    """Both sides in two columns, a row each of whatever stands beside the other."""
    pairs = zip_longest(_operators(block.left), _operators(block.right), fillvalue="")
    yield from _rows([block.left.title, block.right.title], map(list, pairs))


def _operators(side: doc.Side) -> Iterator[str]:
    if side.before:
        yield f"… {side.before} more before"
    for operator in side.operators:
        name = f" {escaped(operator.name)}" if operator.name else ""
        yield f"**{escaped(operator.type)}**{name}"
        for key, value, differs in operator.attributes:
            text = escaped(f"{key} = {value}")
            yield f"≠ **{text}**" if differs else text
        if operator.more:
            yield f"… {operator.more} more"
    yield f"→ {escaped(side.value)}"
