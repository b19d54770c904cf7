"""What is kept for the next pair? A process of each framework that has imported it, to fork engines from."""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from threading import Lock

from segdiff.core.process import Child
from segdiff.engines import workers
from segdiff.engines.channel import ChannelClosedError
from segdiff.engines.forked import Template
from segdiff.engines.workers import HOMES, TEMPLATE, Home, Worker, owner_of, process_of

TRIES = 3
"""How often a framework's template may end before its engines are started one by one again."""


class Warm:
    """A template of each framework that was asked for. Any thread may ask."""

    def __init__(self) -> None:
        self.templates: dict[str, Template] = {}
        self.ended: Counter[str] = Counter()
        self.lock = Lock()
        self.tasks = 0

    def worker(self, home: Home) -> Worker | None:
        """A fork of a framework's template; None where it may not be forked, or its template has ended.

        Raises OSError where none can be started.
        """
        with self.lock:
            if not may_be_forked(home) or self.ended[home.engine] >= TRIES:
                return None
            if home.engine not in self.templates:
                self.templates[home.engine] = template_of(home)
            owner = owner_of(home)
            try:
                return Worker(owner, *self.templates[home.engine].fork(owner))
            except (ChannelClosedError, TimeoutError):
                self.templates.pop(home.engine).close()
                self.ended[home.engine] += 1
                return None

    def close(self) -> None:
        """End them, and what was forked from them."""
        with self.lock:
            while self.templates:
                self.templates.popitem()[1].close()


def template_of(home: Home) -> Template:
    """A process that imports what the engines of a framework need. Raises OSError."""
    homes = [each for each in HOMES if each.engine == home.engine]
    modules = [name for each in homes for name in (each.module, each.cutting) if name]
    return Template(*process_of(home, TEMPLATE, None, *dict.fromkeys(modules)))


def may_be_forked(home: Home) -> bool:
    """Whether the system can, and the framework may be. (Set up otherwise than by its home, onnxruntime has a
    thread of its own as soon as it is imported, which a fork would lack.)"""
    as_set_up = all(os.environ.get(name, value) == value for name, value in home.environment.items())
    return sys.platform == "linux" and as_set_up and home.forks is not None and is_the_one(home.forks)


@cache
def is_the_one(distribution: str) -> bool:
    """Whether a distribution is installed, and its twin for GPUs is not."""
    names = distribution, f"{distribution}-gpu"
    return [any(metadata.distributions(name=name)) for name in names] == [True, False]


_kept: Warm | None = None
_lock = Lock()


@contextmanager
def kept_warm() -> Iterator[None]:
    """Around one task of many: a framework is imported once, for this one and for those that follow it, until
    :func:`let_go` or the end of this process."""
    global _kept
    with _lock:
        kept = _kept = _kept or Warm()
        workers.forks = kept.worker
        kept.tasks += 1
    try:
        yield
    finally:
        with _lock:
            kept.tasks -= 1
            over = kept is not _kept and not kept.tasks
        if over:
            kept.close()


def let_go() -> None:
    """End what :func:`kept_warm` keeps: now, or with the last task that is still in it."""
    global _kept
    with _lock:
        kept, _kept, workers.forks = _kept, None, None
        idle = kept is not None and not kept.tasks
    if kept is not None and idle:
        kept.close()


@contextmanager
def adopted(home: Home, child: Child, end: socket.socket) -> Iterator[bool]:
    """Let the engines of a framework be forked, until the block ends, from a process that was started for it;
    gives whether they may be: where not, it is ended at once."""
    template = Template(child, end)
    if workers.forks is not None or not may_be_forked(home):
        template.close()
        yield False
        return
    one = Warm()
    one.templates[home.engine] = template
    workers.forks = one.worker
    try:
        yield True
    finally:
        workers.forks = None
        one.close()
