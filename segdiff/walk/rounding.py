"""How far may two right implementations of a segment drift apart because they add in another order?

Disturbing the inputs does not show it: the disturbances of K terms cancel, the roundings of their running sum
do not. A running sum in float32 drifts by sqrt(K) roundings where the terms vary (Higham, Accuracy and
Stability of Numerical Algorithms, 4.2), and in proportion to K where they are nearly equal, as in the mean
over a white page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from segdiff.align.kinds import kind_of
from segdiff.core.graph import Graph, Op

REDUCTIONS = frozenset(
    {"avg_pool", "reduce_mean", "reduce_sum", "reduce_prod", "norm", "cumsum", "logsumexp"}
)
WEIGHTED = frozenset({"conv", "conv_transpose", "deform_conv", "matmul"})
ALONG_AN_AXIS = frozenset({"layer_norm", "instance_norm", "group_norm", "einsum"})
EXPONENTIALS = frozenset({"softmax", "log_softmax"})
"""They divide by a sum of positive terms, most of them tiny beside it: a running sum loses a part of each, in
one direction (measured: 2.4e-5 over the 18,385 classes of a text recogniser)."""

SAMPLING = frozenset({"resize", "grid_sample"})
COORDINATES = 4.0
"""A coordinate near L carries L roundings of its own into the weights of its neighbours, on either side,
and two neighbours may differ by twice the tensor's scale."""

SPREAD = 2.0
"""Times sqrt(K) roundings, for terms that vary. Measured at the most 0.3 in the zoo's convolutions."""

DRIFT = 0.5
"""Times K roundings, for sums of nearly equal terms: each of K running sums, growing from 0 to the whole, is
rounded once. Measured up to 0.1 on the global pools of a text detector over a white page."""


def roundings(
    graph: Graph, ops: Iterable[int], inputs: Iterable[tuple[int, ...]], output: tuple[int, ...]
) -> float:
    """Float32 roundings by which a segment's result may differ, relative to its size.

    ``inputs`` and ``output`` are the shapes of the tensors on the run.

    >>> from pathlib import Path
    >>> pool = Op(0, "GlobalAveragePool", "", ("x",), ("0",), ("y",), {})
    >>> graph = Graph("onnx", Path("m"), (pool,), {}, {}, ("x",), ("y",))
    >>> roundings(graph, [0], [(1, 8, 64, 64)], (1, 8, 1, 1))  # a sum of 4,096 that may be nearly equal
    2048.0
    """
    shapes = list(inputs)
    allowed = 0.0
    for op in map(graph.op, ops):
        kind = kind_of(op)
        if kind in WEIGHTED or kind in ALONG_AN_AXIS:
            allowed = max(allowed, SPREAD * math.sqrt(terms(graph, op, shapes)))
        elif kind in EXPONENTIALS:
            along = summed(graph, op, shapes)
            allowed = max(allowed, SPREAD * math.sqrt(along), DRIFT * along)
        elif kind in SAMPLING:
            allowed = max(allowed, COORDINATES * max(output[2:], default=1))
        elif kind in REDUCTIONS:
            ratio = max((math.prod(shape) for shape in shapes), default=1) / max(1, math.prod(output))
            count = max(ratio, reduced(graph, op, shapes))
            allowed = max(allowed, SPREAD * math.sqrt(count), DRIFT * count)
    return allowed


def reduced(graph: Graph, op: Op, shapes: list[tuple[int, ...]]) -> int:
    """How many values a reduction adds up, by the axes it names; 1 where it names none.

    In a segment of several operators the sizes of what comes in and goes out do not tell: a convolution in
    front of a global pool that makes 96 channels of 12 leaves each mean a sum of as many pixels.

    >>> from pathlib import Path
    >>> pool = Op(0, "GlobalAveragePool", "", ("x",), ("0",), ("y",), {})
    >>> graph = Graph("onnx", Path("m"), (pool,), {}, {}, ("x",), ("y",))
    >>> reduced(graph, pool, [(1, 12, 160, 160)])
    25600
    """
    if op.type == "GlobalAveragePool":
        return max((math.prod(shape[2:]) for shape in shapes), default=1)
    axes = op.attributes.get("axes", named_axes(graph, op))
    if not isinstance(axes, list | tuple) or not axes:
        return 1
    reach = max(axis + 1 if axis >= 0 else -axis for axis in axes)
    return max((math.prod(shape[a] for a in axes) for shape in shapes if len(shape) >= reach), default=1)


def named_axes(graph: Graph, op: Op) -> list[int]:
    """The axes that a Reduce reads as its second input, where they are constant: from opset 13 or 18 on."""
    place = op.slots.index("1") if op.type.startswith("Reduce") and "1" in op.slots else None
    known = None if place is None else graph.parameters.get(op.inputs[place])
    return [] if known is None else [int(axis) for axis in known.load().reshape(-1)]


def summed(graph: Graph, op: Op, shapes: list[tuple[int, ...]]) -> int:
    """How many exponentials a softmax adds up: along its axis, before opset 13 all axes from there on.

    >>> from pathlib import Path
    >>> softmax = Op(0, "Softmax", "", ("x",), ("0",), ("y",), {"axis": 1})
    >>> graph = Graph("onnx", Path("m"), (softmax,), {}, {}, ("x",), ("y",), opset=17)
    >>> summed(graph, softmax, [(1, 19, 64, 64)])
    19
    """
    shape = max(shapes, key=math.prod, default=())
    flat = op.type in ("Softmax", "LogSoftmax") and 0 < graph.opset < 13
    axis = op.attributes.get("axis", 1 if flat else -1)
    if not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
        return max(shape, default=1)
    return math.prod(shape[axis:] if flat else shape[axis : axis + 1 or None])


def terms(graph: Graph, op: Op, shapes: list[tuple[int, ...]]) -> int:
    """How many products one element of a convolution, matrix product or softmax adds up (an upper bound)."""
    weights = [graph.parameters[name] for name in op.inputs if name in graph.parameters]
    kernels = [weight for weight in weights if len(weight.shape) >= 2]
    if kernels:
        largest = max(kernels, key=lambda weight: weight.size)
        return largest.size // max(1, min(largest.shape[:2]))
    return max((max(shape, default=1) for shape in shapes), default=1)
