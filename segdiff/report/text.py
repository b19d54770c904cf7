"""How do long names, attributes and wild numbers become short, readable text?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from rich.cells import cell_len, set_cell_size

from segdiff.core.metrics import Comparison
from segdiff.core.printable import clean

BLOCKS = " ▏▎▍▌▋▊▉"
"""Eighths of a full cell."""

HEIGHTS = "▁▂▃▄▅▆▇█"
"""Of the cells of a curve."""

WEAKEST, DECADES = 1e-8, 8
"""Bars run from 1e-8 to 1 on a log scale: one cell a decade at eight cells."""


def shorten(text: str, width: int) -> str:
    """The text in at most ``width`` terminal cells, cut in the middle: names differ most at their ends."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    tail = (width - 1) * 3 // 5
    end = text[len(text) - tail :] if tail else ""
    while cell_len(end) > tail:
        end = end[1:]
    return set_cell_size(text, width - 1 - tail).rstrip() + "…" + end


def number(value: float) -> str:
    """An error in few characters: ``0``, ``3.4e-07``, ``inf``, ``nan``."""
    if not math.isfinite(value):
        return str(value)
    return "0" if value == 0 else f"{value:.1e}"


def cosine(value: float) -> str:
    """A cosine that tells 1 from almost 1: ``1``, ``1 - 3e-09``, ``0.998123``."""
    if not math.isfinite(value):
        return str(value)
    gap = 1.0 - value
    if value in (-1.0, 0.0, 1.0):
        return f"{value:.0f}"
    return f"1 - {gap:.0e}" if abs(gap) < 1e-4 else f"{value:.6f}"


def share(fraction: float) -> str:
    """A fraction as a percentage that is ``0%`` or ``100%`` only when it is so exactly."""
    if not math.isfinite(fraction):
        return str(fraction)
    percent = fraction * 100
    if 0 < percent < 0.01:
        return "<0.01%"
    if 99.99 < percent < 100:
        return ">99.99%"
    return f"{percent:.2f}".rstrip("0").rstrip(".") + "%"


def percentage(fraction: float) -> str:
    """A fraction as a percentage of two decimals, as a column of a table wants it."""
    return f"{100 * fraction:.2f}%" if math.isfinite(fraction) else "-"


def filled(value: float) -> float:
    """How much of a bar an error fills, 0 to 1, on the log scale from ``WEAKEST`` to 1."""
    if math.isnan(value) or value <= WEAKEST:
        return 0.0
    return 1.0 if value >= 1 else 1.0 + math.log10(value) / DECADES


def bar(value: float, cells: int = DECADES) -> str:
    """The bar of an error, in block characters."""
    eighths = round(filled(value) * cells * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + BLOCKS[rest]).rstrip()


def sparkline(values: Sequence[float | None], most: int, marked: int | None) -> tuple[str, int | None]:
    """Errors as blocks of eight heights on the log scale of the bars, at most so many cells, and the cell of
    the marked one.

    A cell has the largest of its values; one without any is a dot; the marked value has a cell of its own, as
    it is.

    >>> sparkline([1e-8, 1e-7, 0.01, 1.0], 8, 2)
    ('▁▂▇█', 2)
    """
    bounds = _cells(len(values), most, marked)
    levels = [max((v for v in values[a:b] if v is not None), default=None) for a, b in bounds]
    line = "".join("·" if level is None else HEIGHTS[_height(level)] for level in levels)
    at = next((i for i, (a, b) in enumerate(bounds) if marked is not None and a <= marked < b), None)
    return line, at


def _height(value: float) -> int:
    """0 to 7; an error that is no number is the highest."""
    return 7 if math.isnan(value) else min(7, int(filled(value) * 8))


def _cells(count: int, most: int, marked: int | None) -> list[tuple[int, int]]:
    """Which values each cell holds, the marked one alone."""
    if count <= most or marked is None:
        cells = min(count, most)
        edges = [round(i * count / cells) for i in range(cells + 1)] if cells else [0]
        return list(pairwise(edges))
    before, after = marked, count - marked - 1
    left = max(before > 0, min(round((most - 1) * before / (count - 1)), most - 1 - (after > 0)))
    head = _cells(before, left, None)
    tail = [(a + marked + 1, b + marked + 1) for a, b in _cells(after, most - 1 - left, None)]
    return [*head, (marked, marked + 1), *tail]


def rel_l2(comparison: Comparison | None) -> str:
    """The relative error as a number; ``-`` where it was not measured."""
    return number(comparison.metrics.rel_l2) if comparison else "-"


def shape_text(shape: Sequence[int]) -> str:
    """``1 x 64 x 32 x 32``; ``scalar`` for no axes."""
    return " x ".join(map(str, shape)) or "scalar"


def attribute(value: Any) -> str:
    """An attribute's value on one short line: floats to six digits, long lists and arrays abridged."""
    if isinstance(value, np.ndarray):
        if value.size > 8:
            return f"{value.dtype} array {shape_text(value.shape)}"
        return attribute(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return f"{{{len(value)} entries}}" if value else "{}"
    if isinstance(value, (list, tuple)):
        shown = [attribute(item) for item in value[:8]]
        more = [f"… {len(value)} in all"] if len(value) > 8 else []
        return f"[{', '.join(shown + more)}]"
    return clean(value) or "''"
