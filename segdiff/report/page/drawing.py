"""What does a graph look like? Boxes and lines, in pixels, of a block of ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segdiff.core.answer import State
from segdiff.core.outline import Outline
from segdiff.core.printable import clean
from segdiff.report.page.layout import Layout, laid_out
from segdiff.report.text import shorten

WIDTH, HEIGHT = 140, 26
"""Pixels of a box."""

STEP_X, STEP_Y = 156, 44
"""Pixels from one column to the next, and from one rank to the next."""

MARGIN = 8
"""Pixels to the left and right of everything."""

LETTERS = 16
"""Cells of an operator's type that fit into a box."""

NAME = 120
"""Cells of a name in a hint."""


@dataclass(frozen=True)
class Known:
    """What is known of an operator: the ``pair`` (its place) that it ends in, its ``state``, the shades of
    both errors, the number of the ``origin`` it belongs to (from 1), and what is told of it."""

    pair: int | None = None
    state: State | None = None
    isolated: int | None = None
    cumulative: int | None = None
    origin: int | None = None
    told: str = ""


NOTHING = Known()


@dataclass(frozen=True)
class Box:
    """An operator: its place in the outline, its corner in pixels, what is written in it, what is known."""

    place: int
    x: float
    y: float
    label: str
    hint: str
    known: Known


@dataclass(frozen=True)
class Jump:
    """The end of a line that is too long to be drawn: where it stands, and the box at the other end."""

    x: float
    y: float
    down: bool
    to: int
    label: str


@dataclass(frozen=True)
class Drawing:
    """Boxes, lines (each as an SVG path) and jumps, in so many pixels."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    jumps: tuple[Jump, ...] = ()


def centre(column: float) -> float:
    """The middle of a column, in pixels."""
    return round(MARGIN + column * STEP_X + WIDTH / 2, 1)


def drawn(
    outline: Outline, layout: Layout, ranks: range, members: Iterable[int], known: Sequence[Known]
) -> Drawing:
    """The boxes of ``members``, which stand in ``ranks``, and all lines that touch these ranks."""
    boxes = tuple(
        _box(outline, place, layout.columns[place], layout.ranks[place] - ranks.start, known[place])
        for place in members
    )
    here = {box.place for box in boxes}
    lines = tuple(
        path for (edge, columns) in layout.lines if (path := _path(layout.ranks[edge[0]], columns, ranks))
    )
    jumps = tuple(_jumps(outline, layout, here, ranks))
    return Drawing(round(2 * MARGIN + layout.width * STEP_X), len(ranks) * STEP_Y, boxes, lines, jumps)


def _box(outline: Outline, place: int, column: float, row: int, known: Known) -> Box:
    node = outline.nodes[place]
    name = node.name or (node.outputs[0] if node.outputs else "")
    hint = f"{shorten(clean(node.type), NAME)} {shorten(clean(name), NAME)}"
    return Box(
        place,
        round(centre(column) - WIDTH / 2, 1),
        row * STEP_Y + (STEP_Y - HEIGHT) / 2,
        _label(node.type, known),
        f"{hint}\n{known.told}" if known.told else hint,
        known,
    )


def _label(kind: str, known: Known) -> str:
    """The operator's type, behind the mark of an origin or of what is not known."""
    mark = "✗ " if known.origin else "? " if known.state == "unknown" else ""
    return mark + (shorten(clean(kind), LETTERS - len(mark)) or "?")


def _path(first: int, columns: tuple[float, ...], ranks: range) -> str:
    """The part of an edge that runs through these ranks, as an SVG path; nothing where it does not."""
    last = first + len(columns) - 1
    if last < ranks.start or first >= ranks.stop:
        return ""
    words: list[str] = []
    for rank in range(max(first, ranks.start - 1), min(last, ranks.stop)):
        start, end = centre(columns[rank - first]), centre(columns[rank - first + 1])
        top = (rank - ranks.start) * STEP_Y + STEP_Y / 2 + (HEIGHT / 2 if rank == first else 0)
        bottom = (rank - ranks.start + 1) * STEP_Y + STEP_Y / 2 - (HEIGHT / 2 if rank + 1 == last else 0)
        middle = (rank - ranks.start + 1) * STEP_Y
        half = round((start + end) / 2, 1)
        if rank < ranks.start:
            words.append(f"M{half:g} 0Q{end:g} 0 {end:g} {bottom:g}")
        elif rank + 1 >= ranks.stop:
            words.append(f"{'' if words else f'M{start:g} {top:g}'}Q{start:g} {middle:g} {half:g} {middle:g}")
        else:
            words.append("" if words else f"M{start:g} {top:g}")
            words.append(
                f"L{end:g} {bottom:g}"
                if start == end
                else f"C{start:g} {middle:g} {end:g} {middle:g} {end:g} {bottom:g}"
            )
    return "".join(words)


def _jumps(outline: Outline, layout: Layout, here: set[int], ranks: range) -> Iterable[Jump]:
    for first, last in layout.cut:
        for own, other, down in ((first, last, True), (last, first, False)):
            if own in here:
                row = layout.ranks[own] - ranks.start
                y = row * STEP_Y + (STEP_Y + HEIGHT) / 2 if down else row * STEP_Y + (STEP_Y - HEIGHT) / 2
                label = shorten(clean(outline.nodes[other].type), LETTERS)
                yield Jump(centre(layout.columns[own]) + WIDTH / 2 - 14, y, down, other, label)


def neighbourhood(outline: Outline, middle: set[int], known: Sequence[Known], most: int) -> Drawing | None:
    """Some operators with what they read from and what reads them, at most so many; None for none."""
    if not middle:
        return None
    near = {each for place in middle for each in outline.nodes[place].reads} - middle
    behind = [
        place
        for place, node in enumerate(outline.nodes)
        if place not in middle and not middle.isdisjoint(node.reads)
    ]
    chosen = sorted(sorted(middle)[-most:] + sorted(near)[-3:] + behind[:3])
    places = {place: number for number, place in enumerate(chosen)}
    reads = [[places[each] for each in outline.nodes[place].reads if each in places] for place in chosen]
    layout = laid_out(reads)
    part = Outline(tuple(outline.nodes[place] for place in chosen))
    found = drawn(part, layout, range(layout.depth), range(len(chosen)), [known[place] for place in chosen])
    boxes = tuple(Box(chosen[b.place], b.x, b.y, b.label, b.hint, b.known) for b in found.boxes)
    return Drawing(found.width, found.height, boxes, found.lines)
