"""What lies in shared memory and passes through this process? Every block, mapped once."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from typing import Any

import numpy as np

from segdiff.core.graph import Array
from segdiff.engines.blocks import (
    IDLE_LIMIT,
    ArrayRef,
    Lease,
    Mappings,
    Pool,
    Tensor,
    allow_open_files,
    too_large,
)
from segdiff.engines.protocol import INLINE


class Blocks:
    """Every block that passes through this process: its mapping here and its descriptor, to pass on.

    ``warm`` bytes of its own unused ones are kept for what is written next.
    """

    def __init__(self, warm: int = IDLE_LIMIT) -> None:
        allow_open_files()
        self.lock = threading.RLock()  # two engines may be asked from two threads
        self.pool = Pool(f"segdiff-{os.getpid()}", warm)
        self.mappings = Mappings()
        self.descriptors: dict[tuple[str, int], int] = {}

    def add(self, ref: ArrayRef, descriptor: int) -> None:
        """Map a worker's block; its descriptor is kept to be passed on to another worker."""
        with self.lock:
            self.descriptors[ref.owner, ref.block] = descriptor
            self.mappings.add(ref.owner, ref.block, os.dup(descriptor))

    def tensor(self, array: Array) -> Tensor:
        """Share an array of this process. Raises EngineError where there is no room for it."""
        if array.nbytes <= INLINE:
            return Tensor(array)
        with self.lock:
            try:
                ref = self.pool.write(array)
            except OSError as error:
                raise too_large(array.nbytes, error) from error
            self.descriptors[ref.owner, ref.block] = self.pool.blocks[ref.block].fd
        return Tensor(self.pool.view(ref), ref, Lease(lambda: self._release(ref)))

    def room(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        """A tensor to be written, shared if it is large. Raises EngineError where there is no room for it."""
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if nbytes <= INLINE:
            return Tensor(np.empty(shape, dtype))
        with self.lock:
            try:
                ref = self.pool.reserve(nbytes, dtype.str, shape)
            except OSError as error:
                raise too_large(nbytes, error) from error
            self.descriptors[ref.owner, ref.block] = self.pool.blocks[ref.block].fd
        return Tensor(self.pool.view(ref), ref, Lease(lambda: self._release(ref)))

    def _release(self, ref: ArrayRef) -> None:
        with self.lock:
            self.pool.release(ref.block)

    def forget(self, owner: str, leased: Collection[int]) -> None:
        """Let the blocks of a worker that is gone go, but for those that are still leased."""
        with self.lock:
            for key in [key for key in self.descriptors if key[0] == owner and key[1] not in leased]:
                os.close(self.descriptors.pop(key))
                self.mappings.memories.pop(key, None)

    def close(self) -> None:
        """Close every descriptor; arrays still in use keep their memory."""
        with self.lock:
            for descriptor in self.descriptors.values():
                os.close(descriptor)
            self.descriptors.clear()
            self.mappings.memories.clear()

    def __del__(self) -> None:
        self.close()
