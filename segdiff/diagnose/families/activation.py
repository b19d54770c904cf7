"""Activations: coefficients, bounds, another function in their place, one lost or one too many.

What a reference's activation asks of the candidate's nodes is in :func:`parts`: itself, or what converters
write it out in (Swish as Sigmoid and Mul). A node whose partner asks for just that operator is not
suspected of being the wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import ANY, Hypothesis, family
from segdiff.diagnose.reading.activation_meaning import parts, setting
from segdiff.diagnose.reading.activation_nodes import (
    CLIP_OPERANDS,
    GELU_BEND,
    Activation,
    bounds,
    in_place,
    nodes,
)
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import copied, dtype_of, partner_of, plain, same, scalar

KINDS = frozenset(
    (
        *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "swish", "mish", "hard_swish"),
        *("hard_sigmoid", "sigmoid", "log_sigmoid", "tanh", "softplus", "softsign", "erf", "clip", "brelu"),
        *("thresholded_relu", "ThresholdedRelu", "hardtanh", "hard_shrink", "softshrink", "tanh_shrink"),
        "Shrink",
    )
)

WORDS = {
    ("HardSigmoid", "alpha"): "hard_sigmoid.slope",
    ("HardSigmoid", "beta"): "hard_sigmoid.offset",
    ("LeakyRelu", "alpha"): "leaky_relu.slope",
    ("Elu", "alpha"): "elu.alpha",
    ("Celu", "alpha"): "elu.alpha",
    ("Selu", "alpha"): "elu.alpha",
    ("ThresholdedRelu", "alpha"): "elu.alpha",
    ("Selu", "gamma"): "selu.gamma",
    ("Gelu", "approximate"): "gelu.approximate",
    ("Clip", "min"): "clip.bounds",
    ("Clip", "max"): "clip.bounds",
    ("Shrink", "lambd"): "shrink.threshold",
    ("Shrink", "bias"): "shrink.threshold",
}

CUSTOMARY: dict[tuple[str, str], tuple[Any, ...]] = {
    ("HardSigmoid", "alpha"): (1 / 6, 0.2),
    ("HardSigmoid", "beta"): (0.5, 0.4),
    ("LeakyRelu", "alpha"): (0.01, 0.1, 0.2, 0.02, 0.25, 0.3),
    ("Elu", "alpha"): (1.0, 0.5, 2.0),
    ("Celu", "alpha"): (1.0, 0.5, 2.0),
    ("Selu", "alpha"): (1.67326319217681884765625,),
    ("Selu", "gamma"): (1.05070102214813232421875,),
    ("ThresholdedRelu", "alpha"): (1.0, 0.5, 2.0),
    ("Gelu", "approximate"): ("none", "tanh"),
    ("Clip", "min"): (0.0, -1.0, None),
    ("Clip", "max"): (6.0, 1.0, 20.0, None),
}
"""Values that frameworks and papers use, tried where the reference says nothing."""

MISTAKEN: dict[str, tuple[Activation, ...]] = {
    "Relu": (
        Activation("LeakyRelu", {"alpha": 0.01}),
        Activation("Clip", {"min": 0.0, "max": 6.0}),
        Activation("Elu", {"alpha": 1.0}),
        Activation("Softplus"),
        Activation("HardSwish"),
        Activation("Mish"),
        Activation("Gelu", {"approximate": "none"}),
        Activation("Swish"),
        Activation("Celu", {"alpha": 1.0}),
        Activation("Selu"),
    ),
    "Sigmoid": (
        Activation("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
        Activation("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
        Activation("Tanh"),
    ),
    "HardSigmoid": (Activation("Sigmoid"),),
    "Tanh": (Activation("Sigmoid"), Activation("Softsign"), Activation("Erf")),
    "Softsign": (Activation("Tanh"),),
    "HardSwish": (Activation("Swish"), Activation("Mish"), Activation("Gelu", {"approximate": "none"})),
    "Mish": (Activation("HardSwish"), Activation("Swish")),
    "Erf": (Activation("Tanh"),),
    "Clip": (Activation("Relu"),),
    "Gelu": (Activation("Relu"), Activation("HardSwish"), Activation("Swish")),
}
"""What may really be meant, likeliest first; a Relu in addition for what bends at zero."""

BENDING = ("LeakyRelu", "Elu", "Softplus", "HardSwish", "Mish", "Selu", "Celu", "ThresholdedRelu")

TYPES = (
    *("Relu", "Sigmoid", "Tanh", "Softsign", "Erf", "LeakyRelu", "Elu", "Celu", "Selu", "ThresholdedRelu"),
    *("HardSigmoid", "HardSwish", "Mish", "Gelu", "Softplus", "Clip", "Shrink"),
)


@family(*TYPES)
def activation(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Coefficients that differ, or the operator; suspects where the reference says nothing of the node."""
    partner = partner_of(case, op, *KINDS)
    wanted = parts(case, partner) if partner else ()
    if partner and (own := next((part for part in wanted if part.op_type == op.type), None)):
        yield from _coefficients(case, op, own, partner.type)
        return
    if partner:
        yield from _other_gelu(case, op, partner)
        present = {other.type for other in case.ops}
        for part in wanted:
            if part.op_type not in present:
                yield _other(case, op, part, f"where the reference's {partner.type} asks for", True)
    if not case_has(case.reference_ops):
        yield _surplus(op)
    for name, values in _customary(op.type).items():
        for value in values:
            if not _equal(now(case, op, name), value):
                yield _coefficient(case, op, name, value, "and agrees with", expected=False)
    suspects = (*MISTAKEN.get(op.type, ()), *((Activation("Relu"),) if op.type in BENDING else ()))
    for other in suspects:
        yield _other(case, op, other, "and agrees with", False)


