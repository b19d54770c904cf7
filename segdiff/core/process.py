"""How does a child of segdiff's run, and how did it end? An engine, the user's script, the converter.

It stands in ``core`` because ``inputs``, which starts the user's script, may not know ``engines``. A child
leads a group of its own, so that Ctrl-C is the parent's alone and whatever the child has started ends with
it; what it prints goes to an unnamed file, of which nothing is left behind.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

ROOT = Path(__file__).resolve().parents[2]
"""Where ``segdiff`` is imported from."""

TAIL = 1 << 14
"""Bytes of a log that are looked at for its last words."""

LONGEST = 300
"""Letters of a log line that go into a message."""

AN_ERROR = re.compile("[Ee]rror")

PR_SET_PDEATHSIG = 1

MORTAL = (
    "import ctypes, os, sys; "
    f"ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {int(signal.SIGKILL)}); "
    "os.getppid() == int(sys.argv[1]) or os._exit(1); "
    "os.execvp(sys.argv[2], sys.argv[2:])"
)
"""Becomes another program that ends with the thread that has started it."""


ELSEWHERE = (
    "import importlib, importlib.util, sys; sys.path.pop(0); "
    f"spec = importlib.util.spec_from_file_location('segdiff', {str(ROOT / 'segdiff' / '__init__.py')!r}); "
    "package = sys.modules['segdiff'] = importlib.util.module_from_spec(spec); "
    "spec.loader.exec_module(package); importlib.import_module(sys.argv.pop(1)).main()"
)
"""Runs a module of this segdiff in a Python that has none, or another one."""


class Process(Protocol):
    """What is asked of a process, as ``subprocess.Popen`` has it."""

    returncode: int | None

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises TimeoutExpired."""

    def kill(self) -> None:
        """Kill it alone, and not what it has started."""


@dataclass(eq=False)
class Child:
    """A process and its ``log``: what it and its own children print."""

    process: Process
    log: IO[bytes] = field(repr=False)

    @property
    def is_alive(self) -> bool:
        """Whether it runs (or is stopped); it is not reaped by asking."""
        return self.wait(0) is None

    def wait(self, seconds: float) -> int | None:
        """Its exit code, its whole group ended with it; None where it still runs after so many seconds."""
        end, pause = time.monotonic() + seconds, 0.001
        while self.process.returncode is None and not self._has_ended():
            left = end - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(pause, left))
            pause = min(2 * pause, 0.05)
        return self.stop()

    def stop(self) -> int:
        """End it and all that it has started, at once; its exit code, negative where a signal ended it."""
        if self.process.returncode is None:  # not reaped yet: the number of the group is still its own
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def _has_ended(self) -> bool:
        """Whether it is over; it stays a zombie, so that its number is not given to another process."""
        try:
            how = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.process.pid, how) is not None
        except ChildProcessError:  # somebody else has reaped it
            return True

    def close(self) -> None:
        """Stop it and let its log go."""
        self.stop()
        self.log.close()

    def printed(self) -> str:
        """All that it has printed."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def last_words(self) -> str:
        """The last line in which it speaks of an error, to go behind a message; else nothing."""
        self.log.seek(max(0, self.log.seek(0, os.SEEK_END) - TAIL))
        lines = self.log.read().decode(errors="replace").splitlines()
        telling = [" ".join(line.split()) for line in lines if AN_ERROR.search(line)]
        return f": {telling[-1].rstrip('.')[:LONGEST]}" if telling else ""


def start(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    descriptors: Iterable[int] = (),
) -> Child:
    """Start a command, with no input; ``descriptors`` are open in it, too. Raises OSError where it cannot."""
    log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
    try:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            pass_fds=tuple(descriptors),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    except BaseException:
        log.close()
        raise
    return Child(process, log)


def run_module(module: str, python: str | None = None) -> list[str]:
    """The command that runs a module of this segdiff, with this Python or with another one.

    The other one has its own packages: of this one's it sees segdiff alone. Neither looks for modules in the
    current folder first, which may hold a file called numpy.py (this Python only from 3.11 on).
    """
    if python is None:
        return [sys.executable, *(["-P"] if sys.version_info >= (3, 11) else []), "-m", module]
    return [python, "-c", ELSEWHERE, module]


def mortal(command: Sequence[str]) -> list[str]:
    """The same command, which ends with the thread that starts it, however that ends."""
    return [sys.executable, "-I", "-S", "-c", MORTAL, str(os.getpid()), *command]


def end_with(parent: int) -> None:
    """Let the kernel end this process with the thread that has started it, also while it is stopped.

    ``parent`` is that thread's process; it may be gone before this is called.
    """
    with suppress(OSError, AttributeError):  # another C library: then the end of the conversation tells
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(0)


def environment(**more: str) -> dict[str, str]:
    """This process's environment, in which another Python finds this segdiff, with some variables more."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **more}


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = f"signal {-code}"
    return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
