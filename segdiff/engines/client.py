"""How does the rest of segdiff use a framework? Through an :class:`Engine`: a worker process with a handle.

    engine = start(files)                 # the process starts importing its framework at once
    for name, tensor in engine.stream(feeds, wanted):
        ...

Whatever happens to the process (exception, crash, kill, hang) arrives here as an ``EngineError``.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Any

import numpy as np

from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array
from segdiff.core.process import Child, environment, how_it_ended, run_module, start
from segdiff.core.quantised import Quantisation
from segdiff.engines.blocks import (
    NO_ROOM,
    ArrayRef,
    Lease,
    Mappings,
    Pool,
    Tensor,
    allow_open_files,
    no_room,
    too_large,
)
from segdiff.engines.channel import Channel, ChannelClosedError
from segdiff.engines.protocol import (
    INLINE,
    Delivered,
    Deployed,
    Done,
    Failed,
    Load,
    Order,
    Ready,
    Release,
    Seen,
    nbytes_of,
    payload_of,
)
from segdiff.engines.registry import EngineRow, engine_for, lacking
from segdiff.readers import ModelFiles

DEFAULT_ALLOWANCE = 64 << 20
"""Bytes a worker may deliver ahead of its reader: enough to keep both busy, little beside any model."""

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
    "MALLOC_ARENA_MAX": "1",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""Large tensors lie in mappings of their own, which go back to the system at once; a heap would keep several
times as much as is alive. In pages of 4 KiB their page faults were a third of onnxruntime's time; huge pages
(a tunable of glibc 2.35, older ones ignore it) make them as cheap as the heap."""

WORKER = "segdiff.engines.worker"

GRACE = 5.0
"""Seconds that a worker which has hung up may take to end."""

FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM})
"""Exit codes of a worker that somebody else has ended: the system, short of memory, or a person."""

_serial = count()


