"""How do a hundred engines start, one after the other? As forks of what has imported all that they need.

Importing Paddle takes longer than a small network takes to be compared. Where many pairs follow each other
(:func:`segdiff.engines.warm.kept_warm`) a *template* of each framework is kept, and an engine's process is a
fork of it. The fork server of ``multiprocessing`` is one for all of a process, while each framework here has
an environment of its own, and each engine its log, its process group and its socket.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from threading import Lock

from segdiff.core.process import Child
from segdiff.engines.channel import Channel, ChannelClosedError

PATIENCE = 120.0
"""Seconds that a template may take to answer: it may be importing a framework from a slow disk."""


@dataclass(frozen=True)
class Fork:
    """Fork an engine's process for this owner of blocks; its end of the socket and its log ride along. The
    answer is its number."""

    serial: int
    owner: str


@dataclass(frozen=True)
class Peek:
    """Whether a fork has ended."""

    serial: int
    pid: int


@dataclass(frozen=True)
class End:
    """End a fork and all that it has started. The answer is its exit code, as ``subprocess`` gives it."""

    serial: int
    pid: int


@dataclass(frozen=True)
class Told:
    """The answer to a message."""

    serial: int
    value: int


class Template:
    """A process that has imported a framework, and is forked. Any thread may ask."""

    def __init__(self, child: Child, end: socket.socket) -> None:
        self.child, self.channel = child, Channel(end)
        self.lock, self.serial = Lock(), 0
        self.told: dict[int, int] = {}

    def fork(self, owner: str) -> tuple[Forked, socket.socket]:
        """An engine's process, and this end of its socket. It does not wait for the fork, which comes once
        the template has imported what it needs. Raises OSError or ChannelClosedError where it is gone."""
        ours, theirs = socket.socketpair()
        log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            with theirs, self.lock:
                self.serial += 1
                self.channel.send(Fork(self.serial, owner), [theirs.fileno(), log.fileno()], PATIENCE)
                return Forked(ForkedProcess(self, self.serial), log), ours
        except BaseException:
            ours.close()
            log.close()
            raise

    def ask(self, message: type[Peek | End], pid: int) -> int:
        """Its answer. Raises ChannelClosedError where it is gone, or does not answer and is stopped."""
        with self.lock:
            self.serial += 1
            self._sent(message(self.serial, pid))
            return self._answer(self.serial)

    def pid_of(self, serial: int) -> int:
        """The number of the process that a fork has given. Raises ChannelClosedError where there is none."""
        with self.lock:
            return self._answer(serial)

    def close(self) -> None:
        """End it; what it has forked ends with it."""
        with self.lock:
            self.channel.close()
            self.child.close()

    def _sent(self, message: Peek | End) -> None:
        try:
            self.channel.send(message, timeout=PATIENCE)
        except (TimeoutError, OSError) as error:
            self.child.stop()
            raise ChannelClosedError from error

    def _answer(self, serial: int) -> int:
        while serial not in self.told:
            try:
                found, _ = self.channel.receive(PATIENCE)
            except (TimeoutError, OSError) as error:
                self.child.stop()
                raise ChannelClosedError from error
            self.told[found.serial] = found.value
        return self.told.pop(serial)


class ForkedProcess:
    """A fork of a template, asked as a process of one's own is."""

    def __init__(self, template: Template, serial: int) -> None:
        self.template, self.serial = template, serial
        self.returncode: int | None = None
        self.number: int | None = None

    @property
    def pid(self) -> int:
        """Its number. Raises ChannelClosedError where the template ended before it came to fork."""
        if self.number is None:
            self.number = self.template.pid_of(self.serial)
        return self.number

    @property
    def unborn(self) -> bool:
        """Whether the template ended before it came to fork."""
        return self.number is None and self.returncode is not None

    def has_ended(self) -> bool:
        """Whether it is over; the template does not reap it yet."""
        try:
            return self.returncode is not None or bool(self.template.ask(Peek, self.pid))
        except ChannelClosedError:
            return True

    def end(self) -> int:
        """End it and all that it has started; its exit code."""
        if self.returncode is None:
            try:
                self.returncode = self.template.ask(End, self.pid)
            except ChannelClosedError:  # what it had forked was killed with it
                lost = self.template.child.stop()
                self.returncode = -signal.SIGKILL if self.number is not None else lost
        return self.returncode

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
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)


@dataclass(eq=False)
class Forked(Child):
    """A fork of a template, and its log."""

    process: ForkedProcess

    def stop(self) -> int:
        """End it and all that it has started, at once; its exit code, negative where a signal ended it."""
        return self.process.end()

    def last_words(self) -> str:
        """The last line in which it, or a template that came to no fork, speaks of an error."""
        return self.process.template.child.last_words() if self.process.unborn else super().last_words()

    def _has_ended(self) -> bool:
        return self.process.has_ended()
