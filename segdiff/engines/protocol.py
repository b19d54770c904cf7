"""What do segdiff and its workers say to each other?

    parent                     worker
    Load            ->
                    <-         Ready | Failed
    Prepare         ->
    Order           ->
                    <-         Delivered | Compared (as often as there are values wanted)
    Seen, Release   ->
                    <-         Done | Failed

``Seen`` lets the worker go on: it waits while more than its allowance of bytes is delivered but unseen.
``Release`` lets it overwrite a block. A tensor of up to ``INLINE`` bytes travels inside the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from segdiff.core.edit import Edit
from segdiff.core.graph import Array
from segdiff.core.metrics import Comparison
from segdiff.engines.blocks import ArrayRef, Tensor
from segdiff.readers import ModelFiles

INLINE = 1 << 14
"""Bytes: below this a copy through the socket is cheaper than a block of its own."""

Payload = ArrayRef | Array


@dataclass(frozen=True)
class Load:
    """Load a model with the framework ``home``, ``module:class`` as its row of the registry has it.

    ``beside``: threads for a run while another engine computes, where these are not ``threads``, too.
    ``allowance``: bytes that may be delivered before they are seen, and of blocks kept warm for the next;
    both may be more as long as all that lies in its blocks is below ``room``. ``cuts``: nodes of an ONNX file
    will be asked for, so what cuts them is made ready at once.
    """

    home: str
    files: ModelFiles
    allowance: int
    threads: int
    beside: int | None = None
    room: int = 0
    cuts: bool = True


@dataclass(frozen=True)
class Deployed:
    """How a user runs the model: whole, optimised, nothing shown but its outputs.

    ``level`` of onnxruntime's optimisation (``none``, ``basic``, ``extended``, ``layout``, ``all``; Paddle
    knows ``none`` and ``all``: IR optimisation off and on); ``without`` optimisers, or Paddle's passes, by
    name; ``save`` a file for onnxruntime's optimised graph; ``onednn`` leaves Paddle its default kernels,
    which are oneDNN's since Paddle 3: other kernels, not a rewriting of the program. Without ``arena``
    onnxruntime gives back what it does not need at the moment, as a session of many runs should.
    """

    level: str = "all"
    without: tuple[str, ...] = ()
    save: str | None = None
    onednn: bool = False
    arena: bool = True


Carried = TypeVar("Carried")


@dataclass(frozen=True)
class Part(Generic[Carried]):
    """Nodes of a model (their indices) to be run on ``feeds``; all by the names of that model.

    What they make under the names of ``truths`` is compared with these: tensors where it is asked, their
    payloads on the way.
    """

    ops: tuple[int, ...]
    feeds: Mapping[str, Carried]
    truths: Mapping[str, Carried]


@dataclass(frozen=True)
class Order:
    """Run the model, or only ``ops`` of it (their indices), on ``feeds``; deliver the values ``wanted``.

    ``edits`` change the ONNX nodes first; the engine forgets them after the run. ``arrays`` are those that
    they name. With ``deployed`` the model runs as its user runs it. With ``parts`` these are run instead, all
    in one go, and nothing is delivered: a value of the k-th is told of under its name in :func:`of_part`.
    ``new`` names the blocks whose descriptors come with this message. A run that comes while another is
    under way replaces it: the reader has given that one up.
    """

    serial: int
    feeds: dict[str, Payload]
    wanted: tuple[str, ...]
    ops: tuple[int, ...] | None = None
    new: tuple[ArrayRef, ...] = ()
    edits: tuple[Edit, ...] = ()
    deployed: Deployed | None = None
    parts: tuple[Part[Payload], ...] = ()
    arrays: dict[str, Payload] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepare:
    """The model will soon be run so, or, where that is None, parts of it: begin what can be begun without
    inputs. No answer: what fails will fail again when it is asked for."""

    how: Deployed | None


@dataclass(frozen=True)
class Delivered:
    """One value; ``new`` says that the descriptor of its block comes with this message."""

    serial: int
    value: str
    payload: Payload
    new: bool = False


@dataclass(frozen=True)
class Compared:
    """How far a value is from the tensor it was to be compared with, and its type and shape."""

    serial: int
    value: str
    comparison: Comparison
    dtype: str
    shape: tuple[int, ...]

    @property
    def type(self) -> np.dtype[Any]:
        """Of its elements."""
        return np.dtype(self.dtype)


@dataclass(frozen=True)
class Seen:
    """The parent has dealt with this many more bytes."""

    nbytes: int


@dataclass(frozen=True)
class Release:
    """Nobody reads these blocks any more."""

    blocks: tuple[int, ...]


@dataclass(frozen=True)
class Ready:
    """The model is loaded; ``versions`` of what will compute it, by package, and of ``python``."""

    python: str
    versions: Mapping[str, str]
    serial: int = 0


@dataclass(frozen=True)
class Done:
    """The run is over."""

    serial: int


@dataclass(frozen=True)
class Failed:
    """The framework raised; ``message`` is its first useful line.

    ``starved``: it got no memory, and what it has left behind is not to be trusted.
    """

    serial: int
    message: str
    starved: bool = False


def of_part(number: int, value: str) -> str:
    """What a value of one of several parts is called, which may have names in common.

    >>> of_part(3, "relu_0.tmp_0")
    'part 3: relu_0.tmp_0'
    """
    return f"part {number}: {value}"


def payloads_of(tensors: Mapping[str, Tensor]) -> dict[str, Payload]:
    """What travels in the message: references to shared memory, or the small arrays themselves."""
    return {name: tensor.ref or tensor.array for name, tensor in tensors.items()}


def nbytes_of(ref: ArrayRef) -> int:
    """Bytes of the array at ``ref``."""
    return int(np.prod(ref.shape, dtype=np.int64)) * np.dtype(ref.dtype).itemsize
