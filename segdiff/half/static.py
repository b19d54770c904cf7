"""What about half precision is known without a run? What a file holds that its numbers end before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segdiff.core.graph import Array, Graph, Op, Parameter
from segdiff.core.half import Half, Static
from segdiff.core.precision import LARGEST, SMALLEST_STEP
from segdiff.half.norms import Norm, norms
from segdiff.readers.dtypes import numpy_dtype

LARGEST_HALF = LARGEST["float16"]

WHOLE = {"fp16": 2048, "bf16": 256}
"""Up to here every whole number is exact."""

COUNTED = frozenset(
    {"Add", "Sub", "Mul", "Div", "Mod", "Where", "Concat", "Gather", "Equal", "Less", "Greater", "Min", "Max"}
)
"""Operators whose constants are positions and indices at times, and not weights."""

EVERY = 2.0**24
"""Beyond this every number of float32 is whole, and nothing was counted."""

MANY = 2048
"""Terms of a sum: where they are alike, a device that adds in float16 stops growing here."""

LISTED = 12
"""Channels that are told by number."""

EPSILONS = frozenset(
    {"BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization"}
)
"""Operators with an epsilon of their own."""

MEANS = frozenset({"ReduceMean", "GlobalAveragePool"})

SUMS = frozenset({"ReduceSum", "ReduceSumSquare", "ReduceL2", "ReduceLogSumExp"}) | MEANS

WEIGHTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def static(graph: Graph, precision: Half = "fp16") -> tuple[Static, ...]:
    """What a float32 ONNX file holds that half precision does not, in program order: parameters, bounds and
    epsilons beyond its range, whole numbers that it has no place for, long sums.

    bfloat16 has the range of float32, so there only whole numbers are asked about. Raises ModelError where a
    parameter's data is damaged.
    """
    known = _Known(graph, {})
    found: list[Static] = []
    for op in graph.ops:
        if precision == "fp16":
            found += [*_parameters(known, op), *_epsilons(op), *_sums(graph, op)]
        found += _whole_numbers(known, op, precision)
    return tuple(found)


def alpha_overflows(graph: Graph) -> tuple[Static, ...]:
    """The batch norms whose ``alpha = offset / gamma * sigma - mean`` float16 has no number for, with their
    channels: a device that computes ``(x + alpha) * beta'`` loses these channels."""
    return tuple(_told(norm) for norm in norms(graph) if overflowing(norm).size)


def called(op: Op) -> str:
    """The name of an op's node; of one that has none, what it writes."""
    unnamed = op.name == f"{op.type.rpartition('.')[2]}.{op.index}"
    return op.outputs[0] if unnamed and op.outputs else op.name


def overflowing(norm: Norm) -> Array:
    """The channels of a batch norm whose alpha is beyond float16, or no number at all, the worst first."""
    size = np.abs(norm.alpha)
    size = np.where(np.isnan(size), np.inf, size)
    found = np.flatnonzero(size > LARGEST_HALF)
    return found[np.argsort(-size[found], kind="stable")]


def _told(norm: Norm) -> Static:
    channels = overflowing(norm)
    worst, scale = norm.alpha[channels[0]], norm.scale[channels[0]]
    ones = "channel" if len(channels) == 1 else "channels"
    size = f"{worst:.3g}" if np.isfinite(worst) else "no number"
    example = f"channel {channels[0]}: gamma {scale:.3g}, alpha {size}"
    return Static(
        (called(norm.op),),
        "precision.alpha",
        f"as (x + alpha) * beta', alpha = offset / gamma * sigma - mean is beyond {LARGEST_HALF:.0f} in "
        f"{ones} {listed(channels)} of {norm.scale.size} ({example})",
    )


def listed(channels: Array) -> str:
    """Channels in ascending order, in words, a dozen at the most."""
    ordered = [str(int(each)) for each in np.sort(channels)]
    if len(ordered) > LISTED:
        return f"{', '.join(ordered[:LISTED])} and {len(ordered) - LISTED} more"
    return ordered[0] if len(ordered) == 1 else f"{', '.join(ordered[:-1])} and {ordered[-1]}"


@dataclass(frozen=True)
class Extent:
    """What is asked of a parameter: its largest and smallest sizes (of what is neither zero nor infinite),
    and whether it holds infinities."""

    largest: float
    smallest: float
    below: float
    infinite: bool
    whole: bool


