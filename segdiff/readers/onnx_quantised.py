"""Which tensors of an ONNX graph are quantised, and how? Operators say it of what they read and write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from segdiff.core.edit import Edit
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Graph, Op, Parameter
from segdiff.core.precision import DEQUANTIZE
from segdiff.core.quantised import Quantisation
from segdiff.readers.onnx_blocked import along, in_blocks

INTEGERS = frozenset({"int4", "uint4", "int8", "uint8", "int16", "uint16", "int32"})

PASSING = frozenset(
    [
        *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "MaxPool", "Slice", "Split"),
        *("Expand", "Tile", "Gather", "DepthToSpace", "SpaceToDepth", "Resize", "Pad"),
    ]
)
"""Operators that hand bytes on as they are, and with them their scale."""

OUT = -1
"""In place of an input position: the operator's output."""

QUANTISED: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    **dict.fromkeys(("QuantizeLinear", "com.microsoft.QuantizeLinear"), ((OUT, 1, 2),)),
    **dict.fromkeys(("DequantizeLinear", "com.microsoft.DequantizeLinear"), ((0, 1, 2),)),
    "QLinearConv": ((0, 1, 2), (3, 4, 5), (OUT, 6, 7)),
    "QLinearMatMul": ((0, 1, 2), (3, 4, 5), (OUT, 6, 7)),
    "com.microsoft.QLinearConv": ((0, 1, 2), (3, 4, 5), (OUT, 6, 7)),
    "com.microsoft.QGemm": ((0, 1, 2), (3, 4, 5), (OUT, 7, 8)),
    "com.microsoft.MatMulIntegerToFloat": ((0, 2, 4), (1, 3, 5)),
    "com.microsoft.DynamicQuantizeMatMul": ((1, 2, 3),),
    "com.microsoft.DynamicQuantizeLSTM": ((1, 8, 9), (2, 10, 11)),
    "com.microsoft.QAttention": ((0, 3, 6), (1, 4, 7)),
    "com.microsoft.QEmbedLayerNormalization": tuple((n, n + 6, n + 11) for n in range(2, 7)),
    "com.microsoft.QLinearWhere": ((1, 2, 3), (4, 5, 6), (OUT, 7, 8)),
    "com.microsoft.QLinearAdd": ((0, 1, 2), (3, 4, 5), (OUT, 6, 7)),
    "com.microsoft.QLinearMul": ((0, 1, 2), (3, 4, 5), (OUT, 6, 7)),
    "com.microsoft.QLinearSigmoid": ((0, 1, 2), (OUT, 3, 4)),
    "com.microsoft.QLinearLeakyRelu": ((0, 1, 2), (OUT, 3, 4)),
    "com.microsoft.QLinearSoftmax": ((0, 1, 2), (OUT, 3, 4)),
    "com.microsoft.QLinearAveragePool": ((0, 1, 2), (OUT, 3, 4)),
    "com.microsoft.QLinearGlobalAveragePool": ((0, 1, 2), (OUT, 3, 4)),
    "com.microsoft.QLinearReduceMean": ((0, 1, 2), (OUT, 3, 4)),
}
"""Operator -> (tensor, its scale, its zero point), by input position."""

CONCAT = "com.microsoft.QLinearConcat"

MULTIPLIED: Mapping[str, tuple[int, int]] = {"ConvInteger": (1, 3), "MatMulInteger": (1, 3)}
"""Operators whose weight has a scale that is multiplied in behind them -> weight, zero point."""

PER_ROW = frozenset(
    {"QLinearConv", "com.microsoft.QLinearConv", "ConvInteger", "com.microsoft.DynamicQuantizeLSTM"}
)
"""Operators whose weight has a scale for each place of its first axis: an output channel, or a direction."""


def seen_through(graph: Graph) -> Graph:
    """The graph with its quantised tensors known, and DequantizeLinear of constants become parameters."""
    fed = frozenset(graph.inputs)  # bytes, whatever a reader takes them for
    found = {name: how for op in graph.ops for name, how in _said(graph, op) if name not in fed}
    found = _handed_on(graph, found, fed)
    folded = {op.outputs[0]: op for op in graph.ops if _is_constant(graph, op, found)}
    blocked = [each for op in graph.ops if (each := in_blocks(graph, op)) is not None]
    if not found and not blocked:
        return graph
    parameters = {**graph.parameters, **{parameter.name: parameter for parameter, _ in blocked}}
    found |= {parameter.name: how for parameter, how in blocked}
    for name, op in folded.items():
        stored, how = graph.parameters[op.inputs[0]], found[op.inputs[0]]
        parameters[name] = Parameter(name, stored.shape, "float32", partial(_numbers, stored, how))
        found[name] = how
    ops = tuple(op for op in graph.ops if op.outputs[0] not in folded) if folded else graph.ops
    values = {name: value for name, value in graph.values.items() if name not in folded}
    return replace(graph, ops=ops, parameters=parameters, values=values, quantised=found)


def _handed_on(
    graph: Graph, said: Mapping[str, Quantisation], fed: frozenset[str]
) -> dict[str, Quantisation]:
    """Of what nobody says it: what goes into operators that hand bytes on, and what comes out of them."""
    found = dict(said)
    queue = [name for name, how in said.items() if how.scale.size == 1 and name not in graph.parameters]
    while queue:
        name = queue.pop()
        maker = graph.producer.get(name)
        readers = (op for op in graph.consumers.get(name, ()) if op.type in PASSING and op.inputs[0] == name)
        others = [each for op in readers for each in op.outputs]
        others += [maker.inputs[0]] if maker is not None and maker.inputs and maker.type in PASSING else []
        for other in others:
            if other not in found and other not in fed and other not in graph.parameters:
                found[other] = found[name]
                queue.append(other)
    return found


