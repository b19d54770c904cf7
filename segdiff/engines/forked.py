"""How do a hundred engines start, one after the other? As forks of what has imported all that they need.

Importing Paddle takes longer than a small network takes to be compared. Where many pairs follow each other
(:func:`segdiff.engines.warm.keep_warm`) a *template* of each framework is kept, and an engine's process is a
fork of it. The fork server of ``multiprocessing`` is one for all of a process, while each framework here has
an environment of its own, and each engine its log, its process group and its socket. Forks of one template
share the layout of their memory, which a file that attacks a framework could learn of in one and use in the
next; what it reaches is what it would reach in any engine.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import RLock

from segdiff.core.process import Child
from segdiff.engines.channel import Channel, ChannelClosedError

ANSWER = 10.0
"""Seconds that a template may take to answer, once it has forked."""

SLICE = 0.2
"""Seconds of waiting after which what another call of this thread has read meanwhile is looked at."""


@dataclass(frozen=True)
class Fork:
    """Fork an engine's process for this owner of blocks; its end of the socket and its log ride along. The
    answer is its number, 0 where it could not be forked."""

    serial: int
    owner: str


@dataclass(frozen=True)
class Peek:
    """Whether the process of the fork with that serial has ended: 1 or 0."""

    serial: int
    fork: int


@dataclass(frozen=True)
class End:
    """End a fork and all that it has started. The answer is its exit code, as ``subprocess`` gives it; none
    where the serial is 0."""

    serial: int
    fork: int


@dataclass(frozen=True)
class Told:
    """The answer to a message."""

    serial: int
    value: int


class Template:
    """A process that has imported a framework, and is forked. Any thread may ask.

    ``living`` are the forks that nobody has closed, ``used`` is when one was asked for or closed,
    ``has_forked`` whether it has told of any.
    """

    def __init__(self, child: Child, end: socket.socket) -> None:
        self.child, self.channel = child, Channel(end)
        self.lock, self.serial = RLock(), 0  # a look for garbage may close an engine within a call
        self.told: dict[int, int] = {}
        self.living, self.used, self.has_forked, self.closed = 0, time.monotonic(), False, False

    def fork(self, owner: str, closed: Callable[[], None]) -> tuple[Forked, socket.socket]:
        """An engine's process, and this end of its socket; ``closed`` is called when it is closed. It does
        not wait for the fork, which comes once the template has imported what it needs.

        Raises ChannelClosedError where the template is gone, OSError where there is no room for a log.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            except OSError:
                ours.close()
                raise
            with self.lock:
                self.serial += 1
                try:
                    self._sent(Fork(self.serial, owner), theirs.fileno(), log.fileno())
                except ChannelClosedError:
                    ours.close()
                    log.close()
                    raise
                self.living, self.used = self.living + 1, time.monotonic()
                return Forked(ForkedProcess(self, self.serial), log, closed), ours

    def number_of(self, fork: int) -> int | None:
        """The number of a fork's process; None where it has not come to it yet. Raises ChannelClosedError
        where it never will."""
        with self.lock:
            while fork not in self.told and self.channel.ready():
                self._read(0.0)
            return self.told.pop(fork, None)

    def ask(self, message: type[Peek | End], fork: int) -> int:
        """Its answer. Raises ChannelClosedError where it is gone, or does not answer and is stopped."""
        with self.lock:
            self.serial += 1
            serial, end = self.serial, time.monotonic() + ANSWER
            self._sent(message(serial, fork))
            while serial not in self.told:
                if not self._read(SLICE) and time.monotonic() > end:
                    self.close()
                    raise ChannelClosedError
            return self.told.pop(serial)

    def forget(self, fork: int) -> None:
        """End a fork as soon as it is there."""
        with self.lock:
            self._sent(End(0, fork))

    def close(self) -> None:
        """End it; what it has forked ends with it. What it has said can be read until that is closed, too."""
        self.child.stop()  # before the lock: who waits for an answer has it, and is told now
        with self.lock:
            self.closed = True
            self._let_go()

    def released(self) -> None:
        """A fork was closed."""
        with self.lock:
            self.living, self.used = self.living - 1, time.monotonic()
            self._let_go()

    def _let_go(self) -> None:
        if self.closed and not self.living:
            self.channel.close()
            self.child.log.close()

    def _sent(self, message: Fork | Peek | End, *descriptors: int) -> None:
        try:
            self.channel.send(message, descriptors, ANSWER)
        except (TimeoutError, OSError) as error:
            self.close()
            raise ChannelClosedError from error

    def _read(self, seconds: float) -> bool:
        try:
            found, _ = self.channel.receive(seconds)
        except TimeoutError:
            return False
        except OSError as error:
            raise ChannelClosedError from error
        self.told[found.serial], self.has_forked = found.value, True
        return True


