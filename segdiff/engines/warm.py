"""What is kept for the next pair? A process of each framework that has imported it, to fork engines from."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import RLock

from segdiff.core.process import Child
from segdiff.engines import workers
from segdiff.engines.channel import ChannelClosedError
from segdiff.engines.forked import Template
from segdiff.engines.workers import HOMES, Home, Worker, owner_of, template_process

TRIES = 3
"""How many templates of a framework may end before they have forked anything. From then on its engines are
started one by one."""

IDLE = 300.0
"""Seconds in which no fork was asked for or closed, after which another template is
started: this one may be about to end."""


class Warm:
    """A template of each framework that was asked for. Any thread may ask.

    It is there for every engine of this process, also for those of others than asked for it; so it ends when
    it is let go of *and* the last fork is closed.
    """

    def __init__(self) -> None:
        self.templates: dict[str, Template] = {}
        self.failed: Counter[str] = Counter()
        self.lock = RLock()
        self.retired = False

    def worker(self, home: Home) -> Worker | None:
        """A fork of a framework's template; None where it may not be forked, or no template lives.

        Raises OSError where none can be started.
        """
        while (template := self._template(home)) is not None:
            owner = owner_of(home)
            try:
                return Worker(owner, *template.fork(owner, self._closed))
            except ChannelClosedError:
                self._drop(home, template)
        return None

    def retire(self) -> None:
        """Fork no more, and end with the last fork."""
        with self.lock:
            self.retired = True
        self._closed()

    def _template(self, home: Home) -> Template | None:
        stale = None
        with self.lock:
            if self.retired or not may_be_forked(home) or self.failed[home.engine] >= TRIES:
                return None
            known = self.templates.get(home.engine)
            if known is not None and not known.living and time.monotonic() - known.used > IDLE:
                stale = self.templates.pop(home.engine)
            if home.engine not in self.templates:
                self.templates[home.engine] = template_of(home)
            found = self.templates[home.engine]
        if stale is not None:
            stale.close()  # without the lock: a template's own is taken first elsewhere
        return found

    def _drop(self, home: Home, template: Template) -> None:
        template.close()
        with self.lock:
            if self.templates.get(home.engine) is template:  # else another thread has dropped it
                del self.templates[home.engine]
                self.failed[home.engine] += not template.has_forked

    def _closed(self) -> None:
        over: list[Template] = []
        with self.lock:
            if self.retired and not any(template.living for template in self.templates.values()):
                over += self.templates.values()
                self.templates = {}
        for template in over:
            template.close()


def template_of(home: Home) -> Template:
    """A process that imports what the engines of a framework need. Raises OSError."""
    homes = [each for each in HOMES if each.engine == home.engine]
    modules = [name for each in homes for name in (each.module, each.cutting) if name]
    return Template(*template_process(home, *modules))


def may_be_forked(home: Home) -> bool:
    """Whether the system can, and the framework may be. (Set up otherwise than by its home, onnxruntime has a
    thread of its own as soon as it is imported, which a fork would lack.)"""
    as_set_up = all(os.environ.get(name, value) == value for name, value in home.environment.items())
    return sys.platform == "linux" and as_set_up and home.forks is not None and is_for_cpus(*home.forks)


@cache
def is_for_cpus(distribution: str, *others: str) -> bool:
    """Whether a distribution is installed, and none whose name begins with one of ``others``: builds for GPUs
    and plugins for other devices, which may have spoken to a device by the time they are forked."""
    names: set[str] = set()
    for folder in sys.path:
        with suppress(OSError, ValueError, TypeError):  # as an import does, it skips what is no folder
            entries = (path.name for path in Path(folder or ".").glob("*-info"))
            names.update(entry.partition("-")[0].replace("_", "-").lower() for entry in entries)
    return distribution in names and not any(name.startswith(others) for name in names)


_kept: Warm | None = None
_lock = RLock()


def keep_warm() -> None:
    """From now on a framework is imported once, for one pair after the other, until :func:`let_go` or the end
    of this process."""
    global _kept
    with _lock:
        _kept = _kept or Warm()
        workers.forks = _kept.worker


def let_go() -> None:
    """End what :func:`keep_warm` keeps, as soon as nothing lives that was forked from it."""
    global _kept
    with _lock:
        kept, _kept, workers.forks = _kept, None, None
    if kept is not None:
        kept.retire()


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
        one.retire()
