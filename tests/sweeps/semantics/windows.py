"""Pools and convolutions in float64: every window by itself."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tests.sweeps.operators.programs import Array

Amounts = int | Sequence[int]


def each(value: Any, rank: int) -> list[Any]:
    """One value for each axis."""
    return list(value) if isinstance(value, (list, tuple)) else [value] * rank


def amounts(
    padding: Any, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int]
) -> list[tuple[int, int]]:
    """(before, after) for each axis. ``SAME``: the output has ceil(size / stride) elements, the odd one of
    the padding comes after; a dilated kernel counts as 1 (Paddle sets the dilation to 1 with SAME)."""
    rank = len(sizes)
    if padding == "VALID":
        return [(0, 0)] * rank
    if padding == "SAME":
        found = []
        for size, k, s in zip(sizes, kernel, stride, strict=True):
            total = max(0, (-(-size // s) - 1) * s + k - size)
            found.append((total // 2, total - total // 2))
        return found
    given = each(padding, rank)
    if len(given) == 2 * rank:
        return [(given[2 * i], given[2 * i + 1]) for i in range(rank)]
    return [(p, p) for p in given]


def windows(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[tuple[int, int]],
    ceil: bool,
) -> list[list[tuple[int, int]]]:
    """For each axis the (start, stop) of every window, padding included.

    The number of windows is floor((size - k + before + after) / stride) + 1, with ``ceil_mode`` its ceiling.
    """
    found = []
    for size, k, s, (before, after) in zip(sizes, kernel, stride, pads, strict=True):
        room = size - k + before + after
        count = (-(-room // s) if ceil else room // s) + 1
        found.append([(i * s - before, min(i * s - before + k, size + after)) for i in range(count)])
    return found


def pool(
    x: Array,
    kernel_size: Amounts,
    stride: Amounts | None,
    padding: Any,
    ceil_mode: bool,
    reduce: Callable[[Array, int], Array],
) -> Array:
    """``reduce(elements, area with padding)`` over every window."""
    rank = x.ndim - 2
    kernel = each(kernel_size, rank)
    steps = each(stride or kernel, rank)
    spans = windows(x.shape[2:], kernel, steps, amounts(padding, x.shape[2:], kernel, steps), ceil_mode)
    return gathered(x, spans, reduce)


def gathered(x: Array, spans: list[list[tuple[int, int]]], reduce: Callable[[Array, int], Array]) -> Array:
    """The reduced windows, in place."""
    out = np.empty((*x.shape[:2], *[len(axis) for axis in spans]))
    for place in itertools.product(*[range(len(axis)) for axis in spans]):
        window = [axis[i] for axis, i in zip(spans, place, strict=True)]
        area = math.prod(stop - start for start, stop in window)
        index = tuple(slice(max(start, 0), stop) for start, stop in window)
        part = x[(slice(None), slice(None), *index)]
        out[(slice(None), slice(None), *place)] = reduce(part.reshape(*x.shape[:2], -1), area)
    return out


def avg_pool(
    x: Array,
    kernel_size: Amounts,
    stride: Amounts | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    exclusive: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of a window; ``exclusive`` does not count the padding."""

    def mean(part: Array, area: int) -> Array:
        count = divisor_override or (part.shape[-1] if exclusive else area)
        return np.asarray(part.sum(axis=-1) / count)

    return pool(x, kernel_size, stride, padding, ceil_mode, mean)


def max_pool(
    x: Array, kernel_size: Amounts, stride: Amounts | None = None, padding: Any = 0, ceil_mode: bool = False
) -> Array:
    """The largest of a window."""
    return pool(x, kernel_size, stride, padding, ceil_mode, lambda part, area: part.max(axis=-1))


