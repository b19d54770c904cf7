"""Workers that are killed, stopped or starved of memory in a phase of a run that the test chooses."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

ONE_IMAGE, SIDE_BY_SIDE = "segdiff.finding.one_image", "segdiff.finding.side_by_side"

PHASES: dict[str, tuple[str, str]] = {
    "start": (SIDE_BY_SIDE, "read"),
    "align": (SIDE_BY_SIDE, "align"),
    "settle": (SIDE_BY_SIDE, "verify"),
    "explain": (ONE_IMAGE, "explain"),
    "weigh": (ONE_IMAGE, "weigh"),
    "keep": (ONE_IMAGE, "keep"),
    "deployed": (ONE_IMAGE, "as_deployed"),
}
"""The function that is called as a phase begins; the walk is told by its progress."""

PATIENCE = 20.0
"""Seconds until a worker that was started must be there."""

MARGIN = 4 << 20
"""Bytes that a starved worker may still take."""


def workers() -> list[psutil.Process]:
    """The workers of this process, oldest first, also those that were forked from a template."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            words, forked = child.cmdline(), child.ppid() != os.getpid()
            if "segdiff.engines.worker" in words or ("segdiff.engines.template" in words and forked):
                found.append(child)
        except psutil.Error:
            continue
    return sorted(found, key=lambda child: child.pid)


def kill(worker: psutil.Process) -> None:
    """As the system does when memory is short."""
    worker.send_signal(signal.SIGKILL)


def stop(worker: psutil.Process) -> None:
    """It hangs from here on."""
    worker.send_signal(signal.SIGSTOP)


def starve(worker: psutil.Process) -> None:
    """It gets no memory any more."""
    limit = worker.memory_info().vms + MARGIN
    worker.rlimit(resource.RLIMIT_AS, (limit, limit))


Strike = Callable[[psutil.Process], None]
STRIKES: dict[str, Strike] = {"kill": kill, "stop": stop, "starve": starve}
SIDES = {"reference": 0, "candidate": 1}


@contextmanager
def struck(phase: str, side: str, how: str) -> Iterator[Callable[[str, int, int], None]]:
    """Strike the worker of one side as a phase begins; the progress to give to the run."""
    before = {worker.pid for worker in workers()}
    done: list[str] = []

    def strike() -> None:
        if not done:
            done.append(phase)
            end = time.monotonic() + PATIENCE
            while len(ours := [worker for worker in workers() if worker.pid not in before]) <= SIDES[side]:
                assert time.monotonic() < end, "its worker never came"
                time.sleep(0.002)  # the system names a process a moment after its start
            STRIKES[how](ours[SIDES[side]])

    def progress(told: str, count: int, total: int) -> None:
        if told == phase and total and 2 * count >= total:
            strike()

    if phase not in PHASES:
        yield progress
        assert done, f"{phase} was never reached"
        return
    module, name = PHASES[phase]
    home: Any = import_module(module)
    real = getattr(home, name)

    def first(*arguments: Any, **more: Any) -> Any:
        strike()
        return real(*arguments, **more)

    setattr(home, name, first)
    try:
        yield lambda told, count, total: None
    finally:
        setattr(home, name, real)
    assert done, f"{phase} was never reached"


@contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Nothing runs, and nothing lies in the folder for temporary files or in shared memory, afterwards."""
    old, environment = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    shared = set(Path("/dev/shm").iterdir())
    running = {worker.pid for worker in workers()}
    try:
        yield
    finally:
        tempfile.tempdir = old
        os.environ.pop("TMPDIR")
        if environment is not None:
            os.environ["TMPDIR"] = environment
    left = [worker for worker in workers() if worker.pid not in running]
    assert not left, "a worker still runs"
    files = [str(file) for file in folder.rglob("*")]
    assert not files, f"files are left: {files}"
    assert not [each for each in set(Path("/dev/shm").iterdir()) - shared if "segdiff" in each.name]


@contextmanager
def struck_as_it_starts(how: str) -> Iterator[None]:
    """Strike every worker that this process starts from now on."""
    known = {worker.pid for worker in workers()}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.002):
            for worker in workers():
                if worker.pid not in known:
                    known.add(worker.pid)
                    STRIKES[how](worker)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
