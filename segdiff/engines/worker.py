"""The process of a framework: ``python -m segdiff.engines.worker PARENT DESCRIPTOR [MODULE] OWNER``.

It may crash, hang or be killed without harm to the process that started it, and ends with that.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import re
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np

from segdiff.core.graph import Array
from segdiff.core.memory import give_back
from segdiff.core.metrics import compare_arrays
from segdiff.core.process import end_with
from segdiff.engines.apart import together
from segdiff.engines.blocks import ArrayRef, Mappings, Pool
from segdiff.engines.channel import Channel, ChannelClosedError
from segdiff.engines.framework import Framework, Nodes
from segdiff.engines.protocol import (
    INLINE,
    Compared,
    Delivered,
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
    of_part,
)

OUT_OF_MEMORY = re.compile(
    r"bad[_ ]alloc|[Ff]ailed to allocate memory|ResourceExhaustedError|[Oo]ut of memory"
)
"""How C++, onnxruntime and Paddle say so."""


class GivenUpError(Exception):
    """The reader has given this run up and asked for another."""


@dataclass
class Session:
    """One conversation: the loaded framework, the blocks of both sides, and what is not yet seen."""

    channel: Channel
    pool: Pool
    mappings: Mappings = field(default_factory=Mappings)
    framework: Framework | None = None
    allowance: int = 0
    unseen: int = 0
    serial: int = 0
    next_run: tuple[object, list[int]] | None = None
    sent: set[int] = field(default_factory=set)
    truths: dict[str, Array] = field(default_factory=dict)

    def serve(self) -> None:
        """Answer until the parent hangs up."""
        while True:
            message, descriptors = self.next_run or self.channel.receive()
            self.next_run = None
            try:
                self._answer(message, descriptors)
            except ChannelClosedError:
                raise
            except GivenUpError:
                continue
            except MemoryError:
                self.channel.send(Failed(self.serial, "out of memory", starved=True))
            except Exception as error:
                starved = OUT_OF_MEMORY.search(str(error)) is not None
                self.channel.send(Failed(self.serial, first_useful_line(error), starved))

    def _answer(self, message: object, descriptors: list[int]) -> None:
        if isinstance(message, Load):
            self.serial = 0  # a failure to load is no answer to the last run
            self.allowance = self.pool.warm = message.allowance
            self.pool.room = message.room
            self.framework = load(message)
            gc.freeze()  # what a framework has imported is never garbage, and is a lot to look through
            gc.enable()
            give_back()
            self.channel.send(Ready(platform.python_version(), self.framework.versions()))
        elif isinstance(message, Prepare):
            if self.framework is not None:
                with suppress(Exception):
                    self.framework.prepare(message.how)
        elif isinstance(message, Order):
            self.unseen, self.serial = 0, message.serial  # first: a failure from here on is this run's
            for ref, fd in zip(message.new, descriptors, strict=True):
                self.mappings.add(ref.owner, ref.block, fd)
            assert self.framework is not None
            feeds = self._arrays(message.feeds)
            if message.parts:
                self._compare(message.parts)
            elif message.deployed:
                self.framework.run_deployed(feeds, message.wanted, message.deployed, self._deliver)
            else:
                edits = together(message.edits, self._arrays(message.arrays))
                self.framework.run(feeds, message.wanted, message.ops, edits, self._deliver)
            self.channel.send(Done(message.serial))
        else:
            self._note(message, descriptors)

    def _compare(self, parts: tuple[Part[Payload], ...]) -> None:
        assert self.framework is not None
        for number, part in enumerate(parts):
            self.truths |= self._arrays({of_part(number, name): each for name, each in part.truths.items()})
        runs = [Nodes(part.ops, self._arrays(part.feeds), tuple(part.truths)) for part in parts]
        try:
            self.framework.run_together(runs, self._deliver)
        finally:
            self.truths = {}  # before the parent lets go of them

    def _arrays(self, payloads: Mapping[str, Payload]) -> dict[str, Array]:
        return {name: self._array(payload) for name, payload in payloads.items()}

    def _array(self, payload: Payload) -> Array:
        if not isinstance(payload, ArrayRef):
            return payload
        return self.pool.view(payload) if payload.owner == self.pool.owner else self.mappings.view(payload)

    def _deliver(self, value: str, address: int, nbytes: int, dtype: str, shape: tuple[int, ...]) -> None:
        while self.channel.ready() or (value not in self.truths and self._must_wait(nbytes)):
            self._note(*self.channel.receive())
        if value in self.truths:
            found = compare_arrays(self.truths[value], array_at(address, nbytes, dtype, shape))
            self.channel.send(Compared(self.serial, value, found, dtype, shape))
            return
        if nbytes <= INLINE:
            self.channel.send(Delivered(self.serial, value, copy_small(address, nbytes, dtype, shape)))
            return
        ref = self.pool.write_from(address, nbytes, dtype, shape)
        new = ref.block not in self.sent
        self.sent.add(ref.block)
        self.channel.send(
            Delivered(self.serial, value, ref, new), [self.pool.blocks[ref.block].fd] if new else []
        )
        self.unseen += nbytes

    def _must_wait(self, nbytes: int) -> bool:
        left = self.pool.room - (self.pool.used - self.unseen)  # beside what is seen, and still alive
        return self.unseen > 0 and self.unseen + nbytes > max(self.allowance, left)

    def _note(self, message: object, descriptors: list[int]) -> None:
        if isinstance(message, Seen):
            self.unseen -= message.nbytes
        elif isinstance(message, Release):
            for number in message.blocks:
                self.pool.release(number)
        elif isinstance(message, Order):
            self.next_run = message, descriptors
            raise GivenUpError


def load(message: Load) -> Framework:
    """Import the framework that runs this model, and load it."""
    module, _, name = message.home.partition(":")
    framework: Framework = getattr(import_module(module), name)(message)
    return framework


def array_at(address: int, nbytes: int, dtype: str, shape: tuple[int, ...]) -> Array:
    """The tensor at a raw address, without a copy."""
    data = memoryview((ctypes.c_char * nbytes).from_address(address)) if nbytes else b""
    return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape)


def copy_small(address: int, nbytes: int, dtype: str, shape: tuple[int, ...]) -> Array:
    """A private copy of a small tensor at a raw address."""
    data = ctypes.string_at(address, nbytes) if nbytes else b""
    return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape)


def first_useful_line(error: BaseException) -> str:
    """The line of a framework's message that says something: Paddle buries it under a C++ traceback."""
    if isinstance(error, ModuleNotFoundError):
        return f"ModuleNotFoundError: {error}"
    lines = [line.strip() for line in str(error).splitlines()]
    wordy = [line for line in lines if line and not line.startswith(("-----", "C++ Traceback", "[Hint"))]
    telling = [line for line in wordy if "Error" in line or line.startswith("(")]
    return (telling or wordy or [type(error).__name__])[0][:500]


def main() -> None:
    """Serve the process whose number is the first argument, on the socket whose descriptor is the second;
    a spare imports its framework's module first, whose failure is told of when the model is loaded."""
    parent, descriptor, *modules, owner = sys.argv[1:]
    end_with(int(parent))
    gc.disable()  # until the model is loaded
    for module in modules:
        with suppress(Exception):
            import_module(module)
    serve(socket.socket(fileno=int(descriptor)), owner)


def serve(end: socket.socket, owner: str) -> None:
    """Serve the process at the other end until it hangs up; ``owner`` is the name of the blocks made here."""
    try:
        Session(Channel(end), Pool(owner)).serve()
    except (ChannelClosedError, KeyboardInterrupt):
        os._exit(0)  # the parent hung up: skip the frameworks' slow and sometimes crashing teardown


if __name__ == "__main__":
    main()