def now(case: Case, op: Op, name: str) -> Any:
    """An attribute of a candidate's node; the bounds of Clip wherever they stand."""
    return setting(case.candidate, op, name)


def _customary(op_type: str) -> dict[str, tuple[Any, ...]]:
    return {name: values for (of, name), values in CUSTOMARY.items() if of == op_type}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str) or one is None or other is None:
        return bool(one == other)
    return same(float(one), float(other))


def _coefficients(case: Case, op: Op, wanted: Activation, theirs: str) -> Iterator[Hypothesis]:
    for name, value in wanted.attributes.items():
        if not _equal(now(case, op, name), value):
            yield _coefficient(
                case, op, name, value, f"where the reference's {theirs} asks for", expected=True
            )


def _coefficient(case: Case, op: Op, name: str, value: Any, words: str, *, expected: bool) -> Hypothesis:
    """One attribute of an activation, or one bound of Clip."""
    text = f"{op.type} has {name} {plain(now(case, op, name))} {words} {plain(value)}"
    kind, output = WORDS[op.type, name], op.outputs[0]
    if op.type == "Clip" and case.opset >= CLIP_OPERANDS:
        position = 1 if name == "min" else 2
        edit = Edit(output, inputs={position: bounds({name: value}, dtype_of(case, op))[position]})
    else:
        edit = Edit(output, attributes={name: value})
    return Hypothesis(kind, text, (edit,), expected)


def _other(case: Case, op: Op, wanted: Activation, words: str, expected: bool) -> Hypothesis:
    """Another function in the node's place."""
    kind = "activation.kind"
    if wanted.op_type == "ScaledSoftplus":
        kind = "softplus.threshold" if wanted.attributes["beta"] == 1.0 else "softplus.beta"
    shown = "".join(f" {name} {plain(value)}" for name, value in wanted.attributes.items())
    text = f"the candidate has {op.type} {words} {wanted.op_type}{shown}"
    edit = in_place(op, wanted, case.opset, dtype_of(case, op))
    return Hypothesis(kind, text, (edit,), expected)


def _other_gelu(case: Case, op: Op, partner: Op) -> Iterator[Hypothesis]:
    """GELU written out by erf where the reference's is by tanh, or the reverse."""
    wanted = parts(case, partner)[0]
    starts = [c for r, c in case.inputs if r in partner.inputs]
    ends = [c for r, c in case.outputs if r in partner.outputs]
    ours, theirs = ("erf", "tanh") if op.type == "Erf" else ("tanh", "erf")
    cubic = any(scalar(case.constant(name)) in (2.0, 3.0) or _is_bend(case, name) for name in _operands(case))
    if wanted.op_type != "Gelu" or op.type not in ("Erf", "Tanh") or not starts or not ends:
        return
    if cubic == (op.type == "Tanh"):
        text = f"the candidate writes GELU by {ours} where the reference's {partner.type} is by {theirs}"
        made = nodes(wanted, starts[0], ends[0], case.opset, dtype_of(case, op))
        yield Hypothesis("gelu.approximate", text, (Edit(ends[0], nodes=made),), expected=True)


