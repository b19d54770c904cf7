"""How does the rest of segdiff use a framework? Through an :class:`Engine`: a worker process with a handle.

    engine = start(files)                 # the process starts importing its framework at once
    for name, tensor in engine.stream(feeds, wanted):
        ...

Whatever happens to the process (exception, crash, kill, hang) arrives here as an ``EngineError``.
"""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any

from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.core.process import Process, how_it_ended
from segdiff.core.quantised import Quantisation
from segdiff.engines.apart import shared
from segdiff.engines.blocks import NO_ROOM, ArrayRef, Lease, Tensor, no_room
from segdiff.engines.channel import Channel, ChannelClosedError
from segdiff.engines.protocol import (
    Compared,
    Delivered,
    Deployed,
    Done,
    Failed,
    Load,
    Order,
    Part,
    Payload,
    Prepare,
    Ready,
    Release,
    Seen,
    nbytes_of,
    of_part,
    payloads_of,
)
from segdiff.engines.registry import EngineRow, engine_for, lacking
from segdiff.engines.shared import Blocks
from segdiff.engines.workers import Worker, worker_of
from segdiff.readers import ModelFiles

DEFAULT_ALLOWANCE = 64 << 20
"""Bytes a worker may deliver ahead of its reader: enough to keep both busy, little beside any model."""

NOTHING: Mapping[str, Tensor] = {}

GRACE = 5.0
"""Seconds that a worker which has hung up may take to end."""

FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM})
"""Exit codes of a worker that somebody else has ended: the system, short of memory, or a person."""


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
        beside: int | None = None,
        allowance: int = DEFAULT_ALLOWANCE,
        room: int = 0,
        cuts: bool = True,
        python: str | None = None,
    ) -> None:
        self.files = files
        self.blocks = blocks
        self.timeout = timeout
        self.row = engine_for(files.format)
        self.loaded: Ready | None = None
        self.name, self.python = self.row.name, python or self.row.interpreter
        self.quantised: Mapping[str, Quantisation] = {}
        self.last_value: str | None = None
        self.failure: str | None = None
        self.untold: EngineError | None = None
        self.known: set[tuple[str, int]] = set()
        self.unneeded: deque[int] = deque()
        self.leased: set[int] = set()
        self.closed, self.serial = False, 0
        worker = spawn(files, self.row, self.python)
        self.owner, self.child, self.channel = worker.owner, worker.child, Channel(worker.end)
        with suppress(EngineError):  # one that ends at once is told of when it is asked for something
            self._send(Load(self.row.home.framework, files, allowance, threads, beside, room, cuts))

    @property
    def process(self) -> Process:
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

    def prepare(self, how: Deployed | None) -> None:
        """Say how the model will be run soon, None for parts of it, so that what that needs is made ready
        meanwhile. Whether that goes well is told of when it is run."""
        try:
            self._send(Prepare(how))
        except EngineError as error:
            self.untold = error

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
        if deployed is None:
            feeds = {name: self._stored(name, tensor) for name, tensor in feeds.items()}
        edits, arrays = shared(edits, self.blocks.tensor)
        serial = self._ask(Order(0, {}, wanted, ops, edits=edits, deployed=deployed), feeds, arrays=arrays)
        while not isinstance(message := self._receive(serial), Done):
            tensor = message.payload
            self.last_value = message.value
            found = self._lease(tensor) if isinstance(tensor, ArrayRef) else Tensor(tensor)
            yield message.value, found if deployed else self._numbers(message.value, found)
            del found
            if isinstance(tensor, ArrayRef):
                self._flush()
                self._send(Seen(nbytes_of(tensor)))

    def compared(self, parts: Sequence[Part[Tensor]]) -> list[dict[str, Compared]]:
        """Run the ops of each part on its feeds, all in one go, and compare what they make with its truths,
        where it lies: only what was found comes back. Of values that are not quantised.

        Raises EngineError.
        """
        sent: list[Part[Payload]] = []
        tensors: list[Tensor] = []
        for part in parts:
            feeds = {name: self._stored(name, tensor) for name, tensor in part.feeds.items()}
            sent.append(Part(part.ops, payloads_of(feeds), payloads_of(part.truths)))
            tensors += [*feeds.values(), *part.truths.values()]
        serial = self._ask(Order(0, {}, (), parts=tuple(sent)), more=tensors)
        places = {of_part(k, name): (k, name) for k, part in enumerate(parts) for name in part.truths}
        found: list[dict[str, Compared]] = [{} for _ in parts]
        while not isinstance(message := self._receive(serial), Done):
            number, self.last_value = places[message.value]
            found[number][self.last_value] = message
        return found

    def _ask(
        self,
        order: Order,
        feeds: Mapping[str, Tensor] = NOTHING,
        arrays: Mapping[str, Tensor] = NOTHING,
        more: Iterable[Tensor] = (),
    ) -> int:
        """Send an order with its tensors, and ``more`` it speaks of; its number, which its answers bear."""
        self.wait_until_ready()
        new = self._unknown([*feeds.values(), *arrays.values(), *more])
        self.serial += 1
        self._flush()  # so that the outputs find room in blocks let go since the last run
        full = replace(
            order,
            serial=self.serial,
            feeds=payloads_of(feeds),
            arrays=payloads_of(arrays),
            new=tuple(new),
        )
        self._send(full, [self._descriptor(ref) for ref in new])
        return self.serial

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
        if self.loaded is None:
            self._check()
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
            error = self._error(f"failed: {message.message}{lacking(message.message, self.python)}")
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
        if self.untold is not None:  # how it ended decides whether another one goes on
            error, self.untold = self.untold, None
            raise error
        if self.failure is not None:
            raise EngineError(self.failure, last_value=self.last_value, died=True)

    def _error(self, what: str) -> EngineError:
        after = f" after value {self.last_value!r}" if self.last_value else ""
        return EngineError(f"{self.files.program}: {self.name} {what}{after}", last_value=self.last_value)


def spawn(files: ModelFiles, row: EngineRow, python: str | None) -> Worker:
    """A worker for an engine. Raises EngineError where it cannot be started."""
    try:
        return worker_of(row.home, python)
    except OSError as error:
        words = f"{python or sys.executable} cannot be started: {error.strerror}"
        raise EngineError(f"{files.program}: {words}") from error
