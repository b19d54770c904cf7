"""What does an answer look like in a notebook's cell? In short, with its pictures; the rest is folded up.

And a bar, while it is computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from markupsafe import Markup

from segdiff.core.pictured import Pictures as Seen
from segdiff.core.printable import clean
from segdiff.report.document import Document, Picture, Pictures
from segdiff.report.forms import document_of
from segdiff.report.html import render, render_folded
from segdiff.report.page.images import Stage, stage_of
from segdiff.report.phases import words_of

WIDE = 152
"""Pixels that a picture takes: six stand beside one another in a notebook on a usual screen."""

NARROW = 96
"""The same for a tall picture."""

OVER = ("flips", "heat")
"""What is seen over the picture."""

IMAGES = 2
"""Of a score's worst images those that a cell shows."""

LONGEST = 80
"""Characters of an image's name."""

PAUSE = 0.15
"""Seconds between two states of the bar: enough to see it move, few messages."""

FOLDED = "All that was measured"


def cell(answer: Any) -> str:
    """An answer for a notebook (``_repr_html_``)."""
    short = (*document_of(answer, "short"), *pictures_of(answer))
    full = document_of(answer, "full")
    return render(short) if short == full else render_folded(short, full, FOLDED)


def pictures_of(answer: Any) -> Document:
    """The pictures of a report, or those of a score; nothing where there are none."""
    found = getattr(answer, "pictures", None)
    if not found:
        return ()
    if isinstance(found, Seen):
        return (_row(stage_of(found), ""),)
    return tuple(_row(stage_of(each, name, answer.names), name) for name, each in found[:IMAGES])


def _row(stage: Stage, name: str) -> Pictures:
    """The pictures of one image beside one another."""
    layers = {layer.key: layer for layer in stage.layers}
    wide = WIDE if stage.width >= stage.height else NARROW
    photo = layers["picture"].data
    shown = []
    for key in ("picture", "reference", "candidate", "repaired", "labels", "flips", "heat"):
        if key in layers:
            data = (photo, layers[key].data) if key in OVER else (layers[key].data,)
            shown.append(Picture(data, layers[key].title, layers[key].alt, wide))
    told = [chip.text for chip in stage.flips]
    if stage.heat is not None:
        told.append(f"the error of the origin runs up to {stage.heat[1]}")
    return Pictures(tuple(shown), "; ".join([*([clean(name, LONGEST)] if name else []), *told]))


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar below the running cell, which goes when the call is over."""
    display: Any = import_module("IPython.display").display  # only where a notebook has brought it

    handle = display(_state("start", 0, 0), display_id=True, raw=True)
    last = [("", 0.0)]

    def told(phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != last[0][0] or now - last[0][1] >= PAUSE:
            last[0] = phase, now
            handle.update(_state(phase, done, total), raw=True)

    try:
        yield told
    finally:
        handle.update({"text/html": "", "text/plain": ""}, raw=True)


def _state(phase: str, done: int, total: int) -> dict[str, str]:
    """One state of the bar, as HTML and as text."""
    words = words_of(phase)
    count = f" {done}/{total}" if total else ""
    value = Markup(' value="{}" max="{}"').format(done, total) if total else Markup("")
    bar = Markup('<div style="font-size:13px"><progress{}></progress> {}{}</div>')
    return {"text/html": str(bar.format(value, words, count)), "text/plain": f"{words}{count}"}
