"""How is a disk read while what came before is being looked at? In a thread, some tensors ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Found = TypeVar("Found")

AHEAD = 64 << 20
"""Bytes that are read and wait, or are being read."""


def read_ahead(sizes: Mapping[str, int], read: Callable[[str], Found]) -> Iterator[tuple[str, Found]]:
    """What ``read`` gives for each name, in the order of ``sizes`` (bytes). Raises what it raises.

    >>> list(read_ahead({"a": 4, "b": 8}, str.upper))
    [('a', 'A'), ('b', 'B')]
    """
    left, waiting = deque(sizes), 0
    coming: deque[tuple[str, Future[Found]]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="segdiff-read")
    try:
        while left or coming:
            while left and (not coming or waiting + sizes[left[0]] <= AHEAD):
                name = left.popleft()
                waiting += sizes[name]
                coming.append((name, pool.submit(read, name)))
            name, future = coming.popleft()
            waiting -= sizes[name]
            found = [future.result()]
            del future
            yield name, found.pop()  # nothing here holds it while it is looked at
    finally:
        pool.shutdown(cancel_futures=True)
