"""What does a repair look like in a terminal? What was changed, and the outputs before and after."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segdiff.core.answer import Repaired
from segdiff.core.metrics import Comparison
from segdiff.core.printable import clean
from segdiff.report.terminal import WIDTH, Middle
from segdiff.report.text import cosine, number, share

LEFT_SHOWN = 10


def render(repaired: Repaired) -> RenderableType:
    """The repair as a rich renderable of at most 80 columns."""
    return Constrain(Group(*_sections(repaired)), WIDTH)


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


def change_lines(repaired: Repaired) -> Iterator[tuple[str, str]]:
    """What was changed, and the values whose origin was left as it is."""
    for cause in repaired.changes:
        yield "changed", f"{clean(cause.text)} [{clean(cause.kind)}]"
    for value in repaired.left[:LEFT_SHOWN]:
        yield "left", clean(value)
    if len(repaired.left) > LEFT_SHOWN:
        yield "left", f"and {len(repaired.left) - LEFT_SHOWN} more"


def output_rows(repaired: Repaired) -> Iterator[tuple[str, ...]]:
    """Two rows an output: its name, before or after, ``max_abs``, cosine, and the pixels that change."""
    for output in repaired.outputs:
        before = _numbers(output.before.cumulative, output.before.mask_changed)
        yield clean(output.before.candidate), "before", *before
        yield "", "after", *_numbers(output.after, output.mask_changed)


def _sections(repaired: Repaired) -> Iterator[RenderableType]:
    style = "bold green" if repaired.agrees else "bold yellow"
    yield Text(f"{mark_of(repaired)} {sentence_of(repaired)}", style)
    yield Text()
    for label, words in change_lines(repaired):
        yield Padding(Text(f"{label:<8} {words}", "yellow" if label == "left" else ""), (0, 2))
    yield Text()
    yield Padding(_table(repaired), (0, 0, 0, 2))
    for remark in repaired.remarks:
        yield Padding(Text(clean(remark), "yellow"), (0, 2))


def _table(repaired: Repaired) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, header_style="dim")
    table.add_column("output", width=28)
    for title, width in (("", 7), ("max_abs", 10), ("cosine", 14), ("mask", 10)):
        table.add_column(title, width=width, no_wrap=True)
    for name, *numbers in output_rows(repaired):
        table.add_row(Middle(name), *numbers)
    return table


def _numbers(comparison: Comparison | None, mask: float | None) -> tuple[str, str, str]:
    if comparison is None:
        return "-", "-", "-"
    metrics = comparison.metrics
    return number(metrics.max_abs), cosine(metrics.cosine), "-" if mask is None else share(mask)
