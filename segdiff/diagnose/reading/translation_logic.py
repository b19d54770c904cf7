"""What do Paddle's ops that compare, decide and compute element by element mean in ONNX?"""

from __future__ import annotations

import numpy as np

from segdiff.core.edit import Node
from segdiff.diagnose.reading.paddle_op import PaddleOp, ints
from segdiff.diagnose.reading.translation_parts import Meaning, Nodes, cast

# --- chosen and compared


def compared(op_type: str, negated: bool = False) -> Meaning:
    """A comparison of two tensors."""

    def meaning(op: PaddleOp) -> Nodes:
        operands = op.operand("X", "x", "0"), op.operand("Y", "y", "1")
        if not negated:
            return (op.node(op_type, *operands),)
        return op.node(op_type, *operands, to=op.inner("same")), op.node("Not", op.inner("same"))

    return meaning


def logical(op_type: str) -> Meaning:
    """Of truth values; numbers count as true where they are not zero."""

    def meaning(op: PaddleOp) -> Nodes:
        names = [op.operand("X", "x", "0")] + ([] if op_type == "Not" else [op.operand("Y", "y", "1")])
        laid = [op.inner(f"truth{number}") for number, _ in enumerate(names)]
        nodes = [cast(op, x, np.bool_, to) for x, to in zip(names, laid, strict=True)]
        return *nodes, op.node(op_type, *laid)

    return meaning


def any_or_all(op_type: str) -> Meaning:
    """Whether one, or every one, is true along some axes."""

    def meaning(op: PaddleOp) -> Nodes:
        axes = op.integers("axis", "dim") or list(range(op.rank))
        if op.says("reduce_all", default=False):
            axes = list(range(op.rank))
        kept = int(bool(op.says("keepdim", "keep_dim", default=False)))
        number, found = op.inner("number"), op.inner("found")
        return (
            cast(op, op.x, np.float32, number),
            Node(op_type, (number, ints(axes)), (found,), {"keepdims": kept}),
            cast(op, found, np.bool_),
        )

    return meaning


def mod(op: PaddleOp) -> Nodes | None:
    """The remainder with the divisor's sign."""
    first, second = op.operand("X", "x", "0"), op.operand("Y", "y", "1")
    if op.dtype(op.x).kind != "f":
        return (op.node("Mod", first, second),)
    ratio, down, whole = (op.inner(word) for word in ("ratio", "down", "whole"))
    return (
        op.node("Div", first, second, to=ratio),
        op.node("Floor", ratio, to=down),
        op.node("Mul", down, second, to=whole),
        op.node("Sub", first, whole),
    )


# --- of one number


def composed(*steps: tuple[str, float | None]) -> Meaning:
    """Operators one behind the other, each with a number as its second operand or none."""

    def meaning(op: PaddleOp) -> Nodes:
        here, nodes = op.x, []
        for number, (op_type, value) in enumerate(steps):
            more = () if value is None else (np.array(value, op.dtype(op.x)),)
            to = op.out if number == len(steps) - 1 else op.inner(f"step{number}")
            nodes.append(op.node(op_type, here, *more, to=to))
            here = to
        return tuple(nodes)

    return meaning


def power(op: PaddleOp) -> Nodes:
    """To a power that an attribute gives."""
    return (op.node("Pow", op.x, np.array(op.number("factor", "y", "FactorTensor"), op.dtype(op.x))),)


def logsumexp(op: PaddleOp) -> Nodes:
    """The logarithm of a sum of exponentials."""
    axes = list(range(op.rank)) if op.says("reduce_all", default=False) else op.integers("axis", "dim")
    kept = int(bool(op.says("keepdim", "keep_dim", default=False)))
    axes = axes or list(range(op.rank))
    return (Node("ReduceLogSumExp", (op.x,), (op.out,), {"axes": axes, "keepdims": kept}),)


def add_n(op: PaddleOp) -> Nodes:
    """The sum of a list of tensors."""
    return (Node("Sum", tuple(op.listed()), (op.out,)),)


def prelu(op: PaddleOp) -> Nodes:
    """A slope below zero, of each channel or one for all."""
    slope = op.operand("Alpha", "alpha")
    if isinstance(slope, np.ndarray) and slope.size > 1 and slope.ndim == 1:
        last = str(op.says("data_format", default="NCHW")).endswith("C")
        slope = slope if last else slope.reshape((-1,) + (1,) * (op.rank - 2))
    return (op.node("PRelu", op.x, slope),)


LOGIC: dict[str, Meaning] = {
    **dict.fromkeys(("equal",), compared("Equal")),
    "not_equal": compared("Equal", negated=True),
    "greater_than": compared("Greater"),
    "greater_equal": compared("GreaterOrEqual"),
    "less_than": compared("Less"),
    "less_equal": compared("LessOrEqual"),
    "logical_and": logical("And"),
    "logical_or": logical("Or"),
    "logical_xor": logical("Xor"),
    "logical_not": logical("Not"),
    **dict.fromkeys(("any", "reduce_any"), any_or_all("ReduceMax")),
    **dict.fromkeys(("all", "reduce_all"), any_or_all("ReduceMin")),
    **dict.fromkeys(("remainder", "elementwise_mod"), mod),
    "isnan_v2": composed(("IsNaN", None)),
    "isnan": composed(("IsNaN", None)),
    "isinf": composed(("IsInf", None)),
    "isinf_v2": composed(("IsInf", None)),
    "log1p": composed(("Add", 1.0), ("Log", None)),
    "expm1": composed(("Exp", None), ("Sub", 1.0)),
    "log2": composed(("Log", None), ("Div", float(np.log(2.0)))),
    "log10": composed(("Log", None), ("Div", float(np.log(10.0)))),
    "pow": power,
    "logsumexp": logsumexp,
    **dict.fromkeys(("add_n", "sum_n"), add_n),
    "prelu": prelu,
}
"""By the op's own name, or by its kind."""