@dataclass(frozen=True)
class _Known:
    """A graph, and the parameters that were looked at: each is loaded once."""

    graph: Graph
    extents: dict[str, Extent]

    def parameter(self, name: str) -> Parameter | None:
        """A parameter in floating point wider than half; None where the name is none, or is quantised."""
        held = self.graph.parameters.get(name)
        wide = held is not None and held.dtype in ("float32", "float64") and name not in self.graph.quantised
        return held if wide else None

    def extent(self, name: str) -> Extent | None:
        """What a float parameter's numbers reach; None where it is no such parameter, or is empty."""
        held = self.parameter(name)
        if held is None or not held.size:
            return None
        if name not in self.extents:
            self.extents[name] = extent_of(held.load())
        return self.extents[name]


def extent_of(array: Array) -> Extent:
    """What the numbers of an array reach (it is not empty)."""
    flat = array.reshape(-1)
    finite = flat if np.isfinite(flat.min()) and np.isfinite(flat.max()) else flat[np.isfinite(flat)]
    if not finite.size:
        return Extent(0.0, 0.0, 0.0, True, False)
    size = np.abs(finite)
    largest = float(size.max())
    some = size[size > 0] if float(size.min()) == 0 else size
    return Extent(
        largest,
        float(some.min()) if some.size else 0.0,
        float(finite.min()),
        finite.size < flat.size,
        min(WHOLE.values()) < largest <= EVERY and bool(np.array_equal(finite, np.rint(finite))),
    )


def _parameters(known: _Known, op: Op) -> Iterator[Static]:
    """Parameters beyond the largest number, and those that all vanish below the smallest."""
    for slot, name in zip(op.slots, op.inputs, strict=True):
        extent = known.extent(name)
        if extent is None or (op.type == "Resize" and slot in ("1", "2")):
            continue
        what = role(op, slot)
        if extent.largest > LARGEST_HALF:
            yield Static((called(op),), *_beyond(op, slot, what, extent))
        if extent.smallest and extent.largest < SMALLEST_STEP / 2:
            text = f"the {what} is {extent.largest:.3g} at the most, and float16 makes nothing of it"
            text += _divided(known.graph, op)
            yield Static((called(op),), "precision.underflow", text)


def _beyond(op: Op, slot: str, what: str, extent: Extent) -> tuple[str, str]:
    """Kind and words of a parameter that float16 ends before."""
    end = f"and float16 ends at {LARGEST_HALF:.0f}"
    if op.type == "BatchNormalization" and slot == "4":
        return "precision.variance", f"a variance goes up to {extent.largest:.3g}, {end}"
    if op.type == "Clip":
        return "precision.bound", f"the {what} is {extent.largest:.3g}, {end}: there it is none"
    if op.type in ("Add", "Where", "Sub", "Mul", "Pad") and extent.below < -LARGEST_HALF:
        return "precision.mask", f"the {what} goes down to {extent.below:.3g}, {end}: it may become -inf"
    verb = "go" if what.endswith("s") and what != "bias" else "goes"
    return "precision.overflow", f"the {what} {verb} up to {extent.largest:.3g}, {end}"


def role(op: Op, slot: str) -> str:
    """What a constant operand is to an operator, in a word or two."""
    if op.type == "BatchNormalization":
        return {"1": "scale", "2": "offset", "3": "mean", "4": "variance"}.get(slot, "constant")
    if op.type in WEIGHTS:
        return {"1": "weights", "2": "bias"}.get(slot, "constant")
    if op.type == "Clip":
        return {"1": "lower bound", "2": "upper bound"}.get(slot, "constant")
    return "constant"


def _divided(graph: Graph, op: Op) -> str:
    """What becomes of a tiny constant that keeps a divisor from zero."""
    if op.type not in ("Add", "Max", "Clip"):
        return ""
    queue, seen = list(op.outputs), 0
    while queue and seen < 8:
        name, seen = queue.pop(), seen + 1
        for reader in graph.consumers.get(name, ()):
            divides = reader.type == "Div" and len(reader.inputs) == 2 and reader.inputs[1] == name
            if divides or reader.type in ("Reciprocal", "Log"):
                return f"; {reader.type} {reader.name} relies on it"
            if reader.type in ("Sqrt", "Expand", "Pow"):
                queue += reader.outputs
    return ""


