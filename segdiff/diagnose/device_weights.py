"""With which other weights does an operator give what the device has? Known mistakes, then solved for.

A convolution or a matrix product is linear in its weights: where its own inputs and its output are there, the
weights that the device has used can be computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit
from segdiff.core.graph import Array, Graph, Op
from segdiff.core.precision import LARGEST
from segdiff.walk.probe import Bench

LARGEST_KERNEL = 1200
"""Weights of one output channel up to which they are solved for; the cost grows with their cube."""

EQUATIONS = 4
"""Places of the output for every weight that is solved for."""

SPARE = 1.2
"""Places of the output for every unknown, from which on weights are solved for. Whatever a device does can be
put down to weights where there are as many unknowns as numbers; what is not linear leaves here the root of
1 - 1/1.2, or 0.41, of its error, more than what counts as helping (``WEIGHTS_HELP`` of :mod:`.device`)."""

DIFFERS = 0.02
"""Share of a weight's largest number from which on a solved weight is told as another one: well above what a
rounding of the output to half precision does to it."""

OTHER = "device.weights"

OTHERS = 24
"""Parameters of the same shape that are tried in a weight's place."""

Tried = Iterator[tuple[str, str, tuple[Edit, ...]]]
"""The kind of the cause, words, and the edits."""

LIMIT = LARGEST["float16"]


def other_weights(bench: Bench, value: str, theirs: Array) -> Tried:
    """Edits that give an operator other weights, with their kind and words, the likeliest first."""
    graph = bench.probe.graph
    ops = [graph.op(index) for index in bench.segment.ops]
    for mistake in (_cast, _mistaken):
        for op in ops:
            for place, name in weights_of(graph, op):
                yield from mistake(graph, op, place, name)
    if len(ops) == 1 and value in ops[0].outputs:
        yield from _solved(bench, ops[0], theirs)


def weights_of(graph: Graph, op: Op) -> Iterator[tuple[int, str]]:
    """The float parameters of an op with more than one number: input position and name."""
    for slot, name in zip(op.slots, op.inputs, strict=True):
        known = graph.parameters.get(name)
        if known is not None and slot.isdigit() and known.size > 1 and known.dtype in ("float32", "float16"):
            yield int(slot), name


def _cast(graph: Graph, op: Op, place: int, name: str) -> Tried:
    """A parameter that half precision does not hold, cast to it: to infinity, or to its largest number."""
    weight = graph.parameters[name].load()
    beyond = np.abs(weight) > LIMIT
    count = f"{int(beyond.sum())} of the {weight.size} numbers of {name!r}"
    words = f"{count} are beyond {LIMIT:g}, where float16 ends"
    for end in (np.inf, LIMIT) if beyond.any() else ():
        cast = np.where(beyond, np.copysign(end, weight), weight).astype(weight.dtype)
        yield "device.overflow", words, (Edit(op.outputs[0], inputs={place: cast}),)


def _mistaken(graph: Graph, op: Op, place: int, name: str) -> Tried:
    """The mistakes that a device's memory, or a build, makes with a parameter."""
    weight = graph.parameters[name].load()
    for words, array in _variants(weight):
        if array.shape == weight.shape and not np.array_equal(array, weight):
            yield (
                OTHER,
                f"{name!r} {words}",
                (Edit(op.outputs[0], inputs={place: np.ascontiguousarray(array)}),),
            )
    left = OTHERS
    for other, known in graph.parameters.items():
        if left and other != name and known.shape == weight.shape and known.dtype == weight.dtype:
            left -= 1
            edit = Edit(op.outputs[0], inputs={place: known.load()})
            yield OTHER, f"{other!r} in the place of {name!r}", (edit,)


def _variants(weight: Array) -> Iterator[tuple[str, Array]]:
    flat = weight.reshape(-1)
    for shift in (1, -1):
        yield f"shifted by {shift} in memory", np.roll(flat, shift).reshape(weight.shape)
        moved = np.roll(flat, shift)
        moved[0 if shift > 0 else -1] = 0
        yield f"shifted by {shift} in memory, the end zero", moved.reshape(weight.shape)
    for axis, shift in product(range(weight.ndim), (1, -1)):
        if weight.ndim > 1 and weight.shape[axis] > 1:
            yield f"shifted by {shift} along axis {axis}", np.roll(weight, shift, axis)
    if weight.ndim == 4:
        yield "with its kernels turned by 180 degrees", weight[..., ::-1, ::-1]
        yield "with height and width of its kernels exchanged", weight.swapaxes(2, 3)
    if weight.ndim >= 2:
        yield "with its first two axes exchanged", weight.swapaxes(0, 1)
    yield "all zero", np.zeros_like(weight)
    yield "with the other sign", -weight


