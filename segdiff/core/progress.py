"""Who is told how far a long call is? The user's own callback; a notebook; else nobody."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from segdiff.core.late import door

Progress = Callable[[str, int, int], None]
"""``progress(phase, done, total)``; a total of 0 means that nobody knows."""


@contextmanager
def told_to(progress: Progress | None) -> Iterator[Progress]:
    """The callback to use, for as long as a call lasts."""
    if progress is not None:
        yield progress
    elif in_notebook():
        with door("progress.notebook")() as told:
            yield told
    else:
        yield _nobody


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook: Jupyter's, VS Code's, Colab's."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def _nobody(phase: str, done: int, total: int) -> None:
    """The callback of a script."""
