"""Faults in the choice of operator and in the order of its operands."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .graph import Site
from .registry import Patch, edited, kind, pairs, set_op, swap_inputs

_Rng = np.random.Generator

_ELEMENTWISE = {
    "Add": ("Mul", "Sub"),
    "Sub": ("Add",),
    "Mul": ("Add", "Div"),
    "Div": ("Mul",),
    "Max": ("Min",),
    "Min": ("Max",),
}
_POOLS = {
    "MaxPool": "AveragePool",
    "AveragePool": "MaxPool",
    "GlobalMaxPool": "GlobalAveragePool",
    "GlobalAveragePool": "GlobalMaxPool",
}
_COMPARISONS = {
    "Greater": "GreaterOrEqual",
    "GreaterOrEqual": "Greater",
    "Less": "LessOrEqual",
    "LessOrEqual": "Less",
}


@kind("elementwise.operator", *_ELEMENTWISE)
def _elementwise_operator(site: Site, rng: _Rng) -> Iterator[Patch]:
    for op_type in _ELEMENTWISE[site.node.op_type] if len(site.node.input) == 2 else ():
        yield set_op(site, op_type)


@kind("elementwise.order", "Sub", "Div", "Pow")
def _elementwise_order(site: Site, rng: _Rng) -> Iterator[Patch]:
    if site.node.input[0] != site.node.input[1]:
        yield swap_inputs(site, 0, 1)


@kind("matmul.order", "MatMul")
def _matmul_order(site: Site, rng: _Rng) -> Iterator[Patch]:
    if site.shape(0) == site.shape(1) and site.node.input[0] != site.node.input[1]:
        yield swap_inputs(site, 0, 1)


@kind("concat.order", "Concat")
def _concat_order(site: Site, rng: _Rng) -> Iterator[Patch]:
    for first, second in pairs(len(site.node.input)):
        same = site.shape(first) == site.shape(second) is not None
        if same and site.node.input[first] != site.node.input[second]:
            yield swap_inputs(site, first, second)


@kind("where.order", "Where")
def _where_order(site: Site, rng: _Rng) -> Iterator[Patch]:
    if site.node.input[1] != site.node.input[2]:
        yield swap_inputs(site, 1, 2)


@kind("batch_norm.order", "BatchNormalization", "InstanceNormalization", "GroupNormalization")
def _batch_norm_order(site: Site, rng: _Rng) -> Iterator[Patch]:
    """Scale and bias exchanged."""
    yield swap_inputs(site, 1, 2)


@kind("split.order", "Split")
def _split_order(site: Site, rng: _Rng) -> Iterator[Patch]:
    names = list(site.node.output)
    for first, second in pairs(len(names)):
        if site.view.shape(names[first]) == site.view.shape(names[second]) is not None:
            node = edited(site.node)
            node.output[first], node.output[second] = names[second], names[first]
            yield Patch(node, "outputs", tuple(names), tuple(node.output))


@kind("pool.operator", *_POOLS)
def _pool_operator(site: Site, rng: _Rng) -> Iterator[Patch]:
    """Maximum for mean or the reverse; attributes only one of them has are dropped."""
    if len(site.node.output) == 1:
        dropped = dict.fromkeys(("count_include_pad", "storage_order"))
        if site.opset < 19:
            dropped["dilations"] = None
        yield set_op(site, _POOLS[site.node.op_type], **dropped)


@kind("reduce.operator", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum")
def _reduce_operator(site: Site, rng: _Rng) -> Iterator[Patch]:
    """Among reductions that take their axes in the same way: ReduceSum moved to an operand first."""
    moved = 13 <= site.opset < 18
    op_type = site.node.op_type
    for other in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum"):
        if other != op_type and (not moved or "ReduceSum" not in (other, op_type)):
            yield set_op(site, other)


@kind("argmax.operator", "ArgMax", "ArgMin")
def _argmax_operator(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield set_op(site, "ArgMin" if site.node.op_type == "ArgMax" else "ArgMax")


@kind("comparison.operator", *_COMPARISONS)
def _comparison_operator(site: Site, rng: _Rng) -> Iterator[Patch]:
    """Strict for not strict."""
    if site.opset >= 16:
        yield set_op(site, _COMPARISONS[site.node.op_type])


@kind("round.operator", "Round", "Floor", "Ceil")
def _round_operator(site: Site, rng: _Rng) -> Iterator[Patch]:
    for other in ("Floor", "Ceil", "Round") if site.opset >= 11 else ("Floor", "Ceil"):
        if other != site.node.op_type:
            yield set_op(site, other)


@kind("softmax.operator", "Softmax", "LogSoftmax")
def _softmax_operator(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield set_op(site, "LogSoftmax" if site.node.op_type == "Softmax" else "Softmax")


# What each activation gets mistaken for: the operator, its attributes, and the opset that brought it.
_ACTIVATIONS: dict[str, tuple[tuple[str, dict[str, Any], int], ...]] = {
    "Relu": (("LeakyRelu", {"alpha": 0.01}, 6), ("Elu", {"alpha": 1.0}, 6), ("Softplus", {}, 1)),
    "LeakyRelu": (("Relu", {}, 6), ("Elu", {"alpha": 1.0}, 6)),
    "Elu": (("Relu", {}, 6), ("Selu", {}, 6)),
    "Selu": (("Elu", {"alpha": 1.0}, 6),),
    "Celu": (("Relu", {}, 6),),
    "Sigmoid": (("HardSigmoid", {"alpha": 0.2}, 6), ("Tanh", {}, 6)),
    "HardSigmoid": (("Sigmoid", {}, 6),),
    "Tanh": (("Sigmoid", {}, 6), ("Softsign", {}, 1)),
    "Softplus": (("Relu", {}, 6),),
    "Softsign": (("Tanh", {}, 6),),
    "HardSwish": (("Mish", {}, 18), ("Relu", {}, 6)),
    "Mish": (("HardSwish", {}, 14), ("Relu", {}, 6)),
    "Gelu": (("Relu", {}, 6), ("HardSwish", {}, 14)),
    "Erf": (("Tanh", {}, 6),),
}


@kind("activation.kind", *_ACTIVATIONS)
def _activation_kind(site: Site, rng: _Rng) -> Iterator[Patch]:
    names = [attribute.name for attribute in site.node.attribute]
    for op_type, attributes, since in _ACTIVATIONS[site.node.op_type]:
        if site.opset >= since:
            yield set_op(site, op_type, **{**dict.fromkeys(names), **attributes})
