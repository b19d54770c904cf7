"""Which numbers are weights in blocks? A few bits each, with a scale for every block along an axis."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from segdiff.core.edit import Node, Operand
from segdiff.core.graph import Array, Graph, Op, Parameter
from segdiff.core.quantised import Quantisation

PRODUCT, LOOKUP = "com.microsoft.MatMulNBits", "com.microsoft.GatherBlockQuantized"

BLOCKED: Mapping[str, int] = {PRODUCT: 1, LOOKUP: 0}
"""Operators that read a weight in blocks -> its input position."""


def in_blocks(graph: Graph, op: Op) -> tuple[Parameter, Quantisation] | None:
    """A weight in blocks as the numbers that it stands for, float32, and how it is kept.

    None where the operator reads none, or its scales are computed. Of a product the weight is (K, N), as a
    MatMul has it. Raises ModelError where a tensor cannot be read.
    """
    if op.type not in BLOCKED:
        return None
    places = dict(zip(op.slots, op.inputs, strict=True))
    stored = graph.parameters.get(places.get(str(BLOCKED[op.type]), ""))
    scale, zero = (graph.parameters.get(places.get(slot, "")) for slot in ("2", "3"))
    if stored is None or scale is None or ("3" in places and zero is None):
        return None
    bits = int(op.attributes.get("bits", 4))
    read = _product if op.type == PRODUCT else _lookup
    how = read(op, stored, scale.load(), None if zero is None else zero.load(), bits)
    whole = partial(_whole_product if op.type == PRODUCT else _whole_lookup, op, stored, bits)
    return Parameter(stored.name, how.scale.shape, "float32", lambda: how.numbers(whole())), how


def _product(op: Op, stored: Parameter, scale: Array, zero: Array | None, bits: int) -> Quantisation:
    k, n, block = (int(op.attributes[name]) for name in ("K", "N", "block_size"))
    blocks = -(-k // block)
    steps = scale.astype(np.float32).reshape(n, blocks)
    zeros = np.full((n, blocks), 2 ** (bits - 1), np.float32)
    if zero is not None:
        packed = zero.dtype == np.uint8
        zeros = (unpacked(zero.reshape(n, -1), bits) if packed else zero.reshape(n, -1))[:, :blocks]
    spread = [np.repeat(array, block, axis=1)[:, :k].T for array in (steps, zeros)]
    return Quantisation(np.ascontiguousarray(spread[0]), np.ascontiguousarray(spread[1]), f"uint{bits}")


def _whole_product(op: Op, stored: Parameter, bits: int) -> Array:
    k, n = int(op.attributes["K"]), int(op.attributes["N"])
    return np.ascontiguousarray(unpacked(stored.load(), bits).reshape(n, -1)[:, :k].T)


def _lookup(op: Op, stored: Parameter, scale: Array, zero: Array | None, bits: int) -> Quantisation:
    shape = _whole_lookup(op, stored, bits).shape
    axis = int(op.attributes.get("quantize_axis", 1)) % len(shape)
    packed = stored.dtype == "uint8"
    zeros = np.full(scale.shape, 2 ** (bits - 1) if packed else 0, np.int64)
    if zero is not None:
        zeros = unpacked(zero, bits)[..., : scale.shape[-1]] if packed else zero.astype(np.int64)
    block = int(op.attributes.get("block_size", 128))
    spread = [along(array, block, axis, shape[axis]) for array in (scale.astype(np.float32), zeros)]
    return Quantisation(spread[0], spread[1], f"uint{bits}" if packed else stored.dtype)


def _whole_lookup(op: Op, stored: Parameter, bits: int) -> Array:
    array = stored.load()
    return unpacked(array, bits) if stored.dtype == "uint8" else array.astype(np.int64)


def unpacked(array: Array, bits: int) -> Array:
    """The integers of a few bits that lie in bytes along the last axis, the lowest bits first.

    >>> unpacked(np.array([[0x21, 0x43]], np.uint8), 4)
    array([[1, 2, 3, 4]])
    """
    shifts = np.arange(0, 8, bits)
    found: Array = (array.astype(np.int64)[..., None] >> shifts) & (2**bits - 1)
    return found.reshape(*array.shape[:-1], -1)


def along(array: Array, block: int, axis: int, length: int) -> Array:
    """An array of one element a block, repeated to one a place of an axis."""
    spread = np.repeat(array, block, axis=axis)
    return np.ascontiguousarray(np.take(spread, np.arange(length), axis=axis))


def spelled_out(op: Op, weight: Array, data: Operand = None) -> tuple[Node, ...]:
    """Nodes that do the same as an operator on a weight in blocks, with a weight of plain numbers.

    ``data`` are the values that it reads, where they are others than the file's.
    """
    places = dict(zip(op.slots, op.inputs, strict=True))
    out = op.outputs[0]
    if op.type == LOOKUP:
        axis = {"axis": int(op.attributes.get("gather_axis", 0))}
        return (Node("Gather", (weight, places["1"]), (out,), axis),)
    x, bias = places["0"] if data is None else data, places.get("5")
    if bias is None:
        return (Node("MatMul", (x, weight), (out,)),)
    return (
        Node("MatMul", (x, weight), (f"{out}.product",)),
        Node("Add", (f"{out}.product", bias), (out,)),
    )
