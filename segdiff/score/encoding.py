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

Encoding = Literal["index", "binary", "paddleseg", "voc", "cityscapes"]

KINDS: tuple[Encoding, ...] = ("index", "binary", "paddleseg", "voc", "cityscapes")
WORDS: dict[Encoding, str] = {
    "index": "class numbers",
    "binary": "black and white (0 and 255 for classes 0 and 1)",
    "paddleseg": "PaddleSeg's pseudo colours",
    "voc": "the colours of the VOC map, black first",
    "cityscapes": "Cityscapes' label ids, read as its 19 classes (255 for the rest)",
}
LABEL_IDS = "_labelIds"
"""How the names of Cityscapes' own labels end; those of the 19 classes end in ``_labelTrainIds``."""

CITYSCAPES = {
    **{"road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19},
    **{"traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26},
    **{"truck": 27, "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33},
}
"""The classes that count, in the order of their train ids, with their label ids (``cityscapesscripts``)."""

LAST_LABEL_ID = 33
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
    if kind == "cityscapes":
        return _from_cityscapes(raw, source)
    return _from_colours(raw, kind, source)


def _from_binary(raw: Raw, source: object) -> Values:
    found = distinct(raw.values) if not raw.coloured else frozenset()
    if raw.coloured or not found <= BLACK_AND_WHITE:
        others = sorted(found - BLACK_AND_WHITE)[:SHOWN]
        raise InputError(f"{source} is not black and white: it has {others or 'colours'}.")
    return (raw.values > 0).astype(np.uint8)


def _from_cityscapes(raw: Raw, source: object) -> Values:
    found = distinct(raw.values) if not raw.coloured else frozenset()
    others = sorted(number for number in found if LAST_LABEL_ID < number < 255 or number > 255)[:SHOWN]
    if raw.coloured or others:
        raise InputError(f"{source} has no label ids of Cityscapes (0 to 33): it has {others or 'colours'}.")
    table = np.full(256, 255, np.uint8)
    table[list(CITYSCAPES.values())] = np.arange(len(CITYSCAPES))
    return np.asarray(table[raw.values])


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
