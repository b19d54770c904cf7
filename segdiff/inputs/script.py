"""Who asks the user's own function, image after image? One process, which may crash or hang.

It is started for the first image and again after a crash; a function that takes too long is stopped. Its
other end is :mod:`segdiff.inputs.call`. Questions and answers are packets of a socket, tensors lie in a file
without a name.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from segdiff.core.errors import InputError
from segdiff.core.graph import Array
from segdiff.core.process import Child, environment, how_it_ended, start
from segdiff.inputs.call import LARGEST_PACKET, OK
from segdiff.inputs.tensors import read_npy

# The current folder comes in front of the module path only after segdiff is imported: it may hold a cv2.py.
CODE = "import sys; sys.path.pop(0); from segdiff.inputs.call import main; main()"

LOOK = 0.1
"""Seconds between looks at whether the process lives; an answer, or its end, is seen at once."""

FAREWELL = 1.0
"""Seconds that the script has to end by itself, once nothing more is asked of it."""


class Script:
    """The function ``name`` (``module:function`` or ``script.py:function``) in a process of its own.

    Use as a context manager; one may be closed from another thread than the one that waits for an answer.
    """

    def __init__(self, name: str, timeout: float) -> None:
        self.name, self.timeout = name, timeout
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._closed = False

    def tensor(self, image: str) -> Array:
        """What the function makes of an image.

        Raises InputError where it raises, exits, crashes or takes longer than ``timeout`` seconds, and where
        it returns anything but one tensor of real numbers.
        """
        running = self._ready()
        answer = running.ask(image, self.timeout)
        if answer is not None and answer != OK:
            raise InputError(answer.decode(errors="replace"))
        if answer == OK:
            return running.read()
        code = running.child.wait(0)
        words = running.child.last_words()
        running.close()
        if self._closed:
            raise InputError(f"The candidate input '{self.name}' was interrupted at {image}.")
        if code is None:
            raise InputError(too_long(self.name, image, self.timeout))
        nothing = " and no tensor" if code >= 0 else ""
        raise InputError(f"The candidate input '{self.name}' {how_it_ended(code)}{nothing}{words}.")

    def close(self) -> None:
        """End the process and what it has started; who waits for an answer gets an error."""
        with self._lock:
            self._closed, running = True, self._running
        if running is not None:
            running.leave()

    def __enter__(self) -> Script:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ready(self) -> _Running:
        with self._lock:
            if self._closed:
                raise InputError(f"The candidate input '{self.name}' is not asked any more.")
            if self._running is None or not self._running.child.is_alive:
                if self._running is not None:
                    self._running.close()
                self._running = _begin(self.name)
            return self._running


class _Running:
    """One life of the process."""

    def __init__(self, child: Child, talk: socket.socket, out: IO[bytes]) -> None:
        self.child, self.talk, self.out = child, talk, out

    def ask(self, image: str, timeout: float) -> bytes | None:
        """The answer for an image; None where there is none in time, or ever."""
        end = time.monotonic() + timeout
        poll = select.poll()
        try:
            poll.register(self.talk, select.POLLIN)
            self.talk.send(os.fsencode(image))
            while (left := end - time.monotonic()) > 0:
                alive = self.child.is_alive  # asked first: what it said last may still have to be read
                if poll.poll(min(left, LOOK) * 1000):
                    if answer := self.talk.recv(LARGEST_PACKET):
                        return answer
                    break
                if not alive:
                    return None
            else:
                return None
        except (OSError, ValueError):  # it is gone, or closed from another thread
            pass
        self.child.wait(FAREWELL)  # it has hung up: let it end, so that its exit code tells how
        return None

    def read(self) -> Array:
        """The tensor that was written last."""
        return read_npy(Path(f"/proc/self/fd/{self.out.fileno()}"))

    def leave(self) -> None:
        """Say that nothing more is asked, wait a moment, and end it."""
        with suppress(OSError):
            self.talk.shutdown(socket.SHUT_WR)
        self.child.wait(FAREWELL)
        self.close()

    def close(self) -> None:
        """End it at once."""
        self.child.close()
        self.talk.close()
        self.out.close()


def _begin(name: str) -> _Running:
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    out = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
    with theirs:
        descriptors = theirs.fileno(), out.fileno()
        words = [sys.executable, "-c", CODE, name, *(str(each) for each in descriptors)]
        return _Running(start(words, environment=environment(), descriptors=descriptors), ours, out)


def too_long(name: str, image: str, timeout: float) -> str:
    """What is said of a function that is still at it."""
    return f"The candidate input '{name}' did not return within {timeout:g} s for {image}."
