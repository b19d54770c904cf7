"""What does a worker hold from one task to the next? Engines that are dear to start, by the run's name.

Each thread has its own: a cluster's worker may do several tasks at a time, and an engine answers one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

_HELD: dict[tuple[str, int], tuple[ExitStack, Any]] = {}
_LOCK = threading.Lock()


def held(name: str, opened: Callable[[], AbstractContextManager[Any]]) -> Any:
    """What a run holds in this thread; opened where it holds nothing yet. What ``opened`` raises, passes."""
    key = name, threading.get_ident()
    with _LOCK:
        if key in _HELD:
            return _HELD[key][1]
    stack = ExitStack()
    found = stack.enter_context(opened())
    with _LOCK:
        _HELD[key] = stack, found
    return found


def let_go(name: str) -> None:
    """Close all that a run holds in this process."""
    with _LOCK:
        mine = [_HELD.pop(key) for key in list(_HELD) if key[0] == name]
    for stack, _ in mine:
        stack.close()
