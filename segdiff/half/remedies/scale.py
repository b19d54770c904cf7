"""Can a value be made smaller and the model stay? A power of two moved from its makers to its readers.

Half precision ends at 65504. Where an activation goes beyond, the weights that make it are multiplied by
2^-k and those that read it by 2^k, and what is computed between them follows: a Relu, a pool, a sum of two
such values pass the factor on, a product adds the exponents up, a constant that is added is multiplied too.
A power of two changes no digit, so the result is the same but for what a runtime adds in another order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Graph, Op
from segdiff.half.norms import EPSILON, norm_of
from segdiff.half.remedies.rewriting import Rewrite, constant, names_of, operand, unique_value
from segdiff.half.static import called

ROOM = 2.0**14
"""A value is brought down to this: another picture may then give four times as much."""

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "Mul", "Div"})
"""Linear in one operand, where the others are constants."""

FIRST = frozenset(
    {
        "Relu", "LeakyRelu", "PRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
        "LpPool", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "Resize",
        "Upsample", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Gather", "Identity",
        "Dropout", "Expand", "Tile", "Neg", "Abs", "DepthToSpace", "SpaceToDepth", "Split", "Trilu",
    }
)  # fmt: skip
"""A factor on their first operand is one on their results, whatever the others (settings) say."""

SAME = frozenset({"Add", "Sub", "Max", "Min", "Sum", "Mean", "Concat", "Clip"})
"""All of their operands must have the same factor."""

NORMS = frozenset({"LayerNormalization", "InstanceNormalization"})
"""A factor on their first operand is gone in their result, with an epsilon that fits."""

INVARIANT = frozenset({"ArgMax", "ArgMin", "Shape", "Size", "Sign"})
"""A positive factor changes nothing in what they give."""

MOST = 64
"""Operators that one factor may pass: a region beyond that is half a model."""


class NotPossibleError(Exception):
    """The factor cannot be moved: something in its way is not linear."""


@dataclass
class Region:
    """The values that get smaller, each by ``2 ** (-k * exponent)``; ``patched`` are the operands (op, place)
    that a Mul of their own makes smaller, ``ops`` all that the factor meets."""

    graph: Graph
    exponents: dict[str, Fraction]
    patched: dict[tuple[int, int], Fraction] = field(default_factory=dict)
    ops: dict[int, Op] = field(default_factory=dict)
    products: list[Op] = field(default_factory=list)
    queue: list[str] = field(default_factory=list)
    waiting: dict[int, Op] = field(default_factory=dict)
    asked: dict[tuple[int, int], Fraction] = field(default_factory=dict)

    def of(self, name: str) -> Fraction:
        """The exponent of a value; of one that keeps its size zero."""
        return self.exponents.get(name, Fraction(0))

    def at(self, op: Op, slot: int) -> Fraction:
        """The exponent of what an op reads in a place."""
        return self.of(operand(op, slot) or "") + self.patched.get((op.index, slot), Fraction(0))

    def give(self, name: str, exponent: Fraction) -> None:
        """A value gets an exponent. Raises NotPossibleError where it has another, or must keep its size."""
        if name in self.exponents and self.exponents[name] != exponent:
            raise NotPossibleError(name)
        if name in self.exponents:
            return
        self.exponents[name] = exponent
        if exponent:
            graph = self.graph
            if name in graph.outputs or name in graph.inputs or name in graph.parameters:
                raise NotPossibleError(name)
            self.queue.append(name)

    def give_all(self, names: Iterable[str], exponent: Fraction) -> None:
        """Several values get one."""
        for name in names:
            self.give(name, exponent)


def moved_scale(graph: Graph, value: str, peak: float) -> Rewrite | None:
    """The rewrite that brings a value of that largest size within float16's range; None where it cannot be.

    Only a value that a Conv, ConvTranspose, Gemm, MatMul or batch norm makes, maybe with an Add, or an
    activation behind it, can be made smaller at its source.
    """
    if not math.isfinite(peak) or peak <= ROOM:
        return None
    try:
        region = region_of(graph, value)
    except NotPossibleError:
        return None
    k = math.ceil(math.log2(peak / ROOM))
    k += k % 2 if any(exponent.denominator > 1 for exponent in region.exponents.values()) else 0
    edits = tuple(_edits(region, k))
    source = graph.producer[value]
    touched = [region.ops[index] for index in sorted(region.ops)]
    changed = {edit.output for edit in edits}
    others = [op for op in touched if op is not source and op.outputs and op.outputs[0] in changed]
    names = ", ".join(names_of(others[:3])) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    text = f"make what {called(source)} gives 2^{k} times smaller, and the constants of {names} fit"
    return Rewrite(
        "scale", source.index, names_of(touched), frozenset(region.ops), text, edits, _names(edits)
    )


def _names(edits: tuple[Edit, ...]) -> Mapping[str, str]:
    return {node.outputs[0]: node.outputs[0] for edit in edits for node in edit.before}


# --- which values


def region_of(graph: Graph, value: str) -> Region:
    """All values that must get smaller with one. Raises NotPossibleError."""
    region = Region(graph, {})
    region.give(value, Fraction(1))
    while region.queue or region.waiting:
        if region.queue:
            name = region.queue.pop()
            _made(region, name)
            _read(region, name)
        else:  # a product is asked when all that can be known of its operands is
            op = region.waiting.pop(min(region.waiting))
            region.give(op.outputs[0], _degree(region, op))
        if len(region.ops) > MOST:
            raise NotPossibleError(value)
    _settle(region)
    return region


def _settle(region: Region) -> None:
    """What a sum reads that kept its size gets a Mul; all must fit together in the end."""
    for (index, slot), exponent in region.asked.items():
        name = operand(region.ops[index], slot) or ""
        if not region.of(name):
            region.patched[index, slot] = exponent
        elif region.of(name) != exponent:
            raise NotPossibleError(name)
    for op in region.products:
        if _degree(region, op) != region.of(op.outputs[0]):
            raise NotPossibleError(op.name)


def _made(region: Region, name: str) -> None:
    """What must become of the operands of the op that makes a value."""
    op, exponent = region.graph.producer[name], region.of(name)
    if op.index in region.ops and op not in region.products and not is_weighted(region.graph, op):
        return
    region.ops[op.index] = op
    if is_weighted(region.graph, op):
        return
    if op.type in FIRST:
        region.give_all((op.inputs[0], *op.outputs), exponent)
    elif op.type in SAME:
        _same(region, op, exponent)
    elif op not in region.products:  # not reached from its operands
        raise NotPossibleError(name)


def _same(region: Region, op: Op, exponent: Fraction) -> None:
    """The operands of a sum: they get the factor at their source, or by a Mul in front of the sum."""
    graph = region.graph
    for slot, name in _data(graph, op):
        if name in graph.parameters:
            if constant(graph, name) is None:  # of integers, or quantised
                raise NotPossibleError(name)
        elif _chain(graph, name):
            region.give(name, exponent)
        else:
            region.asked[op.index, slot] = exponent


def _chain(graph: Graph, name: str) -> bool:
    """Whether a value comes from weights, through ops that hand the factor on, and goes nowhere else."""
    for _ in range(4):
        maker = graph.producer.get(name)
        if maker is None or len(graph.consumers.get(name, ())) != 1 or name in graph.outputs:
            return False
        if is_weighted(graph, maker):
            return True
        if maker.type == "Add" and any(other in graph.parameters for other in maker.inputs):
            name = next((other for other in maker.inputs if other not in graph.parameters), "")
        elif maker.type in ("Relu", "LeakyRelu", "Clip"):
            name = maker.inputs[0]
        else:
            return False
    return False


def _data(graph: Graph, op: Op) -> list[tuple[int, str]]:
    """The operands that get a factor, by their place. Raises NotPossibleError."""
    places = [(int(slot), name) for name, slot in zip(op.inputs, op.slots, strict=True)]
    if op.type == "Clip":
        if any(constant(graph, name) is None for _, name in places[1:]):
            raise NotPossibleError(op.name)
        return places[:1]
    return places


def _read(region: Region, name: str) -> None:
    """What must become of the results, and the other operands, of the ops that read a value."""
    graph, exponent = region.graph, region.of(name)
    for op in graph.consumers.get(name, ()):
        if "captured" in op.slots:
            raise NotPossibleError(name)
        if op.type in INVARIANT:
            continue
        region.ops[op.index] = op
        if is_weighted(graph, op):
            continue
        if op.type in FIRST and op.inputs[0] == name:
            region.give_all(op.outputs, exponent)
        elif op.type in SAME:
            _same(region, op, exponent)
            region.give(op.outputs[0], exponent)
        elif op.type not in NORMS or op.inputs[0] != name:
            region.products.append(op)
            region.waiting[op.index] = op


def _degree(region: Region, op: Op) -> Fraction:
    """The exponent of what a product, a quotient, a power or a root of such values has."""
    operands = [region.of(name) for name in op.inputs]
    if op.type in ("Mul", "MatMul") and len(operands) == 2:
        return operands[0] + operands[1]
    if op.type == "Div":
        return operands[0] - operands[1]
    if op.type == "Sqrt":
        return operands[0] / 2
    if op.type == "Reciprocal":
        return -operands[0]
    if op.type == "Pow":
        power = constant(region.graph, op.inputs[1])
        if power is not None and power.size == 1 and float(power.reshape(-1)[0]).is_integer():
            return operands[0] * int(power.reshape(-1)[0])
    raise NotPossibleError(op.name)


def is_weighted(graph: Graph, op: Op) -> bool:
    """Whether an op is linear in one operand, with constants for the others."""
    if op.type not in WEIGHTED or len(op.inputs) < 2:
        return False
    if op.type == "BatchNormalization":
        return norm_of(graph, op) is not None
    data = data_slot(graph, op)
    others = [name for name, slot in zip(op.inputs, op.slots, strict=True) if slot != str(data)]
    return op.inputs[data] not in graph.parameters and all(
        constant(graph, name) is not None for name in others
    )


def data_slot(graph: Graph, op: Op) -> int:
    """The place of the operand that a weighted op is linear in: behind a constant the second."""
    return int(op.type in ("Mul", "MatMul") and op.inputs[0] in graph.parameters)


# --- the edits


def _edits(region: Region, k: int) -> Iterator[Edit]:
    for index in sorted(region.ops):
        op = region.ops[index]
        written = region.of(op.outputs[0])
        inputs, attributes = dict(_constants(region, op, written, k)), dict(_settings(region, op, written, k))
        before = []
        for (place, slot), exponent in region.patched.items():
            if place == index:
                smaller = unique_value(region.graph, f"{op.outputs[0]}.{slot}.smaller")
                factor = _factor(-k * exponent, np.dtype(np.float32))
                before.append(Node("Mul", (operand(op, slot), factor), (smaller,)))
                inputs[slot] = smaller
        if inputs or attributes:
            yield Edit(op.outputs[0], inputs=inputs, attributes=attributes, before=tuple(before))


def _constants(region: Region, op: Op, written: Fraction, k: int) -> Iterator[tuple[int, Operand]]:
    """The constants of an op that get another size, by their place."""
    powers: dict[int, Fraction] = {}
    if op.type == "BatchNormalization":
        read = region.at(op, 0)
        powers = {1: -written, 2: -written, 3: -read, 4: -2 * read}
    elif is_weighted(region.graph, op):
        data = data_slot(region.graph, op)
        gain = region.at(op, data) - written
        powers = {1 - data: -gain if op.type == "Div" else gain, 2: -written}
    elif op.type in SAME:
        powers = {int(slot): -written for slot in op.slots}
    for slot, power in powers.items():
        name = operand(op, slot)
        held = constant(region.graph, name) if name else None
        if held is not None and power:
            yield slot, held * _factor(k * power, held.dtype)


def _settings(region: Region, op: Op, written: Fraction, k: int) -> Iterator[tuple[str, float]]:
    """The attributes of an op that get another size."""
    read = region.at(op, 0)
    if op.type in (*NORMS, "BatchNormalization") and read:
        yield "epsilon", float(op.attributes.get("epsilon", EPSILON)) * 2.0 ** float(-2 * k * read)
    if op.type == "Clip" and written:
        for name in ("min", "max"):
            if name in op.attributes:
                yield name, float(op.attributes[name]) * 2.0 ** float(-k * written)


def _factor(
    power: Fraction, dtype: np.dtype[np.generic]
) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """A power of two as a scalar of a type."""
    return np.asarray(2.0 ** float(power)).astype(dtype)
