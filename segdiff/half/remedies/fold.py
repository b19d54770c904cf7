"""Can a batch norm go into its neighbour? Into the weights in front of it, or written as Mul and Add.

A batch norm is ``a * x + b`` for each channel. Behind a Conv, ConvTranspose, Gemm or MatMul that nothing else
reads, ``a`` goes into the weights and ``b`` into the bias; in front of a Conv that pads nothing (or has
nothing to pad: ``b`` is zero), too. ``a``, ``b`` and the products are computed in float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Array, Graph, Op
from segdiff.half.norms import Norm, norm_of
from segdiff.half.remedies.rewriting import Rewrite, constant, names_of, only_reader, operand, unique_value
from segdiff.half.static import called

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})

HEADS = CONVOLUTIONS | {"Gemm", "MatMul"}

SMALLEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""What float32 has all digits of: beyond, a rewrite is not exact."""


def norm_rewrites(graph: Graph, op: Op) -> Iterator[Rewrite]:
    """The exact rewrites of a batch norm, the better one first."""
    norm = norm_of(graph, op)
    if norm is None or op.inputs[1] in graph.quantised:
        return
    if not representable(norm.factor) or not representable(norm.shift):
        return
    for attempt in (behind(graph, norm), in_front(graph, norm), as_affine(graph, norm)):
        if attempt is not None:
            yield attempt


def representable(array: Array) -> bool:
    """Whether float32 has all digits of numbers in float64."""
    size = np.abs(array)
    return bool(np.isfinite(array).all() and ((size == 0) | ((size >= SMALLEST) & (size <= LARGEST))).all())


# --- Mul and Add


def as_affine(graph: Graph, norm: Norm) -> Rewrite | None:
    """The batch norm as Mul and Add; None where the rank of its input is not known."""
    op = norm.op
    if norm.rank is None or norm.rank < 2:
        return None
    dtype = graph.parameters[op.inputs[1]].dtype
    shape = (-1,) + (1,) * (norm.rank - 2)
    scaled = unique_value(graph, f"{op.outputs[0]}.scaled")
    factor, shift = (each.astype(dtype).reshape(shape) for each in (norm.factor, norm.shift))
    nodes = (
        Node("Mul", (op.inputs[0], factor), (scaled,)),
        Node("Add", (scaled, shift), op.outputs),
    )
    name = called(op)
    return Rewrite(
        "affine",
        op.index,
        (name,),
        frozenset([op.index]),
        f"write {name} as Mul and Add",
        (Edit(op.outputs[0], nodes=nodes),),
        {scaled: f"{name}_mul", op.outputs[0]: name},
    )


# --- into what stands in front


@dataclass(frozen=True, eq=False)
class Linear:
    """What computes the input of a batch norm: a head, maybe an Add of a constant for each channel behind it.

    ``weight`` and ``bias`` are in float64, the bias one number a channel; ``axis`` is the output channels'
    within the weight, where that is one axis.
    """

    head: Op
    ops: tuple[Op, ...]
    weight: Array
    bias: Array
    dtype: str


def behind(graph: Graph, norm: Norm) -> Rewrite | None:
    """The batch norm in the weights of what is in front of it; None where nothing there can take it."""
    found = linear_before(graph, norm.op.inputs[0], norm.scale.size)
    if found is None:
        return None
    weight = scaled_weight(found.head, found.weight, norm.factor)
    bias = found.bias * norm.factor + norm.shift
    if not (representable(weight) and representable(bias)):
        return None
    head, op = found.head, norm.op
    new = headed(head, weight.astype(found.dtype), bias.astype(found.dtype), op.outputs[0], graph)
    removed = (*found.ops, op)
    name = called(head)
    return Rewrite(
        "fold",
        op.index,
        names_of(removed),
        frozenset(each.index for each in removed),
        f"fold {called(op)} into {name} in front of it",
        (Edit(op.outputs[0], nodes=new),),
        {node.outputs[0]: name for node in new},
    )


def linear_before(graph: Graph, name: str, channels: int) -> Linear | None:
    """The Conv, ConvTranspose, Gemm or MatMul with constant weights that a value comes from."""
    if len(graph.consumers.get(name, ())) != 1 or only_reader(graph, name) is None:
        return None
    last = graph.producer.get(name)
    if last is None:
        return None
    added, ops = np.zeros(channels), [last]
    if last.type == "Add" and len(last.inputs) == 2:
        pair = _sum(graph, last, channels)
        if pair is None:
            return None
        last, added = pair
        ops.insert(0, last)
    if last.type not in HEADS or (last.type == "MatMul" and not _flat(graph, last)):
        return None
    weight = constant(graph, operand(last, 1) or "")
    bias = _bias(graph, last, channels)
    if weight is None or bias is None or not _fits(last, weight, channels):
        return None
    return Linear(last, tuple(ops), weight.astype(np.float64), bias + added, weight.dtype.name)


def _sum(graph: Graph, add: Op, channels: int) -> tuple[Op, Array] | None:
    """What an Add gets that has one number a channel for its other operand, and these numbers."""
    for value, other in (add.inputs, add.inputs[::-1]):
        held, maker = constant(graph, other), graph.producer.get(value)
        if held is None or maker is None or only_reader(graph, value) is not add:
            continue
        rank = 2 if maker.type in ("Gemm", "MatMul") else len(graph.value(value).shape or ())
        spread = per_channel(held, channels, rank)
        return (maker, spread) if spread is not None else None
    return None