def _solved(bench: Bench, op: Op, theirs: Array) -> Tried:
    """The weights that follow from the device's own input and output."""
    graph, kind = bench.probe.graph, kind_of(op)
    names = dict(weights_of(graph, op))
    if 1 not in names or op.inputs[0] not in bench.feeds:
        return
    x = bench.feeds[op.inputs[0]].array.astype(np.float64)
    weight = graph.parameters[names[1]].load()
    if op.type == "Conv" and weight.ndim == 4 and x.ndim == 4:
        found = _kernel(op, x, weight, theirs)
    elif kind == "matmul" and op.type in ("MatMul", "Gemm") and weight.ndim == 2:
        found = _matrix(op, x, weight, theirs)
    else:
        return
    if found is None:
        return
    solved, bias = found
    inputs: dict[int, Array] = {1: solved.astype(weight.dtype)}
    if len(op.inputs) > 2 and op.inputs[2] in graph.parameters:
        inputs[2] = bias.astype(weight.dtype).reshape(graph.parameters[op.inputs[2]].shape)
    yield OTHER, _told(names[1], weight, solved), (Edit(op.outputs[0], inputs=inputs),)


def _told(name: str, weight: Array, solved: Array) -> str:
    """In how many places, and where, the weights that were solved for are others."""
    apart = np.abs(solved - weight) > DIFFERS * np.abs(weight).max()
    places = np.argwhere(apart)
    if not len(places):
        return f"those of {name!r}, less exactly"
    if len(places) <= 3:
        told = ", ".join(
            f"{list(map(int, place))} is {solved[tuple(place)]:.4g} and not {weight[tuple(place)]:.4g}"
            for place in places
        )
        return f"of {name!r} {told}"
    rows = np.unique(places[:, 0])
    where = f" in {len(rows)} of its {weight.shape[0]} output channels" if len(rows) < weight.shape[0] else ""
    return f"{len(places)} of the {weight.size} numbers of {name!r} are others{where}"


def _least_squares(rows: Array, wanted: Array) -> tuple[Array, Array] | None:
    """Weights and bias: ``wanted`` (places, channels) as a linear function of ``rows`` (places, weights)."""
    count = rows.shape[1] + 1
    if count > LARGEST_KERNEL or len(rows) < SPARE * count:
        return None
    if len(rows) > EQUATIONS * count:
        chosen = np.random.default_rng(0).choice(len(rows), EQUATIONS * count, replace=False)
        rows, wanted = rows[chosen], wanted[chosen]
    full = np.hstack([rows, np.ones((len(rows), 1))])
    try:
        found, _, rank, _ = np.linalg.lstsq(full, wanted.astype(np.float64), rcond=1e-7)
    except np.linalg.LinAlgError:
        return None
    return (found[:-1], found[-1]) if rank else None


def _kernel(op: Op, x: Array, weight: Array, theirs: Array) -> tuple[Array, Array] | None:
    """The kernels of a convolution of an (N, C, H, W) tensor; None where they cannot be had."""
    outputs, inputs, height, width = weight.shape
    groups = int(op.attributes.get("group", 1) or 1)
    strides = tuple(op.attributes.get("strides") or (1, 1))
    dilations = tuple(op.attributes.get("dilations") or (1, 1))
    pads = tuple(op.attributes.get("pads") or (0, 0, 0, 0))
    if (
        op.attributes.get("auto_pad") not in (None, "", "NOTSET")
        or math.prod(weight.shape[1:]) >= LARGEST_KERNEL
    ):
        return None
    if theirs.ndim != 4 or theirs.shape[1] != outputs or not np.isfinite(theirs).all():
        return None
    x = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
    span = dilations[0] * (height - 1) + 1, dilations[1] * (width - 1) + 1
    windows = np.lib.stride_tricks.sliding_window_view(x, span, axis=(2, 3))
    windows = windows[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
    if windows.shape[2:4] != theirs.shape[2:]:
        return None
    n, _, rows, columns = theirs.shape
    solved, bias = np.empty(weight.shape), np.empty(outputs)
    most = EQUATIONS * (math.prod(weight.shape[1:]) + 1)
    places = np.arange(n * rows * columns)
    if places.size > most:
        places = np.random.default_rng(0).choice(places, most, replace=False)
    where = np.unravel_index(places, (n, rows, columns))
    each = outputs // groups
    for group in range(groups):
        mine = slice(group * inputs, (group + 1) * inputs)
        taps = windows[where[0], mine, where[1], where[2]].reshape(len(places), -1)
        own = slice(group * each, (group + 1) * each)
        found = _least_squares(taps, theirs[where[0], own, where[1], where[2]])
        if found is None:
            return None
        solved[own] = found[0].T.reshape(each, inputs, height, width)
        bias[own] = found[1]
    return solved, bias


def _matrix(op: Op, x: Array, weight: Array, theirs: Array) -> tuple[Array, Array] | None:
    """The right matrix of a product; None where it cannot be had."""
    if op.attributes.get("transA") or (op.attributes.get("alpha") or 1.0) != 1.0:
        return None
    turned = bool(op.attributes.get("transB"))
    rows = x.reshape(-1, x.shape[-1])
    wanted = theirs.reshape(-1, theirs.shape[-1])
    if len(rows) != len(wanted) or not np.isfinite(wanted).all():
        return None
    found = _least_squares(rows, wanted)
    if found is None:
        return None
    return (found[0].T if turned else found[0]), found[1]
