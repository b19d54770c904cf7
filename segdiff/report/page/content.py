"""What does a page consist of? A verdict, sections, and the data that its script reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from segdiff.report import document as doc


@dataclass(frozen=True)
class Tile:
    """A figure that is worth a second look, and what it is."""

    value: str
    label: str
    tone: doc.Tone = "plain"


@dataclass(frozen=True)
class Section:
    """A part of the page: its anchor, its title, the template that draws it, what that draws, and a name of a
    word or two."""

    anchor: str
    title: str
    template: str
    body: Any
    name: str = ""


@dataclass(frozen=True)
class Content:
    """The verdict (``headline``, ``tiles``, ``card``, a document in short), the sections, and the data."""

    headline: doc.Headline
    subject: str
    tiles: tuple[Tile, ...]
    card: doc.Document
    sections: tuple[Section, ...]
    data: dict[str, Any] = field(default_factory=dict)


def headline_of(document: doc.Document) -> doc.Headline:
    """The headline of a document."""
    found = next((part for part in document if isinstance(part, doc.Headline)), None)
    return found or doc.Headline("?", "segdiff", "unknown")


def without_headline(document: doc.Document) -> doc.Document:
    """A document's parts below its headline, without what only the command line can show."""
    return tuple(part for part in document if not isinstance(part, doc.Headline | doc.Hint))


def under_headings(document: doc.Document, stem: str) -> Iterator[Section]:
    """The parts of a document behind its first heading, a section for each heading."""
    parts: list[doc.Part] = []
    title, count = "", 0
    for part in (*document, doc.Heading("")):
        if isinstance(part, doc.Heading):
            if title and parts:
                yield Section(
                    f"{stem}-{count}", title, "parts", tuple(parts), title.partition(":")[0].partition(",")[0]
                )
            title, parts, count = part.text, [], count + 1
        elif title:
            parts.append(part)


def before_headings(document: doc.Document) -> doc.Document:
    """The parts of a document in front of its first heading."""
    parts: list[doc.Part] = []
    for part in document:
        if isinstance(part, doc.Heading):
            break
        parts.append(part)
    return tuple(parts)
