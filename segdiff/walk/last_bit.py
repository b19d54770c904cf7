"""What is the last bit of a segment? Of its inputs, its parameters, and of what it rounds on the way.

Of a float it is the last bit of its type. Of a tensor that is quantised it is a step of its scale: every
QuantizeLinear is given numbers that are moved by up to a step, and so are quantised inputs and parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from segdiff.align import Segment
from segdiff.align.kinds import QUANTISED_DATA, QUANTIZE, kind_of
from segdiff.core.edit import Edit, Node, Operand, merged
from segdiff.core.graph import Array, Graph, Op
from segdiff.core.precision import DEQUANTIZE, EPSILON, disturbed, unit_of
from segdiff.core.quantised import Quantisation
from segdiff.readers.onnx_blocked import BLOCKED, spelled_out

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
        if op.type in QUANTIZE and ours & set(op.inputs) and op.outputs[0] in reference.quantised:
            return reference.quantised[op.outputs[0]]
    return None


def written(reference: Graph, segment: Segment, c: str) -> Quantisation | None:
    """How the reference quantises what a segment makes in the place of ``c``, where the segment does so."""
    name = next((r for r, other in segment.outputs if other == c), "")
    maker = reference.producer.get(name)
    if maker is None or maker.index not in segment.reference_ops:
        return None
    if maker.type in DEQUANTIZE:
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


def same_ranges(ours: tuple[Graph, Iterable[int]], theirs: tuple[Graph, Iterable[int]]) -> bool:
    """Whether two sets of ops keep what they compute as bytes of the same scales and zero points.

    Two right files that were calibrated otherwise do not: each rounds to steps of its own.
    """
    return _ranges(*ours) == _ranges(*theirs)


def _ranges(graph: Graph, ops: Iterable[int]) -> list[tuple[bytes, bytes]]:
    names = {name for op in map(graph.op, ops) for name in (*op.inputs, *op.outputs)}
    found = [
        graph.quantised[name] for name in names if name in graph.quantised and name not in graph.parameters
    ]
    return sorted({(how.scale.tobytes(), how.zero_point.astype(np.int64).tobytes()) for how in found})


def _weights(graph: Graph, ops: Iterable[int]) -> Iterator[tuple[Array, Quantisation]]:
    """The quantised parameters of some ops, as the numbers that they stand for, and how they are kept."""
    for name in {name for op in map(graph.op, ops) for name in op.inputs if name in graph.parameters}:
        how = graph.quantised.get(name)
        if how is not None:
            array = graph.parameters[name].load()
            yield how.numbers(array) if array.dtype.name == how.dtype else array, how


Steps = Callable[[Op, Array, Quantisation], Array]
"""The step of every element of a quantised weight of an op, given as numbers, in a shape that broadcasts."""


def as_stored(op: Op, numbers: Array, how: Quantisation) -> Array:
    """The steps of the scale that the file has."""
    return how.steps(numbers.ndim)


def for_each_channel(op: Op, numbers: Array, how: Quantisation) -> Array:
    """The steps that a scale for each channel would have, where the file has one for all; never coarser."""
    axis = output_axis(op, numbers.ndim)
    if how.scale.size != 1 or axis is None:
        return how.steps(numbers.ndim)
    others = tuple(n for n in range(numbers.ndim) if n != axis)
    largest = np.abs(numbers).max(axis=others, keepdims=True, initial=0)
    return np.asarray(np.minimum(how.steps(numbers.ndim), largest / np.iinfo(np.int8).max), np.float32)


def output_axis(op: Op, ndim: int) -> int | None:
    """The axis of a weight along which an op has its output channels; None where it has no such weight."""
    kind = kind_of(op)
    if ndim < 2 or kind not in ("conv", "conv_transpose", "matmul"):
        return None
    first = kind == "conv" or bool(op.attributes.get("transB"))
    return 1 if kind == "conv_transpose" else 0 if first else ndim - 1


def share_a_scale(graph: Graph, ops: Iterable[int]) -> bool:
    """Whether some of the ops compute with a weight that has one scale for all of its channels."""
    for op in map(graph.op, ops):
        for name in _computed_on(graph, op).values():
            how, known = graph.quantised.get(name), graph.parameters[name]
            if how is not None and how.scale.size == 1 and output_axis(op, len(known.shape)) is not None:
                return True
    return False


def edits(
    graph: Graph, ops: Iterable[int], given: tuple[Edit, ...] = (), steps_of: Steps = as_stored
) -> tuple[Edit, ...]:
    """The edits that disturb what the ops keep and round, together with those ``given``.

    Weights that those put in the place of quantised ones are disturbed by a step, too.
    """
    computing = [graph.op(index) for index in ops]
    rescaled = {
        op.outputs[0]: _dithered(graph, op, edit)
        for op in computing
        for edit in given
        if op.type in QUANTIZE and edit.output == op.outputs[0] and _only_rescales(edit)
    }
    given = tuple(edit for edit in given if edit.output not in rescaled)
    theirs = {edit.output for edit in given} | set(rescaled)
    found = [edit for op in computing for edit in _of(graph, op, steps_of)]
    makers = {name: op for op in computing for name in op.outputs}
    own = [_disturbed_too(graph, makers[e.output], e) if e.output in makers else e for e in given]
    kept = [edit for edit in found if not edit.nodes or edit.output not in theirs]
    return merged((*kept, *rescaled.values(), *own))


def _only_rescales(edit: Edit) -> bool:
    """Whether an edit gives a QuantizeLinear another constant scale and zero point, and does no more."""
    changes = edit.op_type or edit.nodes or edit.before or edit.attributes
    return not changes and all(isinstance(edit.inputs.get(place, ""), np.ndarray) for place in (1, 2))


def _disturbed_too(graph: Graph, op: Op, edit: Edit) -> Edit:
    """An edit whose constants move by a step where they stand for quantised weights."""
    if edit.nodes or edit.op_type:
        return edit
    inputs = dict(edit.inputs)
    for place, name in _computed_on(graph, op).items():
        array, how = inputs.get(place), graph.quantised.get(name)
        if not isinstance(array, np.ndarray) or how is None:
            continue
        if array.dtype.kind != "f":
            inputs[place] = _by_a_bit(array, np.ones((), np.float32))
        elif output_axis(op, array.ndim) is not None:
            moved = _random(array.shape) * for_each_channel(op, array, how)
            inputs[place] = np.asarray(array + moved, array.dtype)
    return replace(edit, inputs=inputs)


def _computed_on(graph: Graph, op: Op) -> dict[int, str]:
    """The parameters that an op computes on, by input position; the rest is scales and zero points."""
    data = QUANTISED_DATA.get(op.type)
    return {
        int(slot): name
        for slot, name in zip(op.slots, op.inputs, strict=True)
        if name in graph.parameters and slot.isdigit() and (data is None or slot in data)
    }


def _random(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(SEED).uniform(-1, 1, shape).astype(np.float32)


def _by_a_bit(array: Array, share: Array) -> Array:
    """Integers moved by one either way or not at all, seldomer where a step is only a ``share`` of theirs."""
    limits = np.iinfo(array.dtype)
    random = np.random.default_rng(SEED).uniform(-1, 1, array.shape)
    moved = np.where(np.abs(random) > 1 - 0.5 * share * share, np.sign(random), 0)
    return np.asarray(np.clip(array + moved, limits.min, limits.max), array.dtype)


def _of(graph: Graph, op: Op, steps_of: Steps) -> Iterator[Edit]:
    if op.type in QUANTIZE:
        yield _dithered(graph, op)
        return
    if op.type == "DynamicQuantizeLinear":
        yield _dithered_by_its_own_scale(op)
        return
    inputs: dict[int, Operand] = {}
    for place, name in _computed_on(graph, op).items():
        array = _moved_parameter(graph, op, name, steps_of)
        if array is not None:
            inputs[place] = array
    if op.type in BLOCKED and BLOCKED[op.type] in inputs:
        yield Edit(op.outputs[0], nodes=spelled_out(op, np.asarray(inputs[BLOCKED[op.type]])))
        return
    before: tuple[Node, ...] = ()
    if op.type in QUANTISING_INSIDE:
        x, stem = op.inputs[0], f"{op.outputs[0]}.read"
        first = tuple(f"{stem}.first.{place}" for place in range(3))
        before = (Node("DynamicQuantizeLinear", (x,), first), *_moving(x, first[1], stem))
        inputs[0] = f"{stem}.moved"
    if inputs:
        yield Edit(op.outputs[0], inputs=inputs, before=before)


QUANTISING_INSIDE = frozenset({"com.microsoft.DynamicQuantizeMatMul", "com.microsoft.DynamicQuantizeLSTM"})
"""Operators that make bytes of their first input themselves, at a scale that follows from it."""


def _moved_parameter(graph: Graph, op: Op, name: str, steps_of: Steps) -> Array | None:
    """A parameter in a type coarser than float32, moved by its last bit; whole numbers are exact."""
    known, how = graph.parameters[name], graph.quantised.get(name)
    if how is not None and known.dtype == how.dtype:
        array = known.load()
        return _by_a_bit(array, steps_of(op, how.numbers(array), how) / how.steps(array.ndim))
    if how is not None:
        array = known.load()
        return np.asarray(array + _random(array.shape) * steps_of(op, array, how), array.dtype)
    if unit_of(known.dtype) <= EPSILON:
        return None
    array = known.load()
    return np.asarray(np.where(array == np.rint(array), array, disturbed(array, SEED)), array.dtype)


def _dithered(graph: Graph, op: Op, given: Edit | None = None) -> Edit:
    """A QuantizeLinear whose input is moved by up to a step: of its scale, or of one that it is ``given``."""
    out, how = op.outputs[0], graph.quantised.get(op.outputs[0])
    step: Operand = op.inputs[1] if how is None else np.asarray(how.scale.max(), np.float32)
    domain, _, op_type = op.type.rpartition(".")
    places: list[Operand] = [f"{out}.moved", *op.inputs[1:]]
    if given is not None:
        scale, zero = given.inputs[1], given.inputs[2]
        step = np.asarray(np.max(scale), np.float32)  # type: ignore[arg-type]
        places = [f"{out}.moved", scale, zero]
    last = Node(op_type, tuple(places), op.outputs, dict(op.attributes), domain)
    return Edit(out, nodes=(*_moving(op.inputs[0], step, out), last))


def _dithered_by_its_own_scale(op: Op) -> Edit:
    """A DynamicQuantizeLinear, likewise; the step follows from its input."""
    out, x = op.outputs[0], op.inputs[0]
    first = tuple(f"{out}.first.{place}" for place in range(3))
    before = Node("DynamicQuantizeLinear", (x,), first)
    last = Node("DynamicQuantizeLinear", (f"{out}.moved",), op.outputs)
    return Edit(out, nodes=(before, *_moving(x, first[1], out), last))


def _moving(x: str, step: Operand, stem: str) -> tuple[Node, ...]:
    """Nodes that write ``stem.moved``, which is ``x`` moved by up to a step; zero is exact, and stays."""
    return (
        Node("RandomUniformLike", (x,), (f"{stem}.random",), UNIFORM),
        Node("Sign", (x,), (f"{stem}.sign",)),
        Node("Mul", (f"{stem}.random", f"{stem}.sign"), (f"{stem}.signed",)),
        Node("Mul", (f"{stem}.signed", step), (f"{stem}.noise",)),
        Node("Add", (x, f"{stem}.noise"), (f"{stem}.moved",)),
    )
