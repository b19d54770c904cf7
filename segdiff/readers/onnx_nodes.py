"""What does a node of an ONNX file compute, whatever it and its tensors are called? Two that say the same do.

A node that can answer by itself is told by its operator, the version of the standard that its file means by
it, which inputs and outputs it has, and its attributes, byte by byte. One that cannot (it has blocks, belongs
to another domain than ONNX's own, or keeps its numbers elsewhere) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import onnx

from segdiff.readers.onnx import load_light

DEFAULT_DOMAIN = ("", "ai.onnx")


@dataclass(frozen=True)
class Node:
    """What a node computes (``says``), and its outputs by their places, an absent one empty."""

    says: tuple[object, ...]
    outputs: tuple[str, ...]


def nodes_of(path: Path) -> Mapping[int, Node]:
    """The nodes of a file that can be told apart by what they say, by their place. Raises ModelError."""
    model = load_light(path)
    opset = max((item.version for item in model.opset_import if item.domain in DEFAULT_DOMAIN), default=0)
    told = ((index, _told(node, opset)) for index, node in enumerate(model.graph.node))
    return {index: node for index, node in told if node is not None}


def _told(node: onnx.NodeProto, opset: int) -> Node | None:
    meaning = meaning_of(node.op_type, opset) if node.domain in DEFAULT_DOMAIN else None
    attributes = [_spelt(each) for each in node.attribute]
    if meaning is None or None in attributes:
        return None
    outputs = list(node.output)
    while outputs and not outputs[-1]:
        outputs.pop()
    there = tuple(map(bool, node.input)), tuple(map(bool, outputs))
    return Node(
        (node.op_type, meaning, there, *sorted(a for a in attributes if a is not None)), tuple(outputs)
    )


def _spelt(attribute: onnx.AttributeProto) -> bytes | None:
    """An attribute with its value as bytes; None where these do not tell what it is."""
    kind = onnx.AttributeProto
    plain = (kind.FLOAT, kind.INT, kind.STRING, kind.FLOATS, kind.INTS, kind.STRINGS, kind.TENSOR)
    if attribute.type not in plain or attribute.ref_attr_name:
        return None
    if attribute.type == kind.TENSOR and attribute.t.data_location == onnx.TensorProto.EXTERNAL:
        return None
    if attribute.type == kind.TENSOR or attribute.HasField("doc_string"):
        copy = kind()
        copy.CopyFrom(attribute)
        copy.ClearField("doc_string")
        if attribute.type == kind.TENSOR:
            copy.t.ClearField("name")
            copy.t.ClearField("doc_string")
        attribute = copy
    spelt: bytes = attribute.SerializeToString(deterministic=True)
    return spelt


@lru_cache(4096)
def meaning_of(op_type: str, opset: int) -> tuple[int, int] | None:
    """What an operator of ONNX means in a file of that opset, told by two numbers: the version that has
    defined it, and the opset itself where more than that counts (this onnx does not know it, or the operator
    is defined by others). None for an operator that is not ONNX's.

    >>> meaning_of("Conv", 15), meaning_of("Conv", 17), meaning_of("Resize", 10), meaning_of("Resize", 13)
    ((11, 0), (11, 0), (10, 0), (13, 0))
    >>> meaning_of("HardSwish", 17), meaning_of("FusedConv", 17)
    ((14, 17), None)
    """
    try:
        schema: Any = onnx.defs.get_schema(op_type, opset)
    except onnx.defs.SchemaError:
        return None
    composed = schema.has_function or schema.has_context_dependent_function
    whole = composed or opset > onnx.defs.onnx_opset_version()
    return schema.since_version, opset if whole else 0
