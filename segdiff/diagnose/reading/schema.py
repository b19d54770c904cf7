"""What does ONNX itself say of an operator? Defaults of attributes, names of inputs, and which is which."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from segdiff.core.edit import Node, Operand

LATEST = 0
"""Stands for the newest opset that the installed onnx knows."""


@cache
def schema(op_type: str, domain: str, opset: int) -> Any:
    """The operator's schema in that opset; None where ONNX does not have it."""
    from onnx import defs

    try:
        if domain or opset == LATEST:
            return defs.get_schema(op_type, domain=domain)
        return defs.get_schema(op_type, opset, domain)
    except defs.SchemaError:
        return None


@cache
def defaults(op_type: str, domain: str, opset: int) -> Mapping[str, Any]:
    """What an attribute is where a node does not say it; attributes without a default are left out."""
    from onnx import helper

    found = schema(op_type, domain, opset)
    given: dict[str, Any] = {}
    for name, attribute in (found.attributes if found else {}).items():
        if attribute.default_value.name:
            value = helper.get_attribute_value(attribute.default_value)
            given[name] = value.decode() if isinstance(value, bytes) else value
    return given


@cache
def input_names(op_type: str, domain: str, opset: int) -> tuple[str, ...]:
    """The names of an operator's inputs by position; the last one stands for all that follow."""
    found = schema(op_type, domain, opset)
    return tuple(item.name for item in found.inputs) if found else ()


def input_name(node: Node, position: int, opset: int) -> str:
    """What ONNX calls an operand; ``input 3`` where it has no word."""
    names = input_names(node.op_type, node.domain, opset)
    return names[position] if position < len(names) else f"input {position}"


def settings(node: Node, opset: int) -> dict[str, Any]:
    """The attributes of a node, those that it leaves out included."""
    given = {name: value for name, value in node.attributes.items() if value is not None}
    return {**defaults(node.op_type, node.domain, opset), **given}


MOVED = {"Pad": {"value": "constant_value"}, "Upsample": {}}
"""Attributes that became operands under another name; all others kept theirs."""


def respelt(node: Node, now: int, wanted: int) -> Node:
    """A node of one opset in the spelling of another: what were attributes are operands, or the reverse.

    Operands that are computed stay as they are.
    """
    if node.domain or now == wanted:
        return node
    there = schema(node.op_type, "", wanted)
    if there is None:
        return node
    renamed = MOVED.get(node.op_type, {})
    names = [item.name for item in there.inputs]
    attributes, inputs = dict(node.attributes), list(node.inputs)
    for name, value in node.attributes.items():
        operand = renamed.get(name, name)
        if name not in there.attributes and operand in names and value is not None:
            place = names.index(operand)
            inputs += [None] * (place + 1 - len(inputs))
            inputs[place] = np.asarray(value, np.float32 if _floating(value) else np.int64)
            del attributes[name]
    back = {operand: name for name, operand in renamed.items()}
    for place, operand_name in enumerate(input_names(node.op_type, "", now)):
        name = back.get(operand_name, operand_name)
        value = inputs[place] if place < len(inputs) else None
        if operand_name not in names and name in there.attributes and isinstance(value, np.ndarray):
            attributes[name] = value.reshape(-1)[0].item() if value.ndim == 0 else value.tolist()
            inputs[place] = None
    while inputs and inputs[-1] is None:
        inputs.pop()
    return Node(node.op_type, tuple(inputs), node.outputs, attributes, "")


def _floating(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"


STEMS = {
    "arg_max": "argmax",
    "arg_min": "argmax",
    "top_k": "topk",
    "cum_sum": "cumsum",
    "p_relu": "prelu",
    "batch_normalization": "batch_norm",
    "instance_normalization": "instance_norm",
    "layer_normalization": "layer_norm",
    "group_normalization": "group_norm",
    "quantize_linear": "quantization",
    "dequantize_linear": "quantization",
    "dynamic_quantize_linear": "quantization",
}
"""Operators whose causes have had another first word for longer (docs/causes.md)."""

WORDS = {
    "x_scale": "scale",
    "y_scale": "scale",
    "x_zero_point": "zero_point",
    "y_zero_point": "zero_point",
}


def snake(op_type: str) -> str:
    """An operator's name as the first word of a kind: ``ScatterElements`` is ``scatter_elements``."""
    word = op_type.rpartition(".")[2]
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()
    return STEMS.get(word, word)


def setting_kind(op_type: str, name: str) -> str:
    """The kind of a cause: one setting of an operator."""
    return f"{snake(op_type)}.{WORDS.get(name, name).lower().replace(' ', '_')}"


def operand_at(node: Node, position: int) -> Operand:
    """What stands at an input position; None beyond the last."""
    return node.inputs[position] if position < len(node.inputs) else None
