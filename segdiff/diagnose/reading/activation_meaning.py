"""What does a reference's activation ask of the candidate? The ONNX operators that it is made of.

Paddle's defaults are those of its operators (paddle/phi/ops/yaml/ops.yaml), ONNX's those of its schemas.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segdiff.align.kinds import kind_of
from segdiff.core.graph import Graph, Op
from segdiff.diagnose.reading import constants
from segdiff.diagnose.reading.activation_nodes import Activation
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import scalar

DEFAULTS: dict[tuple[str, str], Any] = {
    ("HardSigmoid", "alpha"): 0.2,
    ("HardSigmoid", "beta"): 0.5,
    ("LeakyRelu", "alpha"): 0.01,
    ("Elu", "alpha"): 1.0,
    ("Celu", "alpha"): 1.0,
    ("Selu", "alpha"): 1.67326319217681884765625,
    ("Selu", "gamma"): 1.05070102214813232421875,
    ("ThresholdedRelu", "alpha"): 1.0,
    ("Gelu", "approximate"): "none",
    ("Shrink", "lambd"): 0.5,
    ("Shrink", "bias"): 0.0,
}

SETTINGS: dict[str, tuple[str, ...]] = {
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
    "Softsign": (),
    "Softplus": (),
    "Erf": (),
    "Clip": ("min", "max"),
    "LeakyRelu": ("alpha",),
    "Elu": ("alpha",),
    "Celu": ("alpha",),
    "Selu": ("alpha", "gamma"),
    "ThresholdedRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Shrink": ("lambd", "bias"),
}
"""ONNX's activations and their coefficients."""

FLAT = 16.6
"""From here on a softplus is its argument up to a rounding of float32: exp(-16.6) is 2**-24."""

_MADE_OF_OTHERS = ("hard_swish", "gelu", "mish")
"""Kinds that are often written out, whatever framework they come from."""


def setting(graph: Graph, op: Op, name: str) -> Any:
    """An attribute of an ONNX activation, or its default; the bounds of Clip wherever they stand."""
    place = {"min": "1", "max": "2"}.get(name, "")
    if op.type == "Clip" and place in op.slots:
        return scalar(constants.value(graph, op.inputs[op.slots.index(place)]))
    return op.attributes.get(name, DEFAULTS.get((op.type, name)))


def parts(case: Case, op: Op) -> tuple[Activation, ...]:
    """The ONNX operators that a reference's activation is made of; those that are activations themselves."""
    kind = kind_of(op)
    if op.type in SETTINGS and kind not in _MADE_OF_OTHERS:
        found = {name: setting(case.reference, op, name) for name in SETTINGS[op.type]}
        return (Activation(op.type, found),)
    return tuple(_asked(case, op, kind))


def _asked(case: Case, op: Op, kind: str) -> Iterator[Activation]:
    def number(*names: str, default: float) -> float:
        value = case.asked(op, *names, default=default)
        return float(value.reshape(-1)[0] if hasattr(value, "reshape") else value)

    if kind in _PLAIN:
        yield Activation(_PLAIN[kind])
    elif kind == "relu6":
        yield Activation("Clip", {"min": 0.0, "max": number("threshold", default=6.0)})
    elif kind == "clip":
        low, high = (case.asked(op, name) for name in ("min", "max"))
        yield Activation("Clip", {"min": _float(low), "max": _float(high)})
    elif kind in ("hardtanh", "brelu"):
        yield Activation("Clip", {"min": number("t_min", "min", default=-1.0),
                                  "max": number("t_max", "max", default=1.0)})  # fmt: skip
    elif kind == "leaky_relu":
        yield Activation("LeakyRelu", {"alpha": number("alpha", "negative_slope", default=0.02)})
    elif kind in ("elu", "celu"):
        yield Activation(kind.capitalize(), {"alpha": number("alpha", default=1.0)})
    elif kind == "selu":
        yield Activation("Selu", {"alpha": number("alpha", default=DEFAULTS["Selu", "alpha"]),
                                  "gamma": number("scale", default=DEFAULTS["Selu", "gamma"])})  # fmt: skip
    elif kind == "thresholded_relu":
        yield Activation("ThresholdedRelu", {"alpha": number("threshold", default=1.0)})
    elif kind == "hard_sigmoid":
        slope, offset = number("slope", default=0.2), number("offset", default=0.5)
        yield Activation("HardSigmoid", {"alpha": slope, "beta": offset})
        yield Activation("Clip", {"min": 0.0, "max": 1.0})
    elif kind == "hard_swish":
        scale, offset = number("scale", default=6.0), number("offset", default=3.0)
        yield Activation("HardSwish")
        yield Activation("HardSigmoid", {"alpha": 1 / scale, "beta": offset / scale})
        yield Activation("Clip", {"min": 0.0, "max": number("threshold", default=6.0)})
    elif kind == "gelu":
        tanh = case.asked(op, "approximate", default=False) in (True, "tanh")
        yield Activation("Gelu", {"approximate": "tanh" if tanh else "none"})
        yield Activation("Tanh" if tanh else "Erf")
    elif kind == "swish":
        yield Activation("Swish", {"beta": number("beta", default=1.0)})
        yield Activation("Sigmoid")
    elif kind == "mish":
        yield Activation("Mish")
        yield Activation("Softplus")
        yield Activation("Tanh")
    elif kind == "softplus":
        beta, threshold = number("beta", default=1.0), number("threshold", default=20.0)
        limit = {"threshold": threshold} if threshold < FLAT else {}
        plain = beta == 1.0 and not limit
        yield Activation("Softplus") if plain else Activation("ScaledSoftplus", {"beta": beta, **limit})
    elif kind in ("hard_shrink", "softshrink"):
        threshold = number("threshold", "lambda", default=0.5)
        yield Activation("Shrink", {"lambd": threshold, "bias": threshold if kind == "softshrink" else 0.0})


_PLAIN = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "log_sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "tanh_shrink": "Tanh",
    "softsign": "Softsign",
    "erf": "Erf",
}


def _float(value: Any) -> float | None:
    if value is None:
        return None
    return float(value.reshape(-1)[0]) if hasattr(value, "reshape") else float(value)
