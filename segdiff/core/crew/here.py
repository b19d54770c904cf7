"""Who works where nobody else is asked? This process, one task after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Literal

from segdiff.core.crew.told import Done, R, T, attempt, cores


class Here:
    """This process."""

    workers = beside = 1
    where: Literal["here"] = "here"

    @property
    def threads(self) -> int:
        """All cores."""
        return cores()

    def run(
        self, task: Callable[[T], R], items: Iterable[T], leave: Callable[[], object] | None = None
    ) -> Generator[Done[R], None, None]:
        """Each item's task, in their order; see :class:`segdiff.core.crew.told.Crew`."""
        try:
            for number, item in enumerate(items):
                yield attempt(task, number, item)
        finally:
            if leave is not None:
                leave()