class Blocks:
    """Every block that passes through this process: its mapping here and its descriptor, to pass on."""

    def __init__(self) -> None:
        allow_open_files()
        self.lock = threading.RLock()  # two engines may be asked from two threads
        self.pool = Pool(f"segdiff-{os.getpid()}")
        self.mappings = Mappings()
        self.descriptors: dict[tuple[str, int], int] = {}

    def add(self, ref: ArrayRef, descriptor: int) -> None:
        """Map a worker's block; its descriptor is kept to be passed on to another worker."""
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
        for key in [key for key in self.descriptors if key[0] == owner and key[1] not in leased]:
            os.close(self.descriptors.pop(key))
            self.mappings.memories.pop(key, None)

    def close(self) -> None:
        """Close every descriptor; arrays still in use keep their memory."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)
        self.descriptors.clear()
        self.mappings.memories.clear()

    def __del__(self) -> None:
        self.close()


class Engine:
    """A framework with a model loaded, in a process of its own. Not thread-safe.

    Values named in ``quantised`` come and go as the numbers that they stand for, float32.

    Use as a context manager, or call :meth:`close`: the process ends with it.
    """

    def __init__(
        self,
        files: ModelFiles,
        blocks: Blocks,
        *,
        timeout: float,
        threads: int,
        allowance: int = DEFAULT_ALLOWANCE,
        python: str | None = None,
    ) -> None:
        self.files = files
        self.blocks = blocks
        self.timeout = timeout
        self.row = engine_for(files.format)
        self.loaded: Ready | None = None
        self.name, self.python = self.row.name, python or self.row.interpreter
        self.owner = f"{self.name}-{next(_serial)}"
        self.quantised: Mapping[str, Quantisation] = {}
        self.last_value: str | None = None
        self.failure: str | None = None
        self.known: set[tuple[str, int]] = set()
        self.unneeded: deque[int] = deque()
        self.leased: set[int] = set()
        self.closed, self.serial = False, 0
        self.child, self.channel = spawn(files, self.owner, self.row, self.python)
        with suppress(EngineError):  # one that ends at once is told of when it is asked for something
            self._send(Load(self.row.home, files, allowance, threads))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The worker's process."""
        return self.child.process

    def stream(
        self,
        feeds: Mapping[str, Tensor],
        wanted: Iterable[str],
        ops: tuple[int, ...] | None = None,
        edits: tuple[Edit, ...] = (),
    ) -> Iterator[tuple[str, Tensor]]:
        """Run the model on ``feeds``, or only its ops ``ops``, and yield the values wanted as they come.

        ``edits`` (of an ONNX model, with ``ops``) change nodes for this run alone.

        Raises :class:`segdiff.core.errors.EngineError`, which names the last value that arrived.
        """
        return self._answers(feeds, tuple(wanted), ops, edits)

    def run_deployed(
        self, feeds: Mapping[str, Tensor], outputs: Iterable[str], how: Deployed
    ) -> dict[str, Tensor]:
        """Run the model as its user does, and return its outputs."""
        return dict(self._answers(feeds, tuple(outputs), deployed=how))

    def _answers(
        self,
        feeds: Mapping[str, Tensor],
        wanted: tuple[str, ...],
        ops: tuple[int, ...] | None = None,
        edits: tuple[Edit, ...] = (),
        deployed: Deployed | None = None,
    ) -> Iterator[tuple[str, Tensor]]:
        self.wait_until_ready()
        if deployed is None and self.quantised:
            feeds = {name: self._stored(name, tensor) for name, tensor in feeds.items()}
        new = self._unknown(feeds.values())
        payloads = {name: payload_of(tensor) for name, tensor in feeds.items()}
        self.serial = serial = self.serial + 1
        self._flush()  # so that the outputs find room in blocks let go since the last run
        run = Order(serial, payloads, wanted, ops, tuple(new), edits, deployed)
        self._send(run, [self._descriptor(ref) for ref in new])
        while True:
            message = self._receive(serial)
            if isinstance(message, Done):
                return
            tensor = message.payload
            self.last_value = message.value
            found = self._lease(tensor) if isinstance(tensor, ArrayRef) else Tensor(tensor)
            yield message.value, found if deployed else self._numbers(message.value, found)
            del found
            if isinstance(tensor, ArrayRef):
                self._flush()
                self._send(Seen(nbytes_of(tensor)))

    def _stored(self, name: str, tensor: Tensor) -> Tensor:
        """What is fed for numbers: the integers of a quantised value."""
        how = self.quantised.get(name)
        if how is None or tensor.array.dtype.kind != "f":
            return tensor
        return self.blocks.tensor(how.integers(tensor.array))

    def _numbers(self, name: str, tensor: Tensor) -> Tensor:
        """What the integers of a quantised value stand for."""
        how = self.quantised.get(name)
        if how is None or tensor.array.dtype.name != how.dtype:
            return tensor
        return self.blocks.tensor(how.numbers(tensor.array))

    def run(
        self,
        feeds: Mapping[str, Tensor],
        wanted: Iterable[str],
        ops: tuple[int, ...] | None = None,
        edits: tuple[Edit, ...] = (),
    ) -> dict[str, Tensor]:
        """Run and return all the values wanted at once."""
        return dict(self.stream(feeds, wanted, ops, edits))

    def wait_until_ready(self) -> None:
        """Wait for the model to be loaded. Raises EngineError where it cannot; at once, if that is known."""
        self._check()
        if self.loaded is None:
            try:
                self.loaded = self._receive()
            except EngineError as error:
                self._over(error, killed=error.killed)
                raise

    @property
    def is_alive(self) -> bool:
        """Whether the process is still there: a framework that raised can be asked again."""
        return self.child.is_alive

    def close(self) -> None:
        """End the process; its tensors stay readable, and can still be fed to another engine."""
        self.channel.close()
        self.child.close()
        self.closed = True
        self.blocks.forget(self.owner, self.leased)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lease(self, ref: ArrayRef) -> Tensor:
        self.leased.add(ref.block)
        return Tensor(self.blocks.mappings.view(ref), ref, Lease(lambda: self._release(ref.block)))

    def _release(self, block: int) -> None:
        self.leased.discard(block)
        self.unneeded.append(block)
        if self.closed:
            self.blocks.forget(self.owner, self.leased)

    def _unknown(self, tensors: Iterable[Tensor]) -> list[ArrayRef]:
        """References to blocks that this worker has not mapped yet."""
        refs = {(t.ref.owner, t.ref.block): t.ref for t in tensors if t.ref and t.ref.owner != self.owner}
        new = {key: ref for key, ref in refs.items() if key not in self.known}
        self.known.update(new)
        return list(new.values())

    def _descriptor(self, ref: ArrayRef) -> int:
        return self.blocks.descriptors[ref.owner, ref.block]

    def _flush(self) -> None:
        blocks = []
        while self.unneeded:  # leases end whenever the last holder lets go, also while this runs
            blocks.append(self.unneeded.popleft())
        if blocks:
            self._send(Release(tuple(blocks)))

    def _send(self, message: Any, descriptors: Sequence[int] = ()) -> None:
        self._check()
        try:
            self.channel.send(message, descriptors, self.timeout)
        except TimeoutError as error:
            raise self._silent() from error
        except (ChannelClosedError, OSError) as error:
            raise self._death(error) from error

    def _receive(self, serial: int = 0) -> Any:
        """The next message of this run; what is left of a run that was given up is dropped."""
        while (message := self._next()).serial != serial:
            if isinstance(message, Delivered) and isinstance(message.payload, ArrayRef):
                self.unneeded.append(message.payload.block)
        if isinstance(message, Failed):
            error = self._error(f"failed: {message.message}")
            raise self._over(error, killed=True) if message.starved else error
        return message

    def _next(self) -> Any:
        try:
            message, descriptors = self.channel.receive(self.timeout)
        except TimeoutError as error:
            raise self._silent() from error
        except (ChannelClosedError, OSError) as error:
            raise self._death(error) from error
        if isinstance(message, Delivered) and isinstance(message.payload, ArrayRef) and message.new:
            self._map(message.payload, descriptors[0])
        return message

    def _map(self, ref: ArrayRef, descriptor: int) -> None:
        try:
            self.blocks.add(ref, descriptor)
        except OSError as error:
            raise self._death(error) from error

    def _silent(self) -> EngineError:
        error = self._over(self._error(f"gave no answer for {self.timeout:g} s and was stopped"))
        error.silent = True
        return error

    def _death(self, why: BaseException) -> EngineError:
        if isinstance(why, OSError) and why.errno in NO_ROOM:
            return self._over(self._error(f"sent more than {no_room(why)}"))
        code = self.child.wait(GRACE)
        told = "hung up and was stopped" if code is None else how_it_ended(code)
        words = self.child.last_words()
        return self._over(
            self._error(told + words + lacking(words, self.python)), killed=code in FROM_OUTSIDE
        )

    def _over(self, error: EngineError, *, killed: bool = False) -> EngineError:
        """This engine's last word: whoever asks again gets it at once."""
        self.child.stop()
        self.failure, error.died, error.killed = str(error), True, killed
        return error

    def _check(self) -> None:
        if self.failure is not None:
            raise EngineError(self.failure, last_value=self.last_value, died=True)

    def _error(self, what: str) -> EngineError:
        after = f" after value {self.last_value!r}" if self.last_value else ""
        return EngineError(f"{self.files.program}: {self.name} {what}{after}", last_value=self.last_value)


def spawn(files: ModelFiles, owner: str, row: EngineRow, python: str | None) -> tuple[Child, Channel]:
    """Start a worker, with another Python where one is named.

    Raises EngineError where that cannot be started.
    """
    ours, theirs = socket.socketpair()
    more = {**ALLOCATOR, "OMP_WAIT_POLICY": "PASSIVE"}  # two engines share the cores: none may spin idly
    variables = {**os.environ, **more} if python else environment(**more)
    variables.update({name: value for name, value in row.environment.items() if name not in os.environ})
    words = [*run_module(WORKER, python), str(os.getpid()), str(theirs.fileno()), owner]
    with theirs:
        try:
            child = start(words, environment=variables, descriptors=[theirs.fileno()])
        except OSError as error:
            ours.close()
            raise EngineError(f"{files.program}: {words[0]} cannot be started: {error.strerror}") from error
    return child, Channel(ours)
