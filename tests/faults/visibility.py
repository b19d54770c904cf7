"""Whether a fault shows at its own node, on real operands: what shows nowhere cannot be found by anybody."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto, helper, numpy_helper

from . import runtime
from .graph import Array, View, reads
from .plant import Fault

Level = Literal["invisible", "borderline", "visible"]
_LEVELS: tuple[Level, ...] = ("invisible", "borderline", "visible")

# Rounding of one float32 operation, relative to its result.
UNIT = 2.0**-24

# Two correct float32 kernels that add the same K terms in another order drift apart like a random walk:
# about sqrt(K) roundings of the running sum, whose size is that of the result. One that stays within
#     max(4, sqrt(K)) * UNIT * max|output|
# is what a healthy conversion shows too (4 for the handful of roundings of a pointwise function such as
# exp): invisible. Eight times as much, i.e. 32 units for a pointwise node, is beyond what order of
# summation explains, since a walk eight deviations out does not happen: visible. Between the two it
# depends on the kernel, so these cases are to be counted apart.
POINTWISE_ROUNDINGS = 4.0
CERTAINTY = 8.0

_NORMS = ("InstanceNormalization", "GroupNormalization", "LayerNormalization")


@dataclass(frozen=True)
class Visibility:
    """How much the planted node's own output changes on the same operands (its worst output)."""

    level: Level
    output: str
    rel_l2: float
    max_abs: float
    rel_max: float
    """``max_abs`` relative to the largest absolute value of the healthy output."""
    threshold: float
    """``rel_max`` above this is visible."""

    @property
    def visible(self) -> bool:
        """Whether no healthy float32 kernel differs this much."""
        return self.level == "visible"


def visible(model: ModelProto, faulty: ModelProto, fault: Fault, inputs: Mapping[str, Array]) -> Visibility:
    """Run the healthy model up to the planted node, then the node alone, healthy and faulty."""
    healthy, broken = View(model), View(faulty)
    operands = _operands(healthy, broken, fault.index, inputs)
    before = _run_alone(healthy, fault.index, operands)
    after = _run_alone(broken, fault.index, operands)
    terms = _terms(healthy, fault.index, operands, before)
    found = [_measure(name, value, after.get(name), terms) for name, value in before.items()]
    return max(found, key=lambda v: (_LEVELS.index(v.level), v.rel_max / max(v.threshold, UNIT)))


def _operands(healthy: View, broken: View, index: int, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Values of the node's computed operands in the healthy model."""
    wanted = dict.fromkeys((*healthy.nodes[index].input, *broken.nodes[index].input))
    names = [name for name in wanted if name and healthy.constant(name) is None]
    values = {name: inputs[name] for name in names if name in inputs}
    computed = [name for name in names if name in healthy.producers]
    if computed:
        values |= runtime.run(_upstream(healthy, computed), inputs)
    return values


def _upstream(view: View, names: list[str]) -> ModelProto:
    """The part of the model that computes the names, so that the rest need not run."""
    nodes = [view.nodes[i] for i in sorted(view.ancestors(names))]
    used = {name for node in nodes for name in reads(node)}
    return view.like(
        nodes,
        view.inputs,
        [ValueInfoProto(name=name) for name in names],
        [tensor for name, tensor in view.initializers.items() if name in used],
    )


def _run_alone(view: View, index: int, operands: Mapping[str, Array]) -> dict[str, Array]:
    """One node as a model; operands are declared as what they are, not as what inference thinks."""
    node = view.nodes[index]
    names = [name for name in dict.fromkeys(node.input) if name]
    constants = [(name, value) for name in names if (value := view.constant(name)) is not None]
    known = {name for name, _ in constants}
    inputs = [_declared(name, operands[name]) for name in names if name not in known]
    outputs = [ValueInfoProto(name=name) for name in node.output if name]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants]
    return runtime.run(view.like([node], inputs, outputs, initializers), operands)


def _declared(name: str, value: Array) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _terms(view: View, index: int, operands: Mapping[str, Array], outputs: Mapping[str, Array]) -> int:
    """How many terms are added up in one element of the output."""
    node = view.nodes[index]
    first, second = (_operand(view, node, operands, position) for position in (0, 1))
    if node.op_type in ("Conv", "ConvTranspose") and second is not None:
        along = second.shape[1 if node.op_type == "Conv" else 0]
        return max(1, int(along) * math.prod(second.shape[2:]))
    if node.op_type in ("MatMul", "Gemm") and first is not None:
        return int(max(first.shape[-2:] if node.op_type == "Gemm" else first.shape[-1:]))
    if node.op_type in ("Softmax", "LogSoftmax", "CumSum") and first is not None:
        return max(first.shape, default=1)
    if node.op_type in _NORMS and first is not None:
        return math.prod(first.shape[1:])
    if node.op_type == "AveragePool":
        return _kernel_size(node)
    if node.op_type.startswith(("Reduce", "Global")) and first is not None:
        return max(1, first.size // max(1, next(iter(outputs.values())).size))
    return 1


def _operand(view: View, node: onnx.NodeProto, operands: Mapping[str, Array], position: int) -> Array | None:
    if position >= len(node.input):
        return None
    constant = view.constant(node.input[position])
    return operands.get(node.input[position]) if constant is None else constant


def _kernel_size(node: onnx.NodeProto) -> int:
    sizes = [a.ints for a in node.attribute if a.name == "kernel_shape"]
    return math.prod(sizes[0]) if sizes else 1


def _measure(name: str, before: Array, after: Array | None, terms: int) -> Visibility:
    """The distance of one output from itself, and what that means."""
    noise = max(POINTWISE_ROUNDINGS, math.sqrt(terms)) * _unit(before)
    if after is None or before.shape != after.shape:
        return Visibility("visible", name, math.inf, math.inf, math.inf, noise * CERTAINTY)
    rel_l2, max_abs, rel_max = _distance(before.astype(np.float64), after.astype(np.float64))
    level: Level = "invisible"
    if rel_max > noise:
        level = "visible" if rel_max > noise * CERTAINTY else "borderline"
    return Visibility(level, name, rel_l2, max_abs, rel_max, noise * CERTAINTY)


def _unit(value: Array) -> float:
    """Rounding of the type at hand; integers and booleans do not round, so that any change shows."""
    if value.dtype.kind != "f":
        return 0.0
    return UNIT if value.dtype.itemsize >= 4 else float(np.finfo(value.dtype).eps) / 2


def _distance(before: Array, after: Array) -> tuple[float, float, float]:
    """rel_l2, max_abs, max_abs relative to the largest value; infinite where only one side is finite."""
    if not np.array_equal(np.isfinite(before), np.isfinite(after)):
        return math.inf, math.inf, math.inf
    finite = np.isfinite(before)
    before, after = before[finite], after[finite]
    if not before.size:
        return 0.0, 0.0, 0.0
    difference = after - before
    max_abs, largest = float(np.abs(difference).max()), float(np.abs(before).max())
    norm = float(np.linalg.norm(before))
    return (
        _ratio(float(np.linalg.norm(difference)), norm),
        max_abs,
        _ratio(max_abs, largest),
    )


def _ratio(part: float, whole: float) -> float:
    if part == 0.0:
        return 0.0
    return part / whole if whole > 0.0 else math.inf
