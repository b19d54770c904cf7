"""What engines are forked from: ``python -m segdiff.engines.template PARENT DESCRIPTOR MODULE ...``.

It imports what they need, once; nothing is ever computed in it.

What it is told is in :mod:`segdiff.engines.forked`. It ends with whoever started it, and those it has forked
end with it.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import warnings
from contextlib import suppress
from importlib import import_module

from segdiff.core.process import end_with
from segdiff.engines.channel import Channel, ChannelClosedError
from segdiff.engines.forked import End, Fork, Peek, Told
from segdiff.engines.worker import serve

PAUSE = 2.0
"""Seconds after which it looks whether its parent is still there: that one's end of the socket may be open in
another process, too."""


def main() -> None:
    """Import the modules, then fork whenever asked. One that cannot be imported is told of by the fork that
    needs it."""
    parent, descriptor, *modules = sys.argv[1:]
    gc.disable()
    for module in modules:
        with suppress(Exception):
            import_module(module)
    gc.freeze()  # a look for garbage would write to pages that all forks share
    warnings.simplefilter("ignore", DeprecationWarning)  # of BLAS's threads: it ends them first
    channel = Channel(socket.socket(fileno=int(descriptor)))
    with suppress(ChannelClosedError, KeyboardInterrupt):
        while os.getppid() == int(parent):
            with suppress(TimeoutError):
                answer(channel, *channel.receive(PAUSE))
    os._exit(0)


def answer(channel: Channel, message: object, descriptors: list[int]) -> None:
    """Do what a message asks for. In a process that is forked here it does not return."""
    if isinstance(message, Fork):
        template, pid = os.getpid(), os.fork()
        if pid == 0:
            become(channel, template, message.owner, descriptors)
        for each in descriptors:
            os.close(each)
        channel.send(Told(message.serial, pid))
    elif isinstance(message, Peek):
        ended = os.waitid(os.P_PID, message.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        channel.send(Told(message.serial, int(ended is not None)))
    elif isinstance(message, End):
        for kill in (os.killpg, os.kill):  # it may not lead a group yet
            with suppress(ProcessLookupError, PermissionError):
                kill(message.pid, signal.SIGKILL)
        status = os.waitpid(message.pid, 0)[1]
        channel.send(Told(message.serial, os.waitstatus_to_exitcode(status)))


def become(channel: Channel, template: int, owner: str, descriptors: list[int]) -> None:
    """Serve an engine in a process that was just forked; never returns."""
    try:
        end, log = descriptors
        end_with(template)
        channel.close()
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        serve(socket.socket(fileno=end), owner)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