def _numbers(stored: Parameter, how: Quantisation) -> Array:
    return np.ascontiguousarray(how.numbers(stored.load()))


def _is_constant(graph: Graph, op: Op, found: Mapping[str, Quantisation]) -> bool:
    """Whether an op does nothing but spell a constant out of its integers."""
    if op.type not in DEQUANTIZE or not op.inputs or op.outputs[0] in graph.outputs:
        return False
    return op.inputs[0] in found and all(name in graph.parameters for name in op.inputs)


def _said(graph: Graph, op: Op) -> Iterator[tuple[str, Quantisation]]:
    places = dict(zip(op.slots, op.inputs, strict=True))
    for tensor, scale, zero in roles(op):
        name = op.outputs[0] if tensor == OUT else places.get(str(tensor))
        if name is None:
            continue
        how = _quantisation(graph, op, name, places.get(str(scale), ""), places.get(str(zero), ""))
        if how:
            yield name, how


def roles(op: Op) -> tuple[tuple[int, int, int], ...]:
    """Tensor, scale and zero point of an operator, by input position (:data:`OUT`: what it writes)."""
    if op.type in MULTIPLIED:
        weight, zero = MULTIPLIED[op.type]
        return ((weight, -2, zero),)
    if op.type == CONCAT:
        parts = (len(op.inputs) - 2) // 3
        return ((OUT, 0, 1), *((2 + 3 * n, 3 + 3 * n, 4 + 3 * n) for n in range(parts)))
    return QUANTISED.get(op.type, ())


def _quantisation(graph: Graph, op: Op, name: str, scale: str, zero: str) -> Quantisation | None:
    """None where the scale is computed, comes in blocks, or is of a type that is left alone."""
    try:
        steps = graph.parameters[scale].load() if scale in graph.parameters else None
        zeros = graph.parameters[zero].load() if zero in graph.parameters else None
    except ModelError:
        return None
    if op.type in MULTIPLIED:
        steps = np.ones(() if zeros is None else zeros.shape, np.float32)
    gates = op.type == "com.microsoft.DynamicQuantizeLSTM" and steps is not None and steps.ndim == 2
    if gates:  # a scale for each direction and each row of a gate: the weight's first and last axis
        steps, zeros = (None if each is None else each[:, None] for each in (steps, zeros))
    block = int(op.attributes.get("block_size") or 0)
    if steps is None or steps.dtype.kind != "f" or (steps.ndim > 1 and not (block or gates)):
        return None
    dtype = zeros.dtype.name if zeros is not None else _dtype(graph, name)
    if dtype not in INTEGERS:
        return None
    steps = steps.astype(np.float32)
    whole = np.zeros(steps.shape, np.int64) if zeros is None else zeros
    if block:
        shape, place = _shape(graph, name), int(op.attributes.get("axis", 1))
        if shape is None or len(shape) != steps.ndim:
            return None
        steps, whole = (along(array, block, place, shape[place]) for array in (steps, whole))
    axis = 0 if op.type in PER_ROW and name not in op.outputs else int(op.attributes.get("axis", 1))
    return Quantisation(steps, whole, dtype, axis)


def _shape(graph: Graph, name: str) -> tuple[int, ...] | None:
    known = graph.parameters.get(name)
    return known.shape if known else None


def _dtype(graph: Graph, name: str) -> str:
    known = graph.parameters.get(name)
    return known.dtype if known else graph.value(name).dtype or "uint8"


def uses(graph: Graph, name: str) -> list[tuple[Op, int, int]] | None:
    """Who says how a quantised value is quantised: its writer and its readers, each with the input positions
    of scale and zero point; None where somebody reads the bytes in a way that no table knows."""
    found: list[tuple[Op, int, int]] = []
    queue, seen = [name], {name}
    while queue:
        each = queue.pop()
        maker = graph.producer.get(each)
        if maker is not None:
            found += [(maker, scale, zero) for tensor, scale, zero in roles(maker) if tensor == OUT]
        for reader in graph.consumers.get(each, ()):
            slots = {int(slot) for slot, n in zip(reader.slots, reader.inputs, strict=True) if n == each}
            told = [(reader, scale, zero) for tensor, scale, zero in roles(reader) if tensor in slots]
            found += told
            if not told and reader.type not in PASSING:
                return None
            new = [] if told else [out for out in reader.outputs if out not in seen]
            seen.update(new)
            queue += new
    return found


def edited(graph: Graph, name: str, edits: Iterable[Edit]) -> Quantisation | None:
    """How a value is quantised after some edits; None where they do not change it."""
    how, maker = graph.quantised.get(name), graph.producer.get(name)
    while maker is not None and maker.type in PASSING and maker.inputs:
        maker = graph.producer.get(maker.inputs[0])
    if how is None or maker is None:
        return None
    changes = {
        place: array for edit in edits if edit.output in maker.outputs for place, array in edit.inputs.items()
    }
    for _, scale, zero in (place for place in roles(maker) if place[0] == OUT):
        found = [changes.get(place) for place in (scale, zero)]
        steps, zeros = (each if isinstance(each, np.ndarray) else None for each in found)
        if steps is not None or zeros is not None:
            return replace(
                how,
                scale=how.scale if steps is None else steps,
                zero_point=how.zero_point if zeros is None else zeros,
            )
    return None
