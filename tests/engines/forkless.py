"""onnxruntime where the system has room for two processes more: one that is tried, and one engine."""

from __future__ import annotations

import errno
import os

from segdiff.engines.onnxruntime import OnnxRuntime as OnnxRuntime

fork, left = os.fork, [None, None]


def scarce() -> int:
    """Fork, as often as there is room."""
    if not left:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    left.pop()
    return fork()


os.fork = scarce
