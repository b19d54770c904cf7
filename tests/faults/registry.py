"""The table of fault kinds: each one proposes patches for a node, none of them touches the model."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from .graph import Array, Site


@dataclass(frozen=True)
class Patch:
    """A proposed change: the node as it shall be, and new constants for some of its input positions."""

    node: NodeProto
    target: str
    before: Any
    after: Any
    constants: Mapping[int, Array] = field(default_factory=dict)


Propose = Callable[[Site, np.random.Generator], Iterable[Patch]]


@dataclass(frozen=True)
class Kind:
    """A kind of fault and the operators it can be planted at."""

    word: str
    op_types: tuple[str, ...]
    propose: Propose
    keeps_shape: bool = True
    """False when the node's own output changes shape and something downstream absorbs it."""


KINDS: dict[str, Kind] = {}


def kind(word: str, *op_types: str, keeps_shape: bool = True) -> Callable[[Propose], Propose]:
    """Register the decorated proposer under a stable dotted word."""

    def register(propose: Propose) -> Propose:
        KINDS[word] = Kind(word, op_types, propose, keeps_shape)
        return propose

    return register


def edited(node: NodeProto, op_type: str | None = None, **attributes: Any) -> NodeProto:
    """A copy with attributes set, or removed where the value is None."""
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.op_type = op_type or node.op_type
    kept = [attribute for attribute in node.attribute if attribute.name not in attributes]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    copy.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items() if v is not None)
    return copy


def set_attr(site: Site, name: str, before: Any, after: Any) -> Patch:
    """One attribute changed."""
    return Patch(edited(site.node, **{name: after}), name, before, after)


def set_const(site: Site, position: int, value: Array, target: str, before: Any, after: Any) -> Patch:
    """One constant operand changed."""
    return Patch(edited(site.node), target, before, after, {position: value})


def set_op(site: Site, op_type: str, **attributes: Any) -> Patch:
    """Another operator in the same place; attributes not named stay."""
    return Patch(edited(site.node, op_type, **attributes), "op_type", site.node.op_type, op_type)


def swap_inputs(site: Site, first: int, second: int) -> Patch:
    """Two operands exchanged."""
    copy = edited(site.node)
    copy.input[first], copy.input[second] = site.node.input[second], site.node.input[first]
    return Patch(copy, "inputs", tuple(site.node.input), tuple(copy.input))


def set_ints(site: Site, name: str, position: int, before: list[int], after: list[int]) -> Patch:
    """Integers that are an attribute in old opsets and an int64 operand in new ones."""
    if (current := site.const(position)) is not None:
        return set_const(site, position, np.asarray(after, current.dtype), name, before, after)
    return set_attr(site, name, before, after)


def get_ints(site: Site, name: str, position: int) -> list[int] | None:
    """The other half of ``set_ints``; None when the operand is computed or left out."""
    current = site.const(position)
    if current is not None:
        return [int(v) for v in current.reshape(-1)]
    value = site.attr(name)
    return None if value is None else [int(v) for v in value]


def pairs(count: int) -> Iterator[tuple[int, int]]:
    """Each pair of positions once."""
    for first in range(count):
        for second in range(first + 1, count):
            yield first, second
