"""What engines are forked from: ``python -m segdiff.engines.template PARENT DESCRIPTOR BOUND MODULE ...``.

It imports what they need, once; nothing is ever computed in it. It ends with the process that has started it:
at once where the thread that did so lives as long as that (``BOUND`` is 1: the kernel ends a child with the
thread that has started it), else when it next looks.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import socket
import sys
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from segdiff.core.process import end_with, run_module
from segdiff.engines.channel import Channel, ChannelClosedError
from segdiff.engines.forked import End, Fork, Peek, Told
from segdiff.engines.worker import serve
from segdiff.engines.workers import WORKER

PATIENCE = 3600.0
"""Seconds that an import may take where nothing else ends it."""

PAUSE = 2.0
"""Seconds after which it looks whether its parent is still there: that one's end of the socket may be open in
another process, too."""

IDLE = 600.0
"""Seconds without a fork and without a message after which it ends: who was to let it go may be gone."""


def main() -> None:
    """Import the modules, then fork whenever asked. One that cannot be imported is told of by the fork that
    needs it."""
    parent, descriptor, bound, *modules = sys.argv[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # one whose parent ignores it could reap none
    if int(bound):
        end_with(int(parent))
    else:  # an import that hangs would outlive the parent
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
    gc.disable()
    for module in modules:
        with suppress(Exception):
            import_module(module)
    faulthandler.cancel_dump_traceback_later()
    gc.freeze()  # a look for garbage would write to pages that all forks share
    warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: BLAS has threads
    with suppress(ChannelClosedError, KeyboardInterrupt):
        Serving(Channel(socket.socket(fileno=int(descriptor))), is_alone()).until_gone(int(parent))
    os._exit(0)


def is_alone() -> bool:
    """Whether this process has one thread, once BLAS has ended its own, as it does before every fork: another
    one would be missing in the fork, and never let go of what it holds."""
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return len(list(Path("/proc/self/task").iterdir())) == 1


@dataclass
class Serving:
    """The conversation with the parent: the numbers of the living forks by their serial, and the exit codes
    of those that have ended. ``alone``: whether a fork can go on as it is, or starts anew."""

    channel: Channel
    alone: bool
    living: dict[int, int] = field(default_factory=dict)
    codes: dict[int, int] = field(default_factory=dict)

    def until_gone(self, parent: int) -> None:
        """Answer until the parent is gone, or there was nothing to do for long."""
        used = time.monotonic()
        while os.getppid() == parent and (self.living or time.monotonic() - used < IDLE):
            with suppress(TimeoutError):
                message, descriptors = self.channel.receive(PAUSE)
                used, told = time.monotonic(), self._answer(message, descriptors)
                if message.serial:
                    self.channel.send(Told(message.serial, told))

    def _answer(self, message: object, descriptors: list[int]) -> int:
        if isinstance(message, Fork):
            return self._forked(message, descriptors)
        if isinstance(message, Peek):
            return int(message.fork not in self.living or has_ended(self.living[message.fork]))
        assert isinstance(message, End)
        if message.fork in self.living:
            self.codes[message.fork] = ended(self.living.pop(message.fork))
        return self.codes.get(message.fork, 1)

    def _forked(self, message: Fork, descriptors: list[int]) -> int:
        """The number of a new fork; 0 where there can be none, which its log says."""
        template, log = os.getpid(), descriptors[1]
        try:
            pid = os.fork()
        except OSError as error:
            os.write(log, f"OSError: cannot fork: {error.strerror}\n".encode())
            pid = 0
        else:
            if pid == 0:
                become(self.channel, template, self.alone, message.owner, *descriptors)
            self.living[message.serial] = pid
        for each in descriptors:
            os.close(each)
        return pid


def has_ended(pid: int) -> bool:
    """Whether a fork is over; it is not reaped, so that its number stays its own."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def ended(pid: int) -> int:
    """End a fork and all that it has started; its exit code."""
    for kill in (os.killpg, os.kill):  # it may not lead a group yet
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def become(channel: Channel, template: int, alone: bool, owner: str, end: int, log: int) -> None:
    """Serve an engine in a process that was just forked; never returns."""
    code = 1
    try:
        end_with(template)
        channel.close()
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        if not alone:
            os.set_inheritable(end, True)
            words = [*run_module(WORKER), str(template), str(end), owner]
            os.execv(words[0], words)
        serve(socket.socket(fileno=end), owner)
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
