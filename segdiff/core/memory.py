"""How much memory does a run take, over all its processes?

Private and file pages of this process and its children, sampled, plus the shared tensors counted once.
"""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

INTERVAL = 0.2
"""Seconds between samples: a few per second catch any tensor that lives as long as a convolution."""


class PeakMemory:
    """Context manager; ``bytes`` is the peak seen, for this process and all below it."""

    def __init__(self) -> None:
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.bytes = max(self.bytes, resident(os.getpid()))
            self._stop.wait(INTERVAL)


def give_back() -> None:
    """Return what is free on the heap to the system; does nothing where the C library is not glibc.

    Reading and aligning leave some 30 MB in holes, which the walk would carry along to its end.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def resident(root: int) -> int:
    """Bytes resident in a process and its descendants; memory they share as tensors counts once."""
    total, shared = 0, 0
    for pid in family(root):
        fields = status(pid)
        total += fields.get("RssAnon", 0) + fields.get("RssFile", 0)
        shared = max(shared, fields.get("RssShmem", 0))
    return total + shared


def family(root: int) -> list[int]:
    """A process and its descendants."""
    found = [root]
    for pid in found:
        try:
            threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - some times a second, all the run long
        except OSError:
            continue  # it has ended
        for thread in threads:
            with suppress(OSError), Path(f"/proc/{pid}/task/{thread}/children").open() as listing:
                found += [int(child) for child in listing.read().split()]
    return found


def status(pid: int) -> dict[str, int]:
    """The ``Rss…`` lines of ``/proc/PID/status`` in bytes; empty for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss")}
