"""What does a repair look like in a terminal? What was changed, and the outputs before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segdiff.metrics import Comparison
from segdiff.report.clean import clean
from segdiff.report.terminal import WIDTH, Middle
from segdiff.report.text import cosine, number, share

if TYPE_CHECKING:
    from segdiff.repair import Repaired


def render(repaired: Repaired) -> RenderableType:
    """The repair as a rich renderable of at most 80 columns."""
    return Constrain(Group(*_sections(repaired)), WIDTH)


def _sections(repaired: Repaired) -> Iterator[RenderableType]:
    if repaired.agrees:
        headline = Text(f"✓ Repaired: {clean(repaired.path)} agrees with the reference.", "bold green")
    else:
        left = len(repaired.left)
        rest = f"{left} more without a proven cause" if left else "the outputs still differ"
        words = f"↓ {clean(repaired.path)} has {len(repaired.changes)} repaired; {rest}."
        headline = Text(words, "bold yellow")
    yield headline
    yield Text()
    for cause in repaired.changes:
        yield Padding(Text(f"changed  {clean(cause.text)} [{clean(cause.kind)}]"), (0, 2))
    for value in repaired.left[:10]:
        yield Padding(Text(f"left     {clean(value)}", "yellow"), (0, 2))
    yield Text()
    yield Padding(_table(repaired), (0, 0, 0, 2))
    for remark in repaired.remarks:
        yield Padding(Text(clean(remark), "yellow"), (0, 2))


def _table(repaired: Repaired) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, header_style="dim")
    table.add_column("output", width=28)
    for title, width in (("", 7), ("max_abs", 10), ("cosine", 14), ("mask", 10)):
        table.add_column(title, width=width, no_wrap=True)
    for output in repaired.outputs:
        name = Middle(clean(output.before.candidate))
        table.add_row(name, "before", *_cells(output.before.cumulative, output.before.mask_changed))
        table.add_row("", "after", *_cells(output.after, output.mask_changed))
    return table


def _cells(comparison: Comparison | None, mask: float | None) -> tuple[str, str, str]:
    if comparison is None:
        return "-", "-", "-"
    metrics = comparison.metrics
    return number(metrics.max_abs), cosine(metrics.cosine), "-" if mask is None else share(mask)
