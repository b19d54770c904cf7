"""What do the values of a mask file mean? Class numbers, black and white, or the colours of a palette.

One folder has one encoding, found from its files together: a file that is all 0 and 255 is black and white
among its like, and class 0 with ignored pixels among index masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from segdiff.core.errors import InputError
from segdiff.score.files import Raw, Values
from segdiff.score.palette import packed, paddleseg_colours, voc_colours

Encoding = Literal["index", "binary", "paddleseg", "voc"]

KINDS: tuple[Encoding, ...] = ("index", "binary", "paddleseg", "voc")
WORDS: dict[Encoding, str] = {
    "index": "class numbers",
    "binary": "black and white (0 and 255 for classes 0 and 1)",
    "paddleseg": "PaddleSeg's pseudo colours",
    "voc": "the colours of the VOC map, black first",
}
BLACK_AND_WHITE = frozenset({0, 255})
SHOWN = 5
"""Unknown values that a message lists."""


@dataclass
class Sightings:
    """What was seen of the files of one folder so far."""

    numbers: frozenset[int] = frozenset()
    palette: bool = False
    colours: frozenset[int] = frozenset()

    def add(self, raw: Raw) -> None:
        """Take note of one more file."""
        if raw.coloured:
            self.colours |= frozenset(np.unique(packed(raw.values)).tolist())
        else:
            self.numbers |= distinct(raw.values)
            self.palette |= raw.palette

    def kind(self) -> Encoding | None:
        """The encoding that fits all of it; None where none does."""
        if self.colours:
            seen = self.colours | {number * 0x010101 for number in self.numbers}
            fitting = [kind for kind in ("paddleseg", "voc") if seen <= codes(kind)]
            return fitting[0] if fitting else None  # type: ignore[return-value]
        if 255 in self.numbers and self.numbers <= BLACK_AND_WHITE and not self.palette:
            return "binary"
        return "index"


def decode(raw: Raw, kind: Encoding, source: object) -> Values:
    """Class numbers (H, W), uint8 or uint16. Raises InputError that lists values which mean nothing.

    ``source`` is what the message calls the file.
    """
    if kind == "index":
        if raw.coloured:
            raise InputError(f"{source} is a colour picture, not a mask of class numbers.")
        return raw.values
    if kind == "binary":
        return _from_binary(raw, source)
    return _from_colours(raw, kind, source)


def _from_binary(raw: Raw, source: object) -> Values:
    found = distinct(raw.values) if not raw.coloured else frozenset()
    if raw.coloured or not found <= BLACK_AND_WHITE:
        others = sorted(found - BLACK_AND_WHITE)[:SHOWN]
        raise InputError(f"{source} is not black and white: it has {others or 'colours'}.")
    return (raw.values > 0).astype(np.uint8)


def _from_colours(raw: Raw, kind: Encoding, source: object) -> Values:
    colours = raw.values if raw.coloured else np.repeat(raw.values[..., None], 3, axis=2)
    table = packed(_colours(kind))
    order = np.argsort(table)
    seen = packed(colours)
    places = np.minimum(np.searchsorted(table, seen, sorter=order), len(table) - 1)
    classes = order[places]
    unknown = table[classes] != seen
    if unknown.any():
        values = [f"#{code:06x}" for code in np.unique(seen[unknown])[:SHOWN]]
        raise InputError(f"{source} has colours that are not among {WORDS[kind]}: {', '.join(values)}.")
    return classes.astype(np.uint8)


def codes(kind: Encoding) -> frozenset[int]:
    """The colours of a map as packed numbers."""
    return frozenset(packed(_colours(kind)).tolist())


def _colours(kind: Encoding) -> Values:
    return paddleseg_colours() if kind == "paddleseg" else voc_colours()


def distinct(values: Values) -> frozenset[int]:
    """The distinct numbers of a mask."""
    return frozenset(np.flatnonzero(np.bincount(values.ravel())).tolist())
