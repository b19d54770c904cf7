"""How is an activation written in ONNX? As one node where the opset has it, else in the nodes it stands for.

Formulas of Paddle (phi/kernels/funcs/activation_functor.h) and of the ONNX operators' definitions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Op

SINCE = {"Celu": 12, "Gelu": 20, "HardSwish": 14, "Mish": 18, "Shrink": 9, "ThresholdedRelu": 10}
"""The opset that brought an operator, where it is not older than what segdiff reads."""

WRITTEN_OUT = ("Swish", "ScaledSoftplus")
"""Words of this module for what no opset up to 22 has as one operator."""

GELU_BEND = 0.044715
"""The factor of the cube in GELU by tanh (Hendrycks and Gimpel, 2016)."""

CLIP_OPERANDS = 11
"""The opset from which Clip takes its bounds as operands."""


@dataclass(frozen=True)
class Activation:
    """An ONNX operator and its attributes; bounds of Clip go by ``min`` and ``max`` (None: no bound)."""

    op_type: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


def in_place(op: Op, wanted: Activation, opset: int, dtype: np.dtype[Any]) -> Edit:
    """The node ``op`` as another activation of its first operand."""
    output = op.outputs[0]
    if wanted.op_type in WRITTEN_OUT or opset < SINCE.get(wanted.op_type, 0):
        return Edit(output, nodes=nodes(wanted, op.inputs[0], output, opset, dtype))
    gone: dict[str, Any] = dict.fromkeys(op.attributes)
    operands: dict[int, Operand] = {int(slot): None for slot in op.slots if slot != "0"}
    op_type = wanted.op_type if wanted.op_type != op.type else None
    if wanted.op_type == "Clip" and opset >= CLIP_OPERANDS:
        return Edit(output, op_type, gone, {**operands, **bounds(wanted.attributes, dtype)})
    return Edit(output, op_type, {**gone, **wanted.attributes}, operands)


def bounds(attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> dict[int, Operand]:
    """The operands of Clip."""
    found: dict[int, Operand] = {}
    for position, name in ((1, "min"), (2, "max")):
        value = attributes.get(name)
        found[position] = None if value is None else np.array(value, dtype)
    return found


def nodes(wanted: Activation, x: Operand, output: str, opset: int, dtype: np.dtype[Any]) -> tuple[Node, ...]:
    """The activation of ``x`` in as few nodes as the opset allows; the last of them writes ``output``."""

    def number(value: float) -> Operand:
        return np.array(value, dtype)

    def inner(word: str) -> str:
        return f"{output}.{word}"

    attributes, op_type = wanted.attributes, wanted.op_type
    if op_type == "Swish":
        return _swish(float(attributes.get("beta", 1.0)), x, output, dtype)
    if op_type == "ScaledSoftplus":
        return _softplus(attributes, x, output, dtype)
    if op_type == "Clip" and opset >= CLIP_OPERANDS:
        low, high = (bounds(attributes, dtype)[position] for position in (1, 2))
        return (Node("Clip", (x, low, high), (output,)),)
    if opset >= SINCE.get(op_type, 0):
        return (Node(op_type, (x,), (output,), dict(attributes)),)
    if op_type == "HardSwish":
        return (
            Node("HardSigmoid", (x,), (inner("gate"),), {"alpha": 1 / 6, "beta": 0.5}),
            Node("Mul", (x, inner("gate")), (output,)),
        )
    if op_type == "Mish":
        return (
            Node("Softplus", (x,), (inner("soft"),)),
            Node("Tanh", (inner("soft"),), (inner("gate"),)),
            Node("Mul", (x, inner("gate")), (output,)),
        )
    if op_type == "Gelu":
        return _gelu(attributes.get("approximate", "none") == "tanh", x, output, dtype)
    return (Node(op_type, (x,), (output,), dict(attributes)),)  # onnxruntime will say that it cannot


def _swish(beta: float, x: Operand, output: str, dtype: np.dtype[Any]) -> tuple[Node, ...]:
    gate, scaled = f"{output}.gate", f"{output}.scaled"
    last = Node("Mul", (x, gate), (output,))
    if beta == 1.0:
        return Node("Sigmoid", (x,), (gate,)), last
    scale = Node("Mul", (x, np.array(beta, dtype)), (scaled,))
    return scale, Node("Sigmoid", (scaled,), (gate,)), last


def _softplus(
    attributes: Mapping[str, Any], x: Operand, output: str, dtype: np.dtype[Any]
) -> tuple[Node, ...]:
    """log(1 + exp(beta x)) / beta; x itself where beta x is beyond the threshold."""
    beta, threshold = attributes["beta"], attributes.get("threshold")
    scaled, soft, above = (f"{output}.{word}" for word in ("scaled", "soft", "above"))
    below = output if threshold is None else f"{output}.below"
    made = (
        Node("Mul", (x, np.array(beta, dtype)), (scaled,)),
        Node("Softplus", (scaled,), (soft,)),
        Node("Div", (soft, np.array(beta, dtype)), (below,)),
    )
    if threshold is None:
        return made
    return (
        *made,
        Node("Greater", (scaled, np.array(threshold, dtype)), (above,)),
        Node("Where", (above, x, below), (output,)),
    )


def _gelu(by_tanh: bool, x: Operand, output: str, dtype: np.dtype[Any]) -> tuple[Node, ...]:
    def number(value: float) -> Operand:
        return np.array(value, dtype)

    def inner(word: str) -> str:
        return f"{output}.{word}"

    if by_tanh:
        first: tuple[Node, ...] = (
            Node("Mul", (x, x), (inner("square"),)),
            Node("Mul", (inner("square"), x), (inner("cube"),)),
            Node("Mul", (inner("cube"), number(GELU_BEND)), (inner("bent"),)),
            Node("Add", (x, inner("bent")), (inner("sum"),)),
            Node("Mul", (inner("sum"), number(math.sqrt(2 / math.pi))), (inner("scaled"),)),
            Node("Tanh", (inner("scaled"),), (inner("bell"),)),
        )
    else:
        first = (
            Node("Div", (x, number(math.sqrt(2))), (inner("scaled"),)),
            Node("Erf", (inner("scaled"),), (inner("bell"),)),
        )
    return (
        *first,
        Node("Add", (inner("bell"), number(1.0)), (inner("shifted"),)),
        Node("Mul", (x, inner("shifted")), (inner("whole"),)),
        Node("Mul", (inner("whole"), number(0.5)), (output,)),
    )
