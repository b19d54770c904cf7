"""What is one tensor to another? The argmax of it, its softmax, its transpose, its whole numbers.

Plain functions of one tensor are tried in both directions; one counts where the whole tensor comes out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segdiff.core.graph import Array
from segdiff.core.metrics import Comparison, compare_arrays, same_form
from segdiff.core.precision import EPSILON
from segdiff.walk import Run
from segdiff.walk.judge import floor_of, size_of
from segdiff.walk.sketch import SAME_UNITS
from segdiff.walk.upstream import upstream
from segdiff.walk.verify.pairing import same_value

SAME_CHANGED = 1e-3
"""Of whole numbers, the share that may be another (a tie)."""

LEAST_KINDS = 2
"""Values that a tensor must have at least: a constant is anything's argmax."""

MOST_AXES = 5


@dataclass(frozen=True)
class Relation:
    """``kind`` of the finding; ``words`` say what one is of the other, ``backward`` the reference's of the
    candidate's."""

    kind: str
    words: str
    residual: Comparison
    backward: bool


def same(ours: Array, theirs: Array, unit: float = EPSILON) -> bool:
    """Whether two tensors hold the same numbers in the same form, not by chance.

    ``unit`` is one rounding of the arithmetic that made them (``segdiff.core.precision``).
    """
    if not same_form(ours.shape, theirs.shape) or ours.size == 0:
        return False
    return agree(compare_arrays(ours, theirs), unit) and telling(ours)


def agree(found: Comparison, unit: float = EPSILON) -> bool:
    """Whether an error is one between equal tensors."""
    if found.mismatch:
        return False
    if found.discrete:
        return found.changed <= max(SAME_CHANGED, SAME_UNITS * unit if unit > EPSILON else 0.0)
    return same_value(found.metrics, unit)


def rounds(run: Run, name: str, found: Comparison, unit: float) -> bool:
    """Whether an output that no operator of the candidate computes errs by no more than the reference's may
    round: an operator that a converter has left out as too small shows in nothing else."""
    view = run.alignment.reference
    ops = set(upstream(view.graph, [name], frozenset())) & {op.index for op in view.ops}
    return found.discrete or size_of(found) <= floor_of(unit) * max(1, len(ops))


def telling(array: Array) -> bool:
    """Whether a tensor has more than one value."""
    return array.size >= LEAST_KINDS and bool(np.any(array.reshape(-1)[1:] != array.reshape(-1)[0]))


def relation(reference: Array, candidate: Array, unit: float = EPSILON) -> Relation | None:
    """How the candidate's output comes from the reference's, or the other way round."""
    for one, other, backward in ((reference, candidate, False), (candidate, reference, True)):
        if not telling(other):
            continue
        for kind, name, function in functions(one, other):
            with np.errstate(all="ignore"):
                made = np.asarray(function(one))
            if same_form(made.shape, other.shape) and agree(found := compare_arrays(made, other), unit):
                return Relation(kind, name, found, backward)
    return None


Function = tuple[str, str, Callable[[Array], Any]]


def functions(one: Array, other: Array) -> Iterator[Function]:
    """The functions whose result can have the other's form."""
    axes = range(one.ndim)
    if other.dtype.kind in "iub" or np.array_equal(other, np.round(other)):
        for axis in axes:
            yield "output.op", f"the argmax over axis {axis}", partial(np.argmax, axis=axis)
            yield "output.op", f"the argmin over axis {axis}", partial(np.argmin, axis=axis)
    if one.shape == other.shape:
        yield "output.dtype", "the whole numbers", np.trunc
        yield "output.dtype", "the rounded numbers", np.round
        yield "output.op", "the sign (above 0)", above_zero
        yield "output.op", "the decision (above 0.5)", above_half
        yield "output.op", "the sigmoid", sigmoid
        for axis in axes:
            yield "output.op", f"the softmax over axis {axis}", partial(softmax, axis=axis)
    elif sorted(one.shape) == sorted(other.shape) and one.ndim <= MOST_AXES:
        for order in itertools.permutations(axes):
            if tuple(one.shape[axis] for axis in order) == other.shape:
                yield "output.layout", f"the transpose {list(order)}", partial(np.transpose, axes=order)
    if one.size == other.size and one.shape != other.shape:
        yield "output.shape", "the reshape", lambda x: x.reshape(other.shape)
    for axis in axes:
        if one.ndim == other.ndim and one.shape[axis] > other.shape[axis]:
            count = other.shape[axis]
            first = partial(np.take, indices=range(count), axis=axis)
            yield "output.shape", f"the first {count} along axis {axis}", first
        if one.ndim > other.ndim:
            yield "output.op", f"the maximum over axis {axis}", partial(np.max, axis=axis)


def above_zero(x: Array) -> Array:
    """The decision of a logit."""
    return np.asarray(x > 0)


def above_half(x: Array) -> Array:
    """The decision of a probability."""
    return np.asarray(x > 0.5)


def sigmoid(x: Array) -> Array:
    """The sigmoid in float64."""
    return np.asarray(1 / (1 + np.exp(-x.astype(np.float64))))


def softmax(x: Array, axis: int) -> Array:
    """The softmax in float64."""
    wide = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    return np.asarray(wide / wide.sum(axis, keepdims=True))