class ForkedProcess:
    """A fork of a template, asked as a process of one's own is. Any thread may ask.

    ``unborn``: the template ended before it came to fork.
    """

    def __init__(self, template: Template, serial: int) -> None:
        self.template, self.serial = template, serial
        self.returncode: int | None = None
        self.number: int | None = None
        self.unborn = False
        self.lock = RLock()

    @property
    def pid(self) -> int:
        """Its number, once it is forked. Raises ChannelClosedError where it never is."""
        while not self._is_born():
            time.sleep(0.002)
        return self.number or 0

    def has_ended(self) -> bool:
        """Whether it is over; the template does not reap it yet."""
        with self.lock:
            try:
                if self.returncode is not None or not self._is_born():
                    return self.returncode is not None
                return self.number == 0 or bool(self.template.ask(Peek, self.serial))
            except ChannelClosedError:
                return True

    def end(self) -> int:
        """End it and all that it has started; its exit code."""
        with self.lock:
            if self.returncode is None:
                try:
                    self.returncode = self._end()
                except ChannelClosedError:
                    self.returncode = self._end_without_template()
            return self.returncode

    def let_go(self) -> None:
        """It is closed, and nobody asks for it again."""
        if self.returncode is None:
            with suppress(ChannelClosedError):
                self.template.forget(self.serial)
        self.template.released()

    def _is_born(self) -> bool:
        with self.lock:
            if self.number is None:
                self.number = self.template.number_of(self.serial)
            return self.number is not None

    def _end(self) -> int:
        if not self._is_born():
            self.template.forget(self.serial)
            return -signal.SIGKILL
        return 1 if self.number == 0 else self.template.ask(End, self.serial)

    def _end_without_template(self) -> int:
        code = self.template.child.stop()
        self.unborn = not self.number
        if self.number:  # it was killed with the template; what it has started was not
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.number, signal.SIGKILL)
        return code if self.unborn else -signal.SIGKILL

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.end() if self.has_ended() else None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self.has_ended():
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("a fork", timeout or 0.0)
            time.sleep(0.01)
        return self.end()

    def kill(self) -> None:
        """Kill it alone, and not what it has started."""
        if (pid := self.pid) != 0:
            with self.lock:
                if not self.has_ended():
                    os.kill(pid, signal.SIGKILL)


@dataclass(eq=False)
class Forked(Child):
    """A fork of a template, and its log."""

    process: ForkedProcess
    closed: Callable[[], None] | None

    def stop(self) -> int:
        """End it and all that it has started, at once; its exit code, negative where a signal ended it."""
        return self.process.end()

    def close(self) -> None:
        """Stop it and let its log go."""
        try:
            super().close()
        finally:  # also where a Ctrl-C comes meanwhile
            with self.process.lock:
                closed, self.closed = self.closed, None
            if closed is not None:
                self.process.let_go()
                closed()

    def last_words(self) -> str:
        """The last line in which it, or a template that came to no fork, speaks of an error."""
        return self.process.template.child.last_words() if self.process.unborn else super().last_words()

    def _has_ended(self) -> bool:
        return self.process.has_ended()