def adaptive(reduce: Callable[[Array, int], Array]) -> Callable[..., Array]:
    """Window i of n over a size: from floor(i * size / n) to ceil((i + 1) * size / n)."""

    def function(x: Array, output_size: Amounts) -> Array:
        rank = x.ndim - 2
        spans = [
            [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]
            for size, n in zip(x.shape[2:], each(output_size, rank), strict=True)
        ]
        return gathered(x, spans, reduce)

    return function


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Amounts = 1,
    padding: Any = 0,
    dilation: Amounts = 1,
    groups: int = 1,
) -> Array:
    """The sum over a window of products with the kernel."""
    rank = x.ndim - 2
    kernel, steps = weight.shape[2:], each(stride, rank)
    gaps = [1] * rank if padding == "SAME" else each(dilation, rank)
    wide = [(k - 1) * d + 1 for k, d in zip(kernel, gaps, strict=True)]
    pads = amounts(padding, x.shape[2:], wide, steps)
    padded = np.pad(x, [(0, 0), (0, 0), *pads])
    sizes = [(n - w) // s + 1 for n, w, s in zip(padded.shape[2:], wide, steps, strict=True)]
    out = np.zeros((x.shape[0], weight.shape[0], *sizes))
    for tap in itertools.product(*[range(k) for k in kernel]):
        index = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, gaps, sizes, steps, strict=True)
        )
        part = padded[(slice(None), slice(None), *index)]
        for group, (inside, outside) in enumerate(grouped(x.shape[1], weight.shape[0], groups)):
            kernels = np.split(weight, groups)[group][(slice(None), slice(None), *tap)]
            out[:, outside] += np.einsum("oc,nc...->no...", kernels, part[:, inside])
    return out if bias is None else out + bias.reshape(1, -1, *[1] * rank)


def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Amounts = 1,
    padding: Any = 0,
    output_padding: Amounts = 0,
    groups: int = 1,
    dilation: Amounts = 1,
    output_size: Sequence[int] | None = None,
) -> Array:
    """Every element spreads its kernel: H' = (H - 1) stride - pads + dilation (k - 1) + 1, plus the output
    padding; ``output_size`` names the size itself. SAME pads by what a convolution of that input would."""
    rank = x.ndim - 2
    kernel, steps, gaps = weight.shape[2:], each(stride, rank), each(dilation, rank)
    if padding == "SAME":
        gaps = [1] * rank
    wide = [(k - 1) * d + 1 for k, d in zip(kernel, gaps, strict=True)]
    pads = amounts(padding, x.shape[2:], wide, steps)
    full = [(n - 1) * s + w for n, s, w in zip(x.shape[2:], steps, wide, strict=True)]
    plain = [f - a - b for f, (a, b) in zip(full, pads, strict=True)]
    more = each(output_padding, rank)
    size = list(output_size) if output_size else [p + m for p, m in zip(plain, more, strict=True)]
    room = [max(f, s + a) for f, s, (a, _) in zip(full, size, pads, strict=True)]
    channels = weight.shape[1] * groups
    out = np.zeros((x.shape[0], channels, *room))
    for tap in itertools.product(*[range(k) for k in kernel]):
        index = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, gaps, x.shape[2:], steps, strict=True)
        )
        for group, (inside, outside) in enumerate(grouped(x.shape[1], channels, groups)):
            kernels = np.split(weight, groups)[group][(slice(None), slice(None), *tap)]
            part = np.einsum("co,nc...->no...", kernels, x[:, inside])
            out[(slice(None), outside, *index)] += part
    out = out[(..., *[slice(a, a + s) for s, (a, _) in zip(size, pads, strict=True)])]
    return out if bias is None else out + bias.reshape(1, -1, *[1] * rank)


def grouped(inputs: int, outputs: int, groups: int) -> Iterator[tuple[slice, slice]]:
    """Channels in and out of each group."""
    a, b = inputs // groups, outputs // groups
    return ((slice(g * a, (g + 1) * a), slice(g * b, (g + 1) * b)) for g in range(groups))


def mean_of(part: Array, area: int) -> Array:
    """The mean of a window's elements."""
    return np.asarray(part.mean(axis=-1))


def largest_of(part: Array, area: int) -> Array:
    """The largest of a window's elements."""
    return np.asarray(part.max(axis=-1))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"avg_pool{rank}d": avg_pool for rank in (1, 2, 3)},
    **{f"max_pool{rank}d": max_pool for rank in (1, 2, 3)},
    **{f"adaptive_avg_pool{rank}d": adaptive(mean_of) for rank in (1, 2, 3)},
    **{f"adaptive_max_pool{rank}d": adaptive(largest_of) for rank in (1, 2, 3)},
    **{f"conv{rank}d": conv for rank in (1, 2, 3)},
    **{f"conv{rank}d_transpose": conv_transpose for rank in (1, 2, 3)},
}
