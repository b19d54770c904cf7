"""What does a repair say? What was changed, and the outputs before and after."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.answer import Repaired
from segdiff.core.metrics import Comparison
from segdiff.core.printable import clean
from segdiff.report.document import Cell, Column, Detail, Document, Headline, Note, Part, Table, lines
from segdiff.report.text import cosine, number, share

LEFT_SHOWN = 10


def document(repaired: Repaired, detail: Detail = "full") -> Document:
    """The repair; ``all`` lists every value that was left as it is."""
    return tuple(_blocks(repaired, len(repaired.left) if detail == "all" else LEFT_SHOWN))


def _blocks(repaired: Repaired, most: int) -> Iterator[Part]:
    yield Headline(mark_of(repaired), sentence_of(repaired), "good" if repaired.agrees else "warning")
    yield from lines(change_lines(repaired, most))
    titles = ("output", 28), ("", 7), ("max_abs", 10), ("cosine", 14), ("mask", 10)
    rows = ((Cell(name, one_line=True), *map(Cell, numbers)) for name, *numbers in output_rows(repaired))
    yield Table(tuple(Column(title, width) for title, width in titles), tuple(rows))
    for remark in repaired.remarks:
        yield Note(clean(remark), "warning")


def mark_of(repaired: Repaired) -> str:
    """The sign in front of the sentence."""
    return "✓" if repaired.agrees else "↓"


def sentence_of(repaired: Repaired) -> str:
    """Whether the repair has helped."""
    if repaired.agrees:
        return f"Repaired: {clean(repaired.path)} agrees with the reference."
    left = len(repaired.left)
    rest = f"{left} more without a proven cause" if left else "the outputs still differ"
    return f"{clean(repaired.path)} has {len(repaired.changes)} repaired; {rest}."


def change_lines(repaired: Repaired, most: int) -> Iterator[tuple[str, str]]:
    """What was changed, and at most so many of the values whose origin was left as it is."""
    for cause in repaired.changes:
        yield "changed", f"{clean(cause.text)} [{clean(cause.kind)}]"
    for value in repaired.left[:most]:
        yield "left", clean(value)
    if len(repaired.left) > most:
        yield "left", f"and {len(repaired.left) - most} more"


def output_rows(repaired: Repaired) -> Iterator[tuple[str, ...]]:
    """Two rows an output: its name, before or after, ``max_abs``, cosine, and the pixels that change."""
    for output in repaired.outputs:
        before = _numbers(output.before.cumulative, output.before.mask_changed)
        yield clean(output.before.candidate), "before", *before
        yield "", "after", *_numbers(output.after, output.mask_changed)


def _numbers(comparison: Comparison | None, mask: float | None) -> tuple[str, str, str]:
    if comparison is None:
        return "-", "-", "-"
    metrics = comparison.metrics
    return number(metrics.max_abs), cosine(metrics.cosine), "-" if mask is None else share(mask)
