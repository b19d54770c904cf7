"""How do large arrays in edits travel, and get into a session? Through shared memory, with one copy.

A repaired weight may have gigabytes. In a message it would be copied by every hand that passes it on; so it
goes into a block, and a session is fed it like any other tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Array
from segdiff.engines.blocks import Tensor

LARGE = 1 << 20
"""Bytes of an array that goes beside: below that, its copies cost less than a block of its own."""

PLACE = "segdiff.beside."
"""How the names begin that stand for such arrays."""

KINDS = frozenset({"float32", "float64", "float16"})
"""Types of weights that no operator needs to know before it is fed; some on integers do."""

Apart = tuple[tuple[Edit, ...], dict[str, Array]]


def apart(edits: Iterable[Edit]) -> Apart:
    """The edits with names in the place of large arrays, and the arrays by these names; an array that stands
    in several places has one name."""
    found: dict[str, Array] = {}
    known: dict[int, str] = {}

    def named(operand: Operand) -> Operand:
        if not isinstance(operand, np.ndarray) or operand.nbytes < LARGE or operand.dtype.name not in KINDS:
            return operand
        name = known.setdefault(id(operand), f"{PLACE}{len(known)}")
        found[name] = operand
        return name

    return changed(edits, named), found


def shared(
    edits: Iterable[Edit], share: Callable[[Array], Tensor]
) -> tuple[tuple[Edit, ...], dict[str, Tensor]]:
    """The same, the arrays shared (a tensor of ``share`` is there as long as somebody holds it)."""
    named, arrays = apart(edits)
    return named, {name: share(array) for name, array in arrays.items()}


def together(edits: Iterable[Edit], arrays: Mapping[str, Array]) -> tuple[Edit, ...]:
    """The edits with the arrays again, in the place of their names."""
    return changed(edits, lambda each: arrays.get(each, each) if isinstance(each, str) else each)


def changed(edits: Iterable[Edit], change: Callable[[Operand], Operand]) -> tuple[Edit, ...]:
    """The edits with every operand changed."""

    def node(each: Node) -> Node:
        return replace(each, inputs=tuple(map(change, each.inputs)))

    return tuple(
        replace(
            edit,
            inputs={place: change(operand) for place, operand in edit.inputs.items()},
            nodes=tuple(map(node, edit.nodes)),
            before=tuple(map(node, edit.before)),
        )
        for edit in edits
    )


def declared_input(name: str, array: Array) -> Any:
    """What a model says (``onnx.ValueInfoProto``) of an array that it is fed in the place of a weight.

    onnxruntime copies a weight into each session, and packs it anew; what it is fed it reads where it lies.
    """
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, kind, array.shape)
