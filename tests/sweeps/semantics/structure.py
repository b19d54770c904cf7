"""Reductions, orders, pieces, picks and products in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.sweeps.operators.programs import Array

Axes = int | Sequence[int] | None


def axes_of(axis: Axes) -> int | tuple[int, ...] | None:
    """As numpy wants them."""
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis


def reduction(function: Callable[..., Any], **fixed: Any) -> Callable[..., Array]:
    """Of numpy's, with Paddle's names."""

    def reduced(x: Array, axis: Axes = None, keepdim: bool = False) -> Array:
        return np.asarray(function(x, axis=axes_of(axis), keepdims=keepdim, **fixed))

    return reduced


def spread(root: bool) -> Callable[..., Array]:
    """Variance or deviation; unbiased divides by the count less one."""

    def function(x: Array, axis: Axes = None, unbiased: bool = True) -> Array:
        return np.asarray((np.std if root else np.var)(x, axis=axes_of(axis), ddof=int(unbiased)))

    return function


def norm(x: Array, p: float | str = 2, axis: Axes = None) -> Array:
    """(sum |x|^p)^(1/p); inf the largest, -inf the smallest, 0 the count of what is not 0."""
    axes, a = axes_of(axis), np.abs(x)
    if p == "fro":
        p = 2
    if p == 0:
        return np.asarray((x != 0).sum(axis=axes).astype(np.float64))
    if p in (float("inf"), float("-inf")):
        return np.asarray(a.max(axis=axes) if p == float("inf") else a.min(axis=axes))
    return np.asarray((a ** float(p)).sum(axis=axes) ** (1 / float(p)))


def logsumexp(x: Array, axis: Axes = None, keepdim: bool = False) -> Array:
    """log(sum(exp(x)))."""
    return np.asarray(np.log(np.exp(x).sum(axis=axes_of(axis), keepdims=keepdim)))


def argument(function: Callable[..., Any]) -> Callable[..., Array]:
    """The first index of the extreme."""

    def found(x: Array, axis: int | None = None, keepdim: bool = False, dtype: str = "int64") -> Array:
        return np.asarray(function(x, axis=axis, keepdims=keepdim)).astype(dtype)

    return found


def topk(x: Array, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> list[Array]:
    """Values and indices, in order."""
    order = np.argsort(-x if largest else x, axis=axis, kind="stable")
    index = np.take(order, range(k), axis=axis)
    return [np.take_along_axis(x, index, axis), index]


def sort(x: Array, axis: int = -1, descending: bool = False) -> Array:
    """Ascending or descending."""
    return -np.sort(-x, axis=axis) if descending else np.sort(x, axis=axis)


def kthvalue(x: Array, k: int, axis: int = -1) -> list[Array]:
    """The k-th smallest and its index."""
    index = np.argsort(x, axis=axis).take([k - 1], axis=axis)
    return [np.take_along_axis(x, index, axis).squeeze(axis), index.squeeze(axis)]


def strided_slice(
    x: Array, axes: Sequence[int], starts: Sequence[int], ends: Sequence[int], strides: Sequence[int]
) -> Array:
    """A negative start or end counts from the end once; below -size it lies before the first element."""
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, strides, strict=True):
        index[axis] = slice(start, end, step)  # numpy counts the same way
    return x[tuple(index)]


def split(x: Array, num_or_sections: int | Sequence[int], axis: int) -> list[Array]:
    """Into equal parts or given ones, of which one may be -1."""
    if isinstance(num_or_sections, int):
        return np.split(x, num_or_sections, axis=axis)
    sizes = list(num_or_sections)
    sizes = [x.shape[axis] - sum(s for s in sizes if s > 0) if s == -1 else s for s in sizes]
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def masked(function: Callable[..., Array]) -> Callable[..., Array]:
    """Triangles."""
    return lambda x, diagonal=0: function(x, diagonal)


def assigned(x: Array) -> Array:
    """The second channel is 2."""
    y = x.copy()
    y[:, 1] = 2.0
    return y


def put_along_axis(x: Array, index: Array, values: float, axis: int, reduce: str = "assign") -> Array:
    """Set or added at the indices."""
    y = x.copy()
    if reduce == "assign":
        np.put_along_axis(y, index, values, axis)
        return y
    for place in np.ndindex(index.shape):
        where = list(place)
        where[axis] = index[place]
        y[tuple(where)] += values
    return y


def scatter(x: Array, index: Array, updates: Array, overwrite: bool = True) -> Array:
    """``overwrite=False``: rows that are named become 0, then all updates are added."""
    y = x.copy()
    if overwrite:
        y[index] = updates
        return y
    y[index] = 0
    np.add.at(y, index, updates)
    return y


def scatter_nd_add(x: Array, index: Array, updates: Array) -> Array:
    """Updates added at the indices."""
    y = x.copy()
    np.add.at(y, tuple(np.moveaxis(index, -1, 0)), updates)
    return y


def embedding(index: Array, weight: Array, padding_idx: int | None = None) -> Array:
    """Rows of the table; that of ``padding_idx`` gives zeros."""
    rows = weight[index]
    return rows if padding_idx is None else np.where((index == padding_idx)[..., None], 0.0, rows)


def matmul(x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False) -> Array:
    """Of the last two axes."""
    return np.asarray(
        np.matmul(x.swapaxes(-1, -2) if transpose_x else x, y.swapaxes(-1, -2) if transpose_y else y)
    )


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "mean": reduction(np.mean),
    "sum": reduction(np.sum),
    "max": reduction(np.max),
    "min": reduction(np.min),
    "amax": reduction(np.max),
    "amin": reduction(np.min),
    "prod": reduction(np.prod),
    "all": reduction(np.all),
    "any": reduction(np.any),
    "count_nonzero": reduction(np.count_nonzero),
    "var": spread(False),
    "std": spread(True),
    "norm": norm,
    "logsumexp": logsumexp,
    "argmax": argument(np.argmax),
    "argmin": argument(np.argmin),
    "argsort": lambda x, axis=-1, descending=False: np.argsort(
        -x if descending else x, axis=axis, kind="stable"
    ),
    "topk": topk,
    "sort": sort,
    "kthvalue": kthvalue,
    "cumsum": lambda x, axis=None: np.cumsum(x, axis=axis),
    "cumprod": lambda x, dim: np.cumprod(x, axis=dim),
    "logcumsumexp": lambda x, axis: np.log(np.cumsum(np.exp(x), axis=axis)),
    "split": split,
    "chunk": lambda x, chunks, axis: np.split(x, chunks, axis=axis),
    "concat_twice": lambda x, axis: np.concatenate([x, 2 * x], axis=axis),
    "stack_twice": lambda x, axis: np.stack([x, 2 * x], axis=axis),
    "strided_slice": strided_slice,
    "slice": lambda x, axes, starts, ends: strided_slice(x, axes, starts, ends, [1] * len(axes)),
    "index_reversed": lambda x: x[:, :, ::-1],
    "index_stepped": lambda x: x[:, 1:4:2, -1:0:-2],
    "index_ellipsis": lambda x: x[..., 1:3],
    "index_integer": lambda x: x[:, -1, :, 2],
    "index_newaxis": lambda x: x[:, None, 1],
    "index_listed": lambda x: x[:, [2, 0, 3]],
    "index_masked": lambda x: np.where(x > 0.5, x, 0),
    "index_assigned": assigned,
    "tile": lambda x, repeat_times: np.tile(x, repeat_times),
    "repeat_interleave": lambda x, repeats, axis: np.repeat(x, repeats, axis=axis),
    "roll": lambda x, shifts, axis: np.roll(x, shifts, axis=axes_of(axis)),
    "flip": lambda x, axis: np.flip(x, axis=axes_of(axis)),
    "rot90": lambda x, k, axes: np.rot90(x, k, axes),
    "transpose": lambda x, perm: np.transpose(x, perm),
    "tril": masked(np.tril),
    "triu": masked(np.triu),
    "diag": lambda x, offset: np.diag(x, offset),
    "diagonal": lambda x, offset, axis1, axis2: np.diagonal(x, offset, axis1, axis2),
    "gather": lambda x, index, axis=0: np.take(x, index, axis=axis),
    "index_select": lambda x, index, axis=0: np.take(x, index, axis=axis),
    "gather_nd": lambda x, index: x[tuple(np.moveaxis(index, -1, 0))],
    "index_sample": lambda x, index: np.take_along_axis(x, index, axis=1),
    "take_along_axis": lambda x, index, axis: np.take_along_axis(x, index, axis=axis),
    "put_along_axis": put_along_axis,
    "scatter": scatter,
    "scatter_nd_add": scatter_nd_add,
    "embedding": embedding,
    "one_hot": lambda x, num_classes: np.eye(num_classes)[x],
    "where": np.where,
    "masked_fill": lambda x, mask, value: np.where(mask, value, x),
    "matmul": matmul,
    "bmm": matmul,
    "dot": lambda x, y: (x * y).sum(axis=-1),
    "mv": matmul,
    "outer": np.outer,
    "inner": np.inner,
    "cross": lambda x, y, axis: np.cross(x, y, axis=axis),
    "addmm": lambda c, x, y, alpha, beta: beta * c + alpha * (x @ y),
    "einsum_of": lambda x, y, equation: np.einsum(equation, x, y),
}
