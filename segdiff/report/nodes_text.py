"""How is a small ONNX graph told in lines? A node a line, with the constants that it reads as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from segdiff.core.plain import plain
from segdiff.core.printable import clean

MOST = 24
"""Nodes that are told."""

NAME = 80
"""Characters of a name or a value."""


def nodes_text(path: Path) -> str:
    """The nodes of an ONNX file, in order; what is beyond ``MOST`` is counted."""
    import onnx

    graph = onnx.load(str(path)).graph
    constants = dict(_constants(graph))
    nodes = [node for node in graph.node if node.op_type != "Constant"]
    lines = [_line(node, constants) for node in nodes[:MOST]]
    return "\n".join((*lines, *([f"… {len(nodes) - MOST} more"] if len(nodes) > MOST else ())))


def _constants(graph: Any) -> Iterator[tuple[str, str]]:
    """Small ones as numbers, large ones as their type and shape."""
    from onnx import numpy_helper

    for tensor in graph.initializer:
        yield tensor.name, told(plain(numpy_helper.to_array(tensor)))
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            yield node.output[0], told(plain(numpy_helper.to_array(node.attribute[0].t)))


def _line(node: Any, constants: dict[str, str]) -> str:
    inputs = (constants.get(name, clean(name, NAME)) or "none" for name in node.input)
    outputs = (clean(name, NAME) for name in node.output if name)
    settings = ", ".join(f"{clean(each.name, NAME)}={_value(each)}" for each in node.attribute)
    line = f"{', '.join(outputs)} = {clean(node.op_type, NAME)}({', '.join(inputs)})"
    return f"{line} {{{settings}}}" if settings else line


def _value(attribute: Any) -> str:
    from onnx import helper, numpy_helper

    value = helper.get_attribute_value(attribute)
    if hasattr(value, "node"):
        return "a graph"
    if hasattr(value, "dims"):
        value = numpy_helper.to_array(value)
    return told(value)


def told(value: Any) -> str:
    """A value in few characters; a number of a file is a float32, and told as one: 0.1, not 0.1000000015."""
    if isinstance(value, float):
        return str(np.float32(value))
    if isinstance(value, list | tuple) and any(isinstance(item, float) for item in value):
        return f"[{', '.join(map(told, value))}]"
    return clean(plain(value), NAME)
