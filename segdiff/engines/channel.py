"""How do processes talk? Pickled messages over a Unix socket pair, file descriptors riding along.

Both ends are segdiff's own processes; nothing a user supplies is unpickled.
"""

from __future__ import annotations

import pickle
import select
import socket
import struct
from collections.abc import Sequence
from typing import Any

_HEADER = struct.Struct("<Q")
_MOST_DESCRIPTORS = 64


class ChannelClosedError(Exception):
    """The other process is gone."""


class Channel:
    """One end of the conversation. Not thread-safe."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    def send(self, message: Any, descriptors: Sequence[int] = ()) -> None:
        """Send one message; the descriptors stay open here."""
        body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        try:
            socket.send_fds(self.socket, [_HEADER.pack(len(body))], list(descriptors))
            self.socket.sendall(body)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ChannelClosedError from error

    def receive(self, timeout: float | None = None) -> tuple[Any, list[int]]:
        """Wait for one message. Raises TimeoutError when nothing comes for ``timeout`` seconds."""
        if not self.ready(timeout):
            raise TimeoutError
        try:
            header, descriptors, _, _ = socket.recv_fds(self.socket, _HEADER.size, _MOST_DESCRIPTORS)
            header += self._exactly(_HEADER.size - len(header)) if header else b""
        except ConnectionResetError as error:
            raise ChannelClosedError from error
        if not header:
            raise ChannelClosedError
        return pickle.loads(self._exactly(_HEADER.unpack(header)[0])), list(descriptors)

    def ready(self, timeout: float | None = 0.0) -> bool:
        """Whether a message (or the end of the conversation) waits."""
        poll = select.poll()  # not select(): that one fails on descriptors above 1023
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                piece = self.socket.recv(min(count - len(data), 1 << 20))
            except ConnectionResetError as error:
                raise ChannelClosedError from error
            if not piece:
                raise ChannelClosedError
            data += piece
        return bytes(data)
