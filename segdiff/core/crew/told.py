"""What does a worker tell of a task? What came of it, or why nothing did, and how long it took."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from segdiff.core.errors import SegdiffError
from segdiff.core.printable import clean

T = TypeVar("T")
R = TypeVar("R")

LONGEST = 2000
"""Characters of a message."""


@dataclass(frozen=True)
class Failure:
    """Why nothing came of a task: ``refused`` by an error of segdiff's, ``failed`` by another one, ``lost``
    with its worker each time that it was tried. ``type`` is the name of the error's class."""

    kind: Literal["refused", "failed", "lost"]
    type: str
    message: str


@dataclass(frozen=True)
class Done(Generic[R]):
    """A task that has ended: the place of its item, what came of it or why nothing did, its seconds."""

    number: int
    value: R | None
    failure: Failure | None = None
    seconds: float = 0.0


class Crew(Protocol):
    """Those who work. ``workers`` is how many tasks are done at a time, ``beside`` how many of them on one
    machine, and ``threads`` how many cores each of these has to itself."""

    @property
    def where(self) -> Literal["here", "local", "cluster"]:
        """In this process, in others of this machine, or on others."""

    @property
    def workers(self) -> int:
        """Tasks at a time."""

    @property
    def beside(self) -> int:
        """Tasks at a time on one machine."""

    @property
    def threads(self) -> int:
        """Cores for each task."""

    def run(
        self, task: Callable[[T], R], items: Iterable[T], leave: Callable[[], object] | None = None
    ) -> Generator[Done[R], None, None]:
        """Each item's task, in the order in which they end; closing the iterator stops all of them.

        ``leave`` is called at the end wherever a worker lives on: to let go of what it has held for the next
        task.
        """


def attempt(task: Callable[[T], R], number: int, item: T) -> Done[R]:
    """Do a task. No error of it passes; only an interruption does."""
    begin = time.monotonic()
    try:
        value, failure = task(item), None
    except Exception as error:
        value, failure = None, failure_of(error)
    return Done(number, value, failure, round(time.monotonic() - begin, 3))


def failure_of(error: BaseException) -> Failure:
    """An error as plain text, which any process can read."""
    kind: Literal["refused", "failed"] = "refused" if isinstance(error, SegdiffError) else "failed"
    return Failure(kind, type(error).__name__, clean(error, LONGEST) or type(error).__name__)


def lost(number: int, tries: int) -> Done[Any]:
    """A task whose worker ended each time."""
    message = f"its worker was killed each of the {tries} times that it was tried (out of memory?)"
    return Done(number, None, Failure("lost", "WorkerLost", message))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
