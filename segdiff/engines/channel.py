"""How do processes talk? Pickled messages over a Unix socket pair, file descriptors riding along.

Both ends are segdiff's own processes; nothing a user supplies is unpickled. The kernel takes 253 descriptors
at a time and drops without a word what the reader has no room for; so they ride in batches, each on a byte of
the message, and the message says how many there are.
"""

from __future__ import annotations

import errno
import os
import pickle
import select
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any

_HEADER = struct.Struct("<QI")
"""Bytes of the message, and how many descriptors go with it."""

BATCH = 64
"""Descriptors that ride on one byte, and that one read has room for."""

PIECE = 1 << 16
"""Bytes read at once: most messages are far smaller, so that several come together."""


class ChannelClosedError(Exception):
    """The other process is gone."""


class Channel:
    """One end of the conversation. Not thread-safe."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._bytes = bytearray()
        self._descriptors: deque[int] = deque()
        self._inbox: deque[tuple[bytes, list[int]]] = deque()
        self._incoming = select.poll()  # not select(): that one fails on descriptors above 1023
        self._incoming.register(end, select.POLLIN)
        self._both = select.poll()
        self._both.register(end, select.POLLIN | select.POLLOUT)

    def send(self, message: Any, descriptors: Sequence[int] = (), timeout: float | None = None) -> None:
        """Send one message; the descriptors stay open here.

        What the other side says meanwhile is read, so two that talk at once do not wait for each other.
        Raises TimeoutError when it takes nothing for ``timeout`` seconds.
        """
        body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        data = memoryview(_HEADER.pack(len(body), len(descriptors)) + body)
        batches = [descriptors[place : place + BATCH] for place in range(0, len(descriptors), BATCH)]
        for batch in batches[:-1]:
            self._push(data[:1], batch, timeout)
            data = data[1:]
        self._push(data, batches[-1] if batches else (), timeout)

    def receive(self, timeout: float | None = None) -> tuple[Any, list[int]]:
        """Wait for one message. Raises TimeoutError when nothing comes for ``timeout`` seconds."""
        while not self._inbox:
            if self.socket.fileno() < 0:
                raise ChannelClosedError  # hung up here: the number of its descriptor may be another's now
            if not self._incoming.poll(_milliseconds(timeout)):
                raise TimeoutError
            self._read()
        body, descriptors = self._inbox.popleft()
        return pickle.loads(body), descriptors

    def ready(self) -> bool:
        """Whether a message (or the end of the conversation) waits."""
        return bool(self._inbox or self._incoming.poll(0))

    def close(self) -> None:
        """Hang up; descriptors that nobody has taken are closed."""
        self.socket.close()
        for descriptors in (self._descriptors, *(taken for _, taken in self._inbox)):
            for descriptor in descriptors:
                os.close(descriptor)
        self._descriptors.clear()
        self._inbox.clear()

    def _push(self, data: memoryview, descriptors: Sequence[int], timeout: float | None) -> None:
        while data:
            try:
                if descriptors:
                    sent = socket.send_fds(self.socket, [data], list(descriptors), socket.MSG_DONTWAIT)
                    descriptors = ()  # they go with the first byte
                else:
                    sent = self.socket.send(data, socket.MSG_DONTWAIT)
                data = data[sent:]
            except BlockingIOError:
                self._wait_for_room(timeout)
            except (BrokenPipeError, ConnectionResetError) as error:
                raise ChannelClosedError from error

    def _wait_for_room(self, timeout: float | None) -> None:
        found = self._both.poll(_milliseconds(timeout))
        if not found:
            raise TimeoutError
        if not found[0][1] & select.POLLOUT:
            self._read()

    def _read(self) -> None:
        """Take what has come, at least a byte of it."""
        try:
            data, descriptors, flags, _ = socket.recv_fds(self.socket, PIECE, BATCH)
        except ConnectionResetError as error:
            raise ChannelClosedError from error
        self._descriptors += descriptors
        if flags & socket.MSG_CTRUNC:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if not data:
            raise ChannelClosedError
        self._bytes += data
        while len(self._bytes) >= _HEADER.size:
            length, count = _HEADER.unpack_from(self._bytes)
            end = _HEADER.size + length
            if len(self._bytes) < end:
                return
            body = bytes(self._bytes[_HEADER.size : end])
            del self._bytes[:end]
            self._inbox.append((body, [self._descriptors.popleft() for _ in range(count)]))


def _milliseconds(timeout: float | None) -> float | None:
    return None if timeout is None else timeout * 1000
