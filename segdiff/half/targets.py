"""How does a target store and compute in half precision? A row of the table each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from segdiff.core.errors import InputError
from segdiff.core.half import Half

BatchNorm = Literal["folded", "affine", "ascend", "exported"]
"""How a batch norm is computed: folded into the Conv in front (a lone one as ``affine``); ``a*x + b``;
Ascend's ``(x + alpha) * beta'`` with ``alpha = (offset / gamma) * sqrt(variance + epsilon) - mean``; as the
file has it, its four statistics cast."""

Overflow = Literal["inf", "saturate"]
"""What becomes of a number beyond the largest: infinite, or the largest (and NaN becomes 0)."""

Subnormals = Literal["kept", "flushed"]
"""What becomes of a number below the smallest that has all its digits: rounded like any other, or zero."""

CUBE = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""What Ascend's cube computes, which on 310 and 310P has no float32."""


@dataclass(frozen=True)
class How:
    """How half precision is simulated: storage in it after every fused group, sums in float32.

    ``target`` is the name of the row, ``cannot_keep`` the op types that it cannot compute in float32.
    """

    target: str = "generic"
    precision: Half = "fp16"
    overflow: Overflow = "inf"
    subnormals: Subnormals = "kept"
    batch_norm: BatchNorm = "exported"
    cannot_keep: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Target:
    """A row: how the target computes, and where that was read (nothing of it was seen on a device)."""

    how: How
    source: str


TARGETS: Mapping[str, Target] = {
    "generic": Target(
        How(),
        "float16 storage after every fused group, sums in float32, every batch norm as the file has it",
    ),
    "ascend310p": Target(
        How("ascend310p", overflow="saturate", batch_norm="ascend", cannot_keep=CUBE),
        "Ascend's documents: 310 and 310P saturate, their cube has no float32; a batch norm is (x + alpha) * "
        "beta'",
    ),
    "ascend910b": Target(
        How("ascend910b", batch_norm="ascend"),
        "Ascend's documents: A2 and A3 give inf and NaN as IEEE 754 has them, and can keep any op",
    ),
    "tensorrt": Target(
        How("tensorrt", batch_norm="folded"),
        "NVIDIA's documents: inf and NaN as IEEE 754 has them, batch norms are folded",
    ),
}
"""By the word of ``--target``."""


def how_of(target: str = "generic", precision: Half = "fp16", batch_norm: BatchNorm | None = None) -> How:
    """How a target computes, in that precision, its batch norms otherwise where that is asked for.

    Raises InputError for a name that has no row.

    >>> how_of("ascend310p").overflow, how_of("tensorrt", "bf16").precision
    ('saturate', 'bf16')
    """
    if target not in TARGETS:
        raise InputError(f"there is no target {target!r}; there are {', '.join(TARGETS)}")
    if precision not in ("fp16", "bf16"):
        raise InputError(f"there is no half precision {precision!r}; there are fp16 and bf16")
    how = replace(TARGETS[target].how, precision=precision)
    return replace(how, batch_norm=batch_norm) if batch_norm else how