def _operands(case: Case) -> Iterator[str]:
    return (name for op in case.ops for name in op.inputs)


def _is_bend(case: Case, name: str) -> bool:
    """Whether this is the factor of the cube in GELU by tanh."""
    value = scalar(case.constant(name))
    return value is not None and same(value, GELU_BEND)


@family("com.microsoft.FastGelu", "com.microsoft.Gelu")
def fused_gelu(case: Case, op: Op) -> Iterator[Hypothesis]:
    """onnxruntime's own GELUs, one of which is by tanh; the bias that FastGelu may add stays out of this."""
    partner = partner_of(case, op, "gelu")
    wanted = parts(case, partner)[0] if partner is not None else None
    now = "FastGelu" if op.type.endswith("FastGelu") else "Gelu"
    if wanted is None or partner is None or len(op.inputs) != 1:
        return
    other = "FastGelu" if wanted.attributes.get("approximate") == "tanh" else "Gelu"
    if other != now:
        text = f"the candidate has {now} where the reference's {partner.type} asks for {other}"
        yield Hypothesis("gelu.approximate", text, (Edit(op.outputs[0], other),), expected=True)


def _surplus(op: Op) -> Hypothesis:
    operands = {int(slot): None for slot in op.slots if slot != "0"}
    edit = Edit(op.outputs[0], "Identity", dict.fromkeys(op.attributes), operands)
    text = f"the candidate has {op.type} where the reference has no activation"
    return Hypothesis("activation.surplus", text, (edit,), expected=True)


# --- lost


def case_has(ops: tuple[Op, ...]) -> bool:
    """Whether there is an activation among the ops."""
    return any(kind_of(op) in KINDS for op in ops)


@family(ANY)
def lost(case: Case, op: Op) -> Iterator[Hypothesis]:
    """An activation of the reference of which the candidate has no trace, put where it belongs."""
    ours = [other for other in case.reference_ops if kind_of(other) in KINDS]
    theirs = [other for other in case.ops if kind_of(other) in KINDS]
    if not ours or len(theirs) >= len(ours) or op.type in ("If", "Loop", "Scan", "Constant"):
        return
    present = {kind_of(other) for other in theirs}
    for missing in ours:
        wanted = next(iter(parts(case, missing)), None)
        if wanted is None or (kind_of(missing) in present):
            continue
        if any(part.op_type in {other.type for other in theirs} for part in parts(case, missing)):
            continue
        yield from _inserted(case, op, missing, wanted)


def _inserted(case: Case, op: Op, missing: Op, wanted: Activation) -> Iterator[Hypothesis]:
    """Behind the node that ends where it does, or that makes its operand; or before its reader."""
    dtype = dtype_of(case, op)
    ends = {c for r, c in case.outputs if r in missing.outputs}
    makes = partner_of(case, op)
    if makes is not None and set(makes.outputs) & set(missing.inputs):
        ends.add(op.outputs[0])
    for end in ends & set(op.outputs):
        before = f"{end}.before"
        made = (copied(op, {end: before}), *nodes(wanted, before, end, case.opset, dtype))
        if op.type == "Identity":
            made = nodes(wanted, op.inputs[0], end, case.opset, dtype)
        text = f"the reference has {missing.type} where the candidate has nothing behind {op.type}"
        yield Hypothesis("activation.missing", text, (Edit(op.outputs[0], nodes=made),), expected=True)
    for start in {c for r, c in case.inputs if r in missing.inputs} & set(op.inputs):
        after = f"{op.outputs[0]}.activated"
        made = (*nodes(wanted, start, after, case.opset, dtype), copied(op, {start: after}))
        text = f"the reference has {missing.type} where the candidate has nothing before {op.type}"
        yield Hypothesis("activation.missing", text, (Edit(op.outputs[0], nodes=made),), expected=True)
