"""What is the last bit of a segment? Of its inputs, its parameters, and of what it rounds on the way.

Of a float it is the last bit of its type. Of a tensor that is quantised it is a step of its scale: every
QuantizeLinear is given numbers that are moved by up to a step, and so are quantised inputs and parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from segdiff.align import Segment
from segdiff.align.kinds import QUANTISED_DATA
from segdiff.core.edit import Edit, Node, Operand, merged
from segdiff.core.graph import Array, Graph, Op
from segdiff.core.precision import EPSILON, disturbed, unit_of
from segdiff.core.quantised import Quantisation

SEED = 20240501
"""Of the disturbance; fixed, so that a verdict can be repeated."""


UNIFORM = {"low": -1.0, "high": 1.0, "seed": 1.0}
"""Attributes of RandomUniformLike."""


def quantises(graph: Graph, ops: Iterable[int]) -> bool:
    """Whether some of the ops compute on quantised tensors, or make them."""
    return any(
        "Quantize" in op.type
        or op.type in QUANTISED_DATA
        or any(name in graph.quantised for name in (*op.inputs, *op.outputs))
        for op in map(graph.op, ops)
    )


def moved(graph: Graph, name: str, array: Array, seed: int, unit: float) -> Array:
    """A value with its last bit disturbed at random, in a type of that unit; of a quantised one a step."""
    how = graph.quantised.get(name)
    if how is None or array.dtype.kind != "f":
        return disturbed(array, seed, EPSILON if unit_is_step(unit) else unit)
    return np.asarray(array + steps(how, array.shape, seed), array.dtype)


def unit_is_step(unit: float) -> bool:
    """Whether a unit is that of bytes, which are moved where they are made, and not at a float input."""
    return unit not in (EPSILON, 2.0**-11)


def steps(how: Quantisation, shape: tuple[int, ...], seed: int) -> Array:
    """Up to a step of the scale either way, at random."""
    random = np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)
    return random * how.steps(len(shape))


def read(reference: Graph, segment: Segment, c: str) -> Quantisation | None:
    """How the reference's ops of a segment quantise what they read in the place of ``c``, where they do."""
    ours = {r for r, name in segment.inputs if name == c}
    for op in map(reference.op, segment.reference_ops):
        if op.type == "QuantizeLinear" and ours & set(op.inputs) and op.outputs[0] in reference.quantised:
            return reference.quantised[op.outputs[0]]
    return None


def written(reference: Graph, segment: Segment, c: str) -> Quantisation | None:
    """How the reference quantises what a segment makes in the place of ``c``, where the segment does so."""
    name = next((r for r, other in segment.outputs if other == c), "")
    maker = reference.producer.get(name)
    if maker is None or maker.index not in segment.reference_ops:
        return None
    if maker.type == "DequantizeLinear":
        return reference.quantised.get(maker.inputs[0])
    return reference.quantised.get(name)


def stored_anew(ours: tuple[Graph, Iterable[int]], theirs: tuple[Graph, Iterable[int]]) -> bool:
    """Whether two sets of ops keep the same weights as integers of another scale: each rounded for itself.

    A scale that was changed alone moves the numbers by more than a step. The same integers with another zero
    point, or another scale, are not stored anew: nobody has rounded them.
    """
    mine, other = (list(_weights(graph, ops)) for graph, ops in (ours, theirs))
    for array, how in mine:
        for again, anew in other:
            if array.shape != again.shape or np.array_equal(how.integers(array), anew.integers(again)):
                continue
            step = np.maximum(how.steps(array.ndim), anew.steps(array.ndim))
            if (np.abs(array - again) <= step).all():
                return True
    return False


def _weights(graph: Graph, ops: Iterable[int]) -> Iterator[tuple[Array, Quantisation]]:
    """The quantised parameters of some ops, as the numbers that they stand for, and how they are kept."""
    for name in {name for op in map(graph.op, ops) for name in op.inputs if name in graph.parameters}:
        how = graph.quantised.get(name)
        if how is not None:
            array = graph.parameters[name].load()
            yield how.numbers(array) if array.dtype.name == how.dtype else array, how


def edits(graph: Graph, ops: Iterable[int], given: tuple[Edit, ...] = ()) -> tuple[Edit, ...]:
    """The edits that disturb what the ops keep and round, together with those ``given``."""
    theirs = {edit.output for edit in given}
    found = [edit for op in map(graph.op, ops) for edit in _of(graph, op)]
    return merged((*(edit for edit in found if not edit.nodes or edit.output not in theirs), *given))


def _of(graph: Graph, op: Op) -> Iterator[Edit]:
    if op.type == "QuantizeLinear":
        yield _dithered(graph, op)
        return
    if op.type == "DynamicQuantizeLinear":
        yield _dithered_by_its_own_scale(op)
        return
    data = QUANTISED_DATA.get(op.type)
    inputs: dict[int, Operand] = {}
    for slot, name in zip(op.slots, op.inputs, strict=True):
        if name in graph.parameters and slot.isdigit() and (data is None or slot in data):
            array = _moved_parameter(graph, name)
            if array is not None:
                inputs[int(slot)] = array
    if inputs:
        yield Edit(op.outputs[0], inputs=inputs)


def _moved_parameter(graph: Graph, name: str) -> Array | None:
    """A parameter in a type coarser than float32, moved by its last bit; whole numbers are exact."""
    known, how = graph.parameters[name], graph.quantised.get(name)
    if how is not None and known.dtype == how.dtype:
        limits = np.iinfo(how.dtype)
        array = known.load()
        random = np.random.default_rng(SEED).uniform(-1, 1, array.shape)
        return np.asarray(np.clip(array + np.rint(random), limits.min, limits.max), array.dtype)
    if how is not None:
        array = known.load()
        return np.asarray(array + steps(how, array.shape, SEED), array.dtype)
    if unit_of(known.dtype) <= EPSILON:
        return None
    array = known.load()
    return np.asarray(np.where(array == np.rint(array), array, disturbed(array, SEED)), array.dtype)


def _dithered(graph: Graph, op: Op) -> Edit:
    """A QuantizeLinear whose input is moved by up to a step."""
    out, how = op.outputs[0], graph.quantised.get(op.outputs[0])
    step: Operand = op.inputs[1] if how is None else np.asarray(how.scale.max(), np.float32)
    places: list[Operand] = [f"{out}.moved", *op.inputs[1:]]
    nodes = (
        Node("RandomUniformLike", (op.inputs[0],), (f"{out}.random",), UNIFORM),
        Node("Mul", (f"{out}.random", step), (f"{out}.noise",)),
        Node("Add", (op.inputs[0], f"{out}.noise"), (f"{out}.moved",)),
        Node("QuantizeLinear", tuple(places), op.outputs, dict(op.attributes)),
    )
    return Edit(out, nodes=nodes)


def _dithered_by_its_own_scale(op: Op) -> Edit:
    """A DynamicQuantizeLinear, likewise; the step follows from its input."""
    out, x = op.outputs[0], op.inputs[0]
    first = tuple(f"{out}.first.{place}" for place in range(3))
    nodes = (
        Node("DynamicQuantizeLinear", (x,), first),
        Node("RandomUniformLike", (x,), (f"{out}.random",), UNIFORM),
        Node("Mul", (f"{out}.random", first[1]), (f"{out}.noise",)),
        Node("Add", (x, f"{out}.noise"), (f"{out}.moved",)),
        Node("DynamicQuantizeLinear", (f"{out}.moved",), op.outputs),
    )
    return Edit(out, nodes=nodes)
