"""How does an engine's process start? It is taken from what was begun early, forked, or started now.

Whoever starts it early does so before segdiff itself is imported, which takes as long as a framework does
(:mod:`segdiff.engines.early`): so this module imports hardly anything.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from threading import current_thread, main_thread

from segdiff.core.process import Child, environment, run_module, start

WORKER = "segdiff.engines.worker"
TEMPLATE = "segdiff.engines.template"

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
    "MALLOC_ARENA_MAX": "1",
}
"""Large tensors lie in mappings of their own, which go back to the system at once; a heap would keep several
times as much as is alive."""

QUIET = {"ORT_DISABLE_TELEMETRY": "1"}
"""Since 1.32 onnxruntime reports every session to its makers, and leaves a file among the temporary ones."""

HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""In pages of 4 KiB their page faults were a third of onnxruntime's time (a tunable of glibc 2.35, older ones
ignore it). Paddle frees its tensors as it goes: clearing huge pages again and again costs it 0.5 s of 7."""


@dataclass(frozen=True)
class Home:
    """Where a framework lives, and whose it is.

    ``framework`` is ``module:class``, imported in the worker alone; ``cutting`` the module that it needs to
    run parts of a model; ``environment``: variables that it reads, where the user has not set them;
    ``forks``: the distribution whose framework may be forked once it is imported, and how the names of others
    begin that forbid it; None where it never may.
    """

    engine: str
    framework: str
    cutting: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    forks: tuple[str, ...] | None = None

    @property
    def module(self) -> str:
        """The module of the framework's class."""
        return self.framework.partition(":")[0]


_ORT = {**QUIET, **HUGE_PAGES}
_ORT_FORKS = "onnxruntime", "onnxruntime-"
_PADDLE_FORKS = "paddlepaddle", "paddlepaddle-", "paddle-custom-"
ONNXRUNTIME = Home(
    "onnxruntime", "segdiff.engines.onnxruntime:OnnxRuntime", "segdiff.engines.parts", _ORT, _ORT_FORKS
)
WHOLE_ONNXRUNTIME = Home(
    "onnxruntime", "segdiff.engines.whole:WholeOnnxRuntime", environment=_ORT, forks=_ORT_FORKS
)
PADDLE = Home("paddle", "segdiff.engines.paddle:Paddle", forks=_PADDLE_FORKS)
HOMES = (ONNXRUNTIME, WHOLE_ONNXRUNTIME, PADDLE)


@dataclass(eq=False)
class Worker:
    """A process that was started, this end of its socket, and the name of what it owns."""

    owner: str
    child: Child
    end: socket.socket

    def close(self) -> None:
        """End it."""
        self.end.close()
        self.child.close()


_serial = count()
spares: list[tuple[Home, Worker]] = []
"""Workers that were begun early, for whoever needs one."""
forks: Callable[[Home], Worker | None] | None = None
"""Gives a worker that is a fork, where frameworks are kept warm (:mod:`segdiff.engines.warm`)."""


def worker_of(home: Home, python: str | None = None) -> Worker:
    """A worker for this framework: a spare, a fork of what is kept warm, or one that is started now, with
    another Python where one is named. Raises OSError where it cannot be started."""
    if python is None:
        for spare in spares:
            if spare[0] == home:
                spares.remove(spare)
                return spare[1]
        fork = forks  # another thread may let go of it meanwhile
        if fork is not None and (forked := fork(home)) is not None:
            return forked
    return started(home, python)


def started(home: Home, python: str | None = None, *imported: str) -> Worker:
    """A worker that is started now, and imports these modules first. Raises OSError where it cannot be."""
    owner = owner_of(home)
    return Worker(owner, *process_of(home, WORKER, python, *imported, owner))


def owner_of(home: Home) -> str:
    """A name for the blocks of a new worker."""
    return f"{home.engine}-{next(_serial)}"


def process_of(home: Home, module: str, python: str | None, *words: str) -> tuple[Child, socket.socket]:
    """A process that runs a module of segdiff in this framework's environment, and this end of its socket.
    Raises OSError where it cannot be started."""
    ours, theirs = socket.socketpair()
    more = {**ALLOCATOR, "OMP_WAIT_POLICY": "PASSIVE"}  # two engines share the cores: none may spin idly
    variables = {**os.environ, **more} if python else environment(**more)
    variables.update({name: value for name, value in home.environment.items() if name not in os.environ})
    command = [*run_module(module, python), str(os.getpid()), str(theirs.fileno()), *words]
    with theirs:
        try:
            return start(command, environment=variables, descriptors=[theirs.fileno()]), ours
        except OSError:
            ours.close()
            raise


def template_process(home: Home, *modules: str) -> tuple[Child, socket.socket]:
    """A process that imports these modules, to be forked (:mod:`segdiff.engines.template`), and this end of
    its socket. Raises OSError where it cannot be started."""
    bound = current_thread() is main_thread()
    return process_of(home, TEMPLATE, None, str(int(bound)), *dict.fromkeys(modules))
