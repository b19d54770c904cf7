"""How far is it? A progress bar on stderr that leaves nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from segdiff.report.phases import WORDS, words_of

Progress = Callable[[str, int, int], None]
"""``progress(phase, done, total)``; a total of 0 means that nobody knows."""


@contextmanager
def progress_bar(enabled: bool | None = None) -> Iterator[Progress]:
    """Yield the callback that :func:`segdiff.locate` takes.

    ``enabled`` None shows the bar only where stderr is a terminal; False yields a callback that does nothing.
    """
    if enabled is None:
        enabled = sys.stderr is not None and sys.stderr.isatty()
    if not enabled:
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    bar = RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        refresh_per_second=5,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bar:
        task = bar.add_task(WORDS["start"], total=None, count="")

        def advance(phase: str, done: int, total: int) -> None:
            count = f"{done}/{total}" if total else ""
            bar.update(task, description=words_of(phase), completed=done, total=total or None, count=count)

        yield advance


def _nothing(phase: str, done: int, total: int) -> None:
    """The callback where no bar is wanted."""