def per_channel(array: Array, channels: int, rank: int) -> Array | None:
    """A constant that is broadcast to a value of that rank, channels in axis 1, as one number a channel."""
    if array.size == 1:
        return np.full(channels, float(array.reshape(-1)[0])) if array.ndim <= rank else None
    if rank < 2 or array.size != channels or array.ndim > rank:
        return None
    shape = (1,) * (rank - array.ndim) + array.shape
    return array.reshape(-1).astype(np.float64) if shape[1] == channels else None


def _flat(graph: Graph, op: Op) -> bool:
    """Whether a MatMul's result has two axes, so that the channels are its last and its second."""
    shape = graph.value(op.outputs[0]).shape
    return shape is not None and len(shape) == 2


def _bias(graph: Graph, head: Op, channels: int) -> Array | None:
    """The bias of a head, one number a channel (with Gemm's beta); None where it is none."""
    name = operand(head, 2)
    if name is None:
        return np.zeros(channels)
    held = constant(graph, name)
    if held is None:
        return None
    beta = float(head.attributes.get("beta", 1.0)) if head.type == "Gemm" else 1.0
    if head.type in CONVOLUTIONS:
        return held.astype(np.float64) if held.shape == (channels,) else None
    spread = per_channel(held, channels, 2)
    return None if spread is None else beta * spread


def _fits(head: Op, weight: Array, channels: int) -> bool:
    """Whether the weight makes so many channels."""
    if head.type == "Conv":
        return weight.ndim > 2 and weight.shape[0] == channels
    if head.type == "ConvTranspose":
        group = int(head.attributes.get("group", 1))
        return weight.ndim > 2 and weight.shape[0] % group == 0 and weight.shape[1] * group == channels
    return weight.ndim == 2 and weight.shape[0 if _transposed(head) else 1] == channels


def _transposed(head: Op) -> bool:
    return head.type == "Gemm" and bool(head.attributes.get("transB", 0))


def scaled_weight(head: Op, weight: Array, factor: Array) -> Array:
    """A head's weight, its output channels times a factor each."""
    if head.type == "ConvTranspose":
        group = int(head.attributes.get("group", 1))
        parts = weight.reshape(group, -1, *weight.shape[1:])
        by_group = factor.reshape(group, 1, -1, *(1,) * (weight.ndim - 2))
        return np.asarray((parts * by_group).reshape(weight.shape))
    axis = 0 if head.type == "Conv" or _transposed(head) else 1
    shape = [1] * weight.ndim
    shape[axis] = -1
    return np.asarray(weight * factor.reshape(shape))


def headed(head: Op, weight: Array, bias: Array, output: str, graph: Graph) -> tuple[Node, ...]:
    """A head with other weights that writes ``output``; a MatMul becomes a Gemm, to have a bias."""
    attributes = dict(head.attributes)
    op_type = head.type
    if op_type == "MatMul":
        product = unique_value(graph, f"{output}.product")
        data = head.inputs[0]
        return Node("MatMul", (data, weight), (product,)), Node("Add", (product, bias), (output,))
    if op_type == "Gemm":
        attributes["beta"] = None
    inputs: tuple[Operand, ...] = (head.inputs[0], weight, bias)
    return (Node(op_type, inputs, (output,), attributes),)


# --- into what stands behind


def in_front(graph: Graph, norm: Norm) -> Rewrite | None:
    """The batch norm in the weights of the Conv behind it; None where that pads other than zeros."""
    op = norm.op
    conv = only_reader(graph, op.outputs[0])
    if conv is None or conv.type != "Conv" or conv.inputs[0] != op.outputs[0]:
        return None
    weight = constant(graph, operand(conv, 1) or "")
    if weight is None or weight.ndim < 3 or (_pads(conv) and np.any(norm.shift)):
        return None
    channels, group = norm.scale.size, int(conv.attributes.get("group", 1))
    bias = _bias(graph, conv, weight.shape[0])
    if bias is None or weight.shape[1] * group != channels or weight.shape[0] % group:
        return None
    parts = weight.astype(np.float64).reshape(group, -1, *weight.shape[1:])
    spread = (group, 1, -1, *(1,) * (weight.ndim - 2))
    moved = (parts * norm.shift.reshape(spread)).sum(axis=tuple(range(2, parts.ndim))).reshape(-1)
    scaled, whole = (parts * norm.factor.reshape(spread)).reshape(weight.shape), bias + moved
    if not (representable(scaled) and representable(whole)):
        return None
    inputs = (op.inputs[0], scaled.astype(weight.dtype), whole.astype(weight.dtype))
    name = called(conv)
    return Rewrite(
        "fold",
        op.index,
        names_of((op, conv)),
        frozenset((op.index, conv.index)),
        f"fold {called(op)} into {name} behind it",
        (Edit(conv.outputs[0], inputs=dict(enumerate(inputs))),),
        {conv.outputs[0]: name},
    )


def _pads(conv: Op) -> bool:
    auto = str(conv.attributes.get("auto_pad", "NOTSET"))
    return auto.startswith("SAME") or any(conv.attributes.get("pads", ()))
