"""Which small programs are converted? One operator or a few each, as data.

Read by every environment (export, conversion, judgement), so it imports numpy only. A program calls a
function of Paddle by its dotted name, or one of ``export.OWN``; ``tests.sweeps.semantics`` has a function
of the same last word that computes, from Paddle's documentation, what must come out.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Input:
    """Shape and kind of values; see :func:`values`."""

    shape: tuple[int, ...]
    kind: str = "normal"

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape))
        return size if self.kind == "normal" else f"{size}:{self.kind.partition(':')[0]}"


@dataclass(frozen=True)
class Program:
    """``call(*inputs, **weights, **arguments)``; a list of results is several outputs."""

    name: str
    call: str
    inputs: tuple[Input, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Input] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """The last word of the call."""
        return self.call.rpartition(".")[2]

    def tensors(self) -> dict[str, Array]:
        """What the program is fed, by the names of its inputs."""
        return {f"x{place}": values(each, f"{self.name}.{place}") for place, each in enumerate(self.inputs)}

    def parameters(self) -> dict[str, Array]:
        """What its weights hold."""
        return {name: values(each, f"{self.name}.{name}") for name, each in self.weights.items()}


def values(wanted: Input, seed: str) -> Array:
    """Values of a kind, always the same.

    normal, wide (normal times 6), unit (in (0, 1)), positive, small, ties (multiples of one half), sevenths,
    sorted, grid (a little outside of [-1, 1]), bool, int and int32 (-7 to 7 without 0), index:N (int64 < N)
    """
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    shape, (kind, _, limit) = wanted.shape, wanted.kind.partition(":")
    normal = rng.standard_normal(shape)
    if kind in ("int", "int32"):
        found = rng.integers(1, 8, shape) * rng.choice([-1, 1], shape)
        return found.astype("int64" if kind == "int" else "int32")
    if kind == "index":
        return rng.integers(0, int(limit), shape).astype(np.int64)
    if kind == "bool":
        return normal > 0
    made = {
        "wide": 6 * normal,
        "unit": rng.uniform(0.05, 0.95, shape),
        "positive": rng.uniform(0.1, 3.0, shape),
        "small": rng.uniform(1e-4, 1e-2, shape),
        "ties": rng.integers(-9, 10, shape) / 2,
        "sorted": np.sort(normal),
        "grid": rng.uniform(-1.3, 1.3, shape),
        "sevenths": rng.integers(-9, 10, shape) / 7,
    }.get(kind, normal)
    return made.astype(np.float32)


def programs() -> dict[str, Program]:
    """All of them by name."""
    from . import elementwise, nets, reported, spatial, structure

    parts = (spatial, elementwise, structure, reported, nets)
    found = [program for part in parts for program in part.programs()]
    names = [program.name for program in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return dict(zip(names, found, strict=True))


def given(
    call: str, *inputs: Input, _weights: Mapping[str, Input] | None = None, **arguments: Any
) -> Program:
    """A program named after its call, its inputs and its arguments."""
    word = call.rpartition(".")[2]
    told = [f"{key}={compact(value)}" for key, value in arguments.items()]
    return Program(" ".join([word, *map(str, inputs[:2]), *told]), call, inputs, arguments, _weights or {})


def compact(value: Any) -> str:
    """A value as a part of a name."""
    return str(value).replace(" ", "")
