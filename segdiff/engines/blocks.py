"""Where do tensors lie while they travel between processes? In anonymous shared memory, reused.

A :class:`Pool` belongs to one process and hands out blocks (memfd files: they vanish with the last process
that maps them, so a crash leaves nothing behind). Others map a block once, by its file descriptor, and
then see every tensor that is later written to it. Fresh memory costs a page fault per 4 KiB, which is
most of the cost of a copy; so blocks are reused, and the pages of those idle for long are given back.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from segdiff.core.errors import EngineError
from segdiff.core.graph import Array

SMALLEST = 1 << 16
"""Bytes of the smallest block; tensors below share this size so that most blocks fit most tensors."""

IDLE_LIMIT = 32 << 20
"""Bytes of unused blocks that a pool keeps warm unless told otherwise; beyond that their pages go back to the
system."""

PATIENCE = 16
"""Tensors that an unused block waits for one that it fits, before its pages go back. Networks begin with few
large tensors and go on with many small ones."""

NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC})
"""What the system says where no tensor more can be shared."""


def allow_open_files() -> None:
    """Let this process and its children have as many open files as the system allows: a block is one or two.

    The usual 1024 are few: a proof may hold a thousand tensors of a deep network.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(frozen=True)
class ArrayRef:
    """Where an array lies: the pool's owner, the block, and how to read it."""

    owner: str
    block: int
    dtype: str
    shape: tuple[int, ...]


@dataclass
class SharedBlock:
    """A piece of shared memory; ``fd`` can be sent to another process."""

    number: int
    fd: int
    memory: mmap.mmap
    warm: bool = False
    idle_since: int = 0

    @property
    def capacity(self) -> int:
        """Bytes."""
        return len(self.memory)


@dataclass
class Pool:
    """Blocks that this process writes to. Not thread-safe.

    ``warm`` bytes of unused ones are kept for the next tensors, which then cost no page faults; more where
    these and what is ``used`` are fewer than ``room`` together; none longer than its patience, which is
    counted in tensors handed out.
    """

    owner: str
    warm: int = IDLE_LIMIT
    room: int = 0
    used: int = 0
    handed_out: int = 0
    blocks: dict[int, SharedBlock] = field(default_factory=dict)
    idle: list[int] = field(default_factory=list)

    def write(self, array: Array) -> ArrayRef:
        """Copy an array into a block and return where it lies."""
        array = np.asarray(array, order="C")  # unlike ascontiguousarray, this leaves a scalar a scalar
        return self.write_from(array.ctypes.data, array.nbytes, array.dtype.str, array.shape)

    def write_from(self, address: int, nbytes: int, dtype: str, shape: tuple[int, ...]) -> ArrayRef:
        """Copy ``nbytes`` from a raw address: the one copy between a framework and its reader."""
        ref = self.reserve(nbytes, dtype, shape)
        if nbytes:
            target = np.frombuffer(self.blocks[ref.block].memory, dtype=np.uint8, count=1)
            ctypes.memmove(target.ctypes.data, address, nbytes)
        return ref

    def reserve(self, nbytes: int, dtype: str, shape: tuple[int, ...]) -> ArrayRef:
        """A block with room for an array, to be written through its view."""
        block = self._take(nbytes)
        self.used += block.capacity
        self.handed_out += 1
        self._cool()
        return ArrayRef(self.owner, block.number, dtype, shape)

    def view(self, ref: ArrayRef) -> Array:
        """The array at ``ref``, without a copy."""
        return view(self.blocks[ref.block].memory, ref)

    def release(self, number: int) -> None:
        """The tensor in that block is not needed any more."""
        self.idle.append(number)
        self.used -= self.blocks[number].capacity
        self.blocks[number].idle_since = self.handed_out
        self._cool()

    def _take(self, nbytes: int) -> SharedBlock:
        fitting = [n for n in self.idle if nbytes <= self.blocks[n].capacity <= max(2 * nbytes, SMALLEST)]
        if not fitting:
            return self._make(nbytes)
        warm = [n for n in fitting if self.blocks[n].warm]
        number = min(warm or fitting, key=lambda n: self.blocks[n].capacity)
        self.idle.remove(number)
        self.blocks[number].warm = True
        return self.blocks[number]

    def _make(self, nbytes: int) -> SharedBlock:
        capacity = max(SMALLEST, -(-nbytes // mmap.PAGESIZE) * mmap.PAGESIZE)
        fd = os.memfd_create(f"segdiff-{self.owner}")
        os.ftruncate(fd, capacity)
        block = SharedBlock(len(self.blocks), fd, mmap.mmap(fd, capacity), warm=True)
        self.blocks[block.number] = block
        return block

    def _cool(self) -> None:
        """Give back the pages of the blocks idle for longest; the mappings stay valid everywhere."""
        warm = [self.blocks[n] for n in self.idle if self.blocks[n].warm]
        excess = sum(block.capacity for block in warm) - (self.room - self.used if self.room else self.warm)
        for block in warm:
            if excess <= 0 and self.handed_out - block.idle_since <= PATIENCE:
                return
            block.memory.madvise(mmap.MADV_REMOVE)
            block.warm = False
            excess -= block.capacity


@dataclass
class Mappings:
    """Blocks of other processes, mapped here."""

    memories: dict[tuple[str, int], mmap.mmap] = field(default_factory=dict)

    def add(self, owner: str, block: int, fd: int) -> None:
        """Map a block by the descriptor that came with it; the descriptor is closed."""
        self.memories[owner, block] = mmap.mmap(fd, os.fstat(fd).st_size)
        os.close(fd)

    def view(self, ref: ArrayRef) -> Array:
        """The array at ``ref``, without a copy."""
        return view(self.memories[ref.owner, ref.block], ref)


@dataclass(eq=False)
class Lease:
    """The right to read one block; the block may be overwritten once the last holder lets go."""

    release: Callable[[], None]

    def __del__(self) -> None:
        self.release()


@dataclass(frozen=True)
class Tensor:
    """An array that can be fed to any engine; one in shared memory is readable while this object lives."""

    array: Array
    ref: ArrayRef | None = None
    lease: Lease | None = field(default=None, repr=False)

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes."""
        return int(self.array.nbytes)


def view(memory: mmap.mmap, ref: ArrayRef) -> Array:
    """An array on top of a mapped block."""
    count = int(np.prod(ref.shape, dtype=np.int64))
    return np.frombuffer(memory, dtype=np.dtype(ref.dtype), count=count).reshape(ref.shape)


def no_room(error: OSError) -> str:
    """Why a tensor cannot be shared, and what to do."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "this process may have files open; raise the limit (ulimit -n), or give less memory to the run"
    return f"this machine has memory for ({error.strerror}); give less memory to the run"


def too_large(nbytes: int, error: OSError) -> EngineError:
    """What is raised where a tensor cannot be shared."""
    return EngineError(f"a tensor of {nbytes} bytes is more than {no_room(error)}")
