"""What does the order of a sum inside a segment do to what comes out? The sum drifts, and the rest runs on.

Where terms are nearly equal, as on a white page, a running sum drifts in proportion to their number, and two
right implementations differ by that. A difference from the mean makes much of it: what is left of a variance
there may be off by a thousandth. No disturbance of the inputs shows it, for their own roundings cancel. How
far a plain running sum in float32 is from the exact one is known from the terms themselves: textured ones
drift by next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from segdiff.align import Segment
from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Array, Graph, Op
from segdiff.engines import Tensor
from segdiff.walk.rounding import named_axes

SUMS = frozenset({"ReduceMean", "ReduceSum", "GlobalAveragePool"})

SHARE = 1 / 6
"""Of the drift of a plain running sum: at 24 times its own rounding a segment may err by four such drifts.
Measured at the most 1.2 of them, on the variance of a white page."""

FEWEST = 64
"""Terms of a sum below which its drift is no more than what the last bit does."""

Run = Callable[[Iterable[str]], Mapping[str, Tensor]]
"""Inner values of a segment on the tensors that it is fed."""


def drifted(graph: Graph, segment: Segment, feeds: Mapping[str, Tensor], run: Run) -> tuple[Edit, ...]:
    """The edits that let each sum inside a segment drift; none where no sum has something behind it.

    Raises what ``run`` raises.
    """
    found = [graph.op(index) for index in segment.nodes]
    read = {name for op in found for name in op.inputs}
    sums = [op for op in found if op.type in SUMS and op.outputs[0] in read]
    if not sums:
        return ()
    inner = {op.inputs[0] for op in sums} - set(feeds)
    terms = {**feeds, **(run(sorted(inner)) if inner else {})}
    return tuple(edit for op in sums for edit in _of(graph, op, terms[op.inputs[0]].array))


def _of(graph: Graph, op: Op, array: Array) -> Iterator[Edit]:
    axes = op.attributes.get("axes", named_axes(graph, op)) or range(array.ndim)
    if op.type == "GlobalAveragePool":
        axes = range(2, array.ndim)
    places = sorted({int(axis) % max(1, array.ndim) for axis in axes if -array.ndim <= axis < array.ndim})
    count = math.prod(array.shape[place] for place in places)
    if array.dtype != np.float32 or count < FEWEST:
        return
    drift = drift_of(array, places)
    if not int(op.attributes.get("keepdims", 1)):
        drift = drift.reshape([n for place, n in enumerate(drift.shape) if place not in places])
    factor = np.asarray(1 + SHARE * drift, np.float32)
    out, (domain, _, op_type) = op.outputs[0], op.type.rpartition(".")
    first = Node(op_type, op.inputs, (f"{out}.exact",), dict(op.attributes), domain)
    yield Edit(out, nodes=(first, Node("Mul", (f"{out}.exact", factor), (out,))))


def drift_of(array: Array, axes: list[int]) -> Array:
    """By which share of itself a running sum in float32 along some axes ends up away from the exact one; the
    axes stay, of length one.

    >>> flat, varied = np.full((2, 9000), 0.1, np.float32), np.linspace(-1, 2, 9000, dtype=np.float32)
    >>> drift_of(flat, [1]).shape, bool((np.abs(drift_of(flat, [1])) > 1e-5).all())
    ((2, 1), True)
    >>> bool(np.abs(drift_of(varied, [0])).max() < 1e-6)
    True
    """
    kept = [place for place in range(array.ndim) if place not in axes]
    rows = np.moveaxis(array, kept, range(len(kept)))
    rows = rows.reshape(*(array.shape[place] for place in kept), -1)
    exact = rows.sum(axis=-1, dtype=np.float64)
    running = np.cumsum(rows, axis=-1, dtype=np.float32)[..., -1].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(exact == 0, 0.0, (running - exact) / exact)
    share = np.nan_to_num(share, nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(share.reshape([1 if n in axes else length for n, length in enumerate(array.shape)]))
