"""Does the reference apply a parameter that no node of the candidate does? A bias, a batch norm, a factor.

Where the op stood behind a convolution in the same segment, ``parameters`` folds it into the weight. Here it
stands first in a segment, whose nodes read the tensor as it was before, or last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Array, Op
from segdiff.diagnose.hypothesis import ANY, Hypothesis, family
from segdiff.diagnose.reading import weights
from segdiff.diagnose.reading.case import Case

_NODES = {"add": "Add", "mul": "Mul", "batch_norm": "BatchNormalization"}


@family(ANY)
def lost(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Ops with parameters that the candidate has fewer of, put before what reads their input, or last."""
    if op is not case.nodes[0]:
        return
    ours, theirs = (Counter(map(kind_of, ops)) for ops in (case.reference_ops, case.ops))
    starts, ends = ({r: c for r, c in pairs if r} for pairs in (case.inputs, case.outputs))
    for other in case.reference_ops:
        if kind_of(other) not in _NODES or ours[kind_of(other)] <= theirs[kind_of(other)]:
            continue
        data = [name for name in other.inputs if weights.constant(case.reference, name) is None]
        if len(data) != 1:
            continue
        if data[0] in starts:
            yield from _before(case, other, starts[data[0]])
        elif other.outputs[0] in ends:
            yield from _behind(case, other, ends[other.outputs[0]])


def _before(case: Case, other: Op, data: str) -> Iterator[Hypothesis]:
    """The op put between an input of the segment and the nodes that read it."""
    readers = [node for node in case.nodes if data in node.inputs]
    made = _made(case, other, data)
    if made is None or not readers or not _can_be_copied(readers):
        return
    edits = []
    for reader in readers:
        name = f"{reader.outputs[0]}.{other.type}"
        inputs = tuple(name if operand == data else operand for operand in reader.inputs)
        first = Node(made.op_type, (data, *made.inputs[1:]), (name,), made.attributes)
        edits.append(Edit(reader.outputs[0], nodes=(first, _copy(reader, inputs, reader.outputs))))
    yield _hypothesis(case, other, edits)


def _behind(case: Case, other: Op, end: str) -> Iterator[Hypothesis]:
    """The op put between the node that writes an output of the segment and that output."""
    made = _made(case, other, end)
    writer = next((node for node in case.nodes if end in node.outputs), None)
    inner = any(end in node.inputs for node in case.nodes)
    if made is None or writer is None or inner or not _can_be_copied([writer]):
        return
    name = f"{end}.before"
    outputs = tuple(name if output == end else output for output in writer.outputs)
    last = Node(made.op_type, (name, *made.inputs[1:]), (end,), made.attributes)
    edit = Edit(writer.outputs[0], nodes=(_copy(writer, writer.inputs, outputs), last))
    yield _hypothesis(case, other, [edit])


def _copy(op: Op, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Node:
    domain, _, word = op.type.rpartition(".")
    return Node(word, inputs, outputs, dict(op.attributes), domain)


def _can_be_copied(readers: list[Op]) -> bool:
    """Whether the nodes can be written anew: attributes of plain values, inputs at their places."""
    plain = (int, float, str, list, tuple, np.ndarray)
    return all(
        all(isinstance(value, plain) for value in op.attributes.values())
        and op.slots == tuple(str(place) for place in range(len(op.inputs)))
        for op in readers
    )


def _made(case: Case, other: Op, data: str) -> Node | None:
    """The node that does what the op of the reference does, to a tensor like ``data``; no output yet."""
    shape = case.shape(data)
    if shape is None:
        return None
    kind, dtype = kind_of(other), case.forms[data][0] if data in case.forms else "float32"
    if kind == "batch_norm":
        own = {weights.role(other, slot): name for slot, name in zip(other.slots, other.inputs, strict=True)}
        found = [
            weights.constant(case.reference, own.get(w, "")) for w in ("scale", "bias", "mean", "variance")
        ]
        arrays = [array.reshape(-1).astype(dtype) for array in found if array is not None]
        if len(arrays) != 4 or len(shape) < 2 or any(array.size != shape[1] for array in arrays):
            return None
        epsilon = float(other.attributes.get("epsilon", 1e-5))
        return Node(_NODES[kind], (data, *arrays), ("",), {"epsilon": epsilon})
    constants = [weights.constant(case.reference, name) for name in other.inputs]
    known = [array for array in constants if array is not None]
    operand = _spread(known[0], other, len(shape)) if len(known) == 1 else None
    return None if operand is None else Node(_NODES[kind], (data, operand.astype(dtype)), ("",))


def _spread(array: Array, op: Op, rank: int) -> Array | None:
    """A constant as ONNX broadcasts it: Paddle's ``axis`` says where its first axis lies."""
    axis = int(op.attributes.get("axis", -1))
    if array.ndim > rank or array.dtype.kind != "f":
        return None
    behind = rank - axis - array.ndim if axis >= 0 else 0
    return array.reshape((*array.shape, *[1] * max(behind, 0)))


def _hypothesis(case: Case, other: Op, edits: list[Edit]) -> Hypothesis:
    text = f"no node does what the reference's {other.type} does to {_source(case, other)}"
    return Hypothesis(_kind(case, other), text, tuple(edits), expected=True)


def _source(case: Case, other: Op) -> str:
    maker = _maker(case, other)
    return f"the output of {maker.type}" if maker else "an input of the model"


def _kind(case: Case, other: Op) -> str:
    maker, kind = _maker(case, other), kind_of(other)
    if kind == "add" and maker is not None and kind_of(maker) in weights.WEIGHTED:
        return "conv.bias"
    return f"{kind}.lost"


def _maker(case: Case, other: Op) -> Op | None:
    found = [case.reference.producer[name] for name in other.inputs if name in case.reference.producer]
    return next((op for op in found if weights.constant(case.reference, op.outputs[0]) is None), None)