def _epsilons(op: Op) -> Iterator[Static]:
    epsilon = op.attributes.get("epsilon")
    known = op.type in EPSILONS or op.type.endswith("LayerNormalization")
    if known and isinstance(epsilon, float) and 0 < epsilon < SMALLEST_STEP:
        text = f"epsilon is {epsilon:.3g}, below float16's smallest number 6e-08, and may become 0"
        yield Static((called(op),), "precision.epsilon", text)


def _sums(graph: Graph, op: Op) -> Iterator[Static]:
    """Reductions over so many elements that a device which sums in half precision cannot hold the sum."""
    if op.type not in SUMS:
        return
    terms = terms_of(graph, op)
    mean = op.type in MEANS
    if terms is None or terms <= (LARGEST_HALF if mean else MANY):
        return
    first = " before it divides" if mean else ""
    text = (
        f"adds {terms} numbers up{first}; a sum that is kept in float16 stops growing at {MANY} equal ones, "
        f"and ends at {LARGEST_HALF:.0f}"
    )
    yield Static((called(op),), "precision.long_sum", text)


def terms_of(graph: Graph, op: Op) -> int | None:
    """How many elements a reduction adds up for each that it writes, where the file tells."""
    shape = graph.value(op.inputs[0]).shape
    if shape is None:
        return None
    if op.type == "GlobalAveragePool":
        axes = list(range(2, len(shape)))
    else:
        asked = op.attributes.get("axes")
        operand = graph.parameters.get(op.inputs[1]) if len(op.inputs) > 1 else None
        if len(op.inputs) > 1 and operand is None:
            return None
        axes = operand.load().reshape(-1).tolist() if operand else list(asked or ())
        if not axes:
            axes = [] if op.attributes.get("noop_with_empty_axes", 0) else list(range(len(shape)))
    sizes = [shape[axis] for axis in axes if -len(shape) <= axis < len(shape)]
    known = [size for size in sizes if size is not None]
    return int(np.prod(known, dtype=np.int64)) if len(known) == len(sizes) else None


def _whole_numbers(known: _Known, op: Op, precision: Half) -> Iterator[Static]:
    """Whole numbers in floating point that half precision has no place for: grids, positions, indices."""
    end = WHOLE[precision]
    for slot, name in zip(op.slots, op.inputs, strict=True) if op.type in COUNTED else ():
        extent = known.extent(name)
        if extent is None or not extent.whole or extent.largest <= end:
            continue
        if extent.largest > LARGEST_HALF and precision == "fp16":
            continue  # told as out of range
        held = known.graph.parameters[name].load()
        if not np.array_equal(_halved(held, precision), held):
            text = (
                f"the {role(op, slot)} holds whole numbers up to {extent.largest:.0f}; {_places(precision)}"
            )
            yield Static((called(op),), "precision.integers", text)
    yield from _counted(known.graph, op, precision)


def _halved(array: Array, precision: Half) -> Array:
    """An array as it is after a rounding to half precision."""
    if precision == "fp16":
        with np.errstate(over="ignore"):
            return np.asarray(array.astype(np.float16).astype(array.dtype))
    return np.asarray(array.astype(numpy_dtype("bfloat16")).astype(array.dtype))


def _places(precision: Half) -> str:
    word = "float16" if precision == "fp16" else "bfloat16"
    return f"above {WHOLE[precision]} {word} does not have every one"


def _counted(graph: Graph, op: Op, precision: Half) -> Iterator[Static]:
    """Indices that an operator counts and another makes floating point of."""
    to_float = op.type == "Cast" and op.attributes.get("to") in (1, 11)
    maker = graph.producer.get(op.inputs[0]) if to_float and op.inputs else None
    if maker is None or maker.type not in ("ArgMax", "ArgMin", "TopK", "NonZero", "Range"):
        return
    if maker.type == "Range":
        limit = graph.parameters.get(maker.inputs[1])
        size = int(limit.load().reshape(-1)[0]) if limit is not None and limit.size else None
    elif maker.type == "NonZero":
        size = max((each or 0 for each in graph.value(maker.inputs[0]).shape or ()), default=None)
    else:
        shape = graph.value(maker.inputs[0]).shape
        axis = int(maker.attributes.get("axis", -1 if maker.type == "TopK" else 0))
        size = shape[axis] if shape and -len(shape) <= axis < len(shape) else None
    if size is not None and size > WHOLE[precision] + 1:
        text = f"makes floating point of indices up to {size - 1} of {maker.type}; {_places(precision)}"
        yield Static((called(op),), "precision.integers", text)
