"""Element-wise operators in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.sweeps.operators.programs import Array

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def log_sigmoid(x: Array) -> Array:
    """log(1 / (1 + exp(-x)))."""
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def gelu(x: Array, approximate: bool = False) -> Array:
    """By erf; ``approximate`` by tanh."""
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold."""
    return np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def selu(
    x: Array,
    scale: float = 1.0507009873554804934193349852946,
    alpha: float = 1.6732632423543772848170429916717,
) -> Array:
    """scale * x above 0, else scale * alpha * (exp(x) - 1)."""
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu(x: Array, alpha: float = 1.0) -> Array:
    """x above 0, else alpha (exp(x) - 1)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def celu(x: Array, alpha: float = 1.0) -> Array:
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1))."""
    return np.maximum(0, x) + np.minimum(0, alpha * np.expm1(np.minimum(x, 0) / alpha))


def maxout(x: Array, groups: int) -> Array:
    """The largest of every ``groups`` consecutive channels."""
    n, c, *rest = x.shape
    return x.reshape(n, c // groups, groups, *rest).max(axis=2)


def softmax(x: Array, axis: int = -1) -> Array:
    """Along one axis."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x: Array, axis: int = -1) -> Array:
    """Along one axis."""
    y = x - x.max(axis=axis, keepdims=True)
    return y - np.log(np.exp(y).sum(axis=axis, keepdims=True))


def dropout(x: Array, p: float = 0.5, training: bool = True, mode: str = "upscale_in_train") -> Array:
    """At inference: the input; times 1 - p where the mode is ``downscale_in_infer``."""
    assert not training
    return x * (1 - p) if mode == "downscale_in_infer" else x


def glu(x: Array, axis: int = -1) -> Array:
    """First half times the sigmoid of the second."""
    a, b = np.split(x, 2, axis=axis)
    return a * sigmoid(b)


def floor_divide(x: Array, y: Array | float) -> Array:
    """``paddle.floor_divide``: rounded toward negative infinity (documented so since 2.5)."""
    return np.floor_divide(x, y)


def mod(x: Array, y: Array | float) -> Array:
    """``paddle.mod``: x - y * floor(x / y), the divisor's sign."""
    return np.mod(x, y)


def scale(x: Array, scale: float = 1.0, bias: float = 0.0, bias_after_scale: bool = True) -> Array:
    """scale * x + bias, or scale * (x + bias); integers stay integers."""
    found = x * scale + bias if bias_after_scale else scale * (x + bias)
    return found.astype(x.dtype)


def clip(x: Array, min: float | None = None, max: float | None = None) -> Array:
    """Between the bounds that are given; NaN stays NaN."""
    return np.clip(x, min, max)


def of_log(x: Array, *more: Array, name: str, **arguments: Any) -> Array:
    """A function of the logarithm, which has NaN and minus infinity."""
    return np.asarray(FUNCTIONS[name.rpartition(".")[2]](np.log(x), *more, **arguments))


def nan_to_num(x: Array, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Array:
    """Infinities become the largest float32 by default."""
    top = float(np.finfo(np.float32).max)
    return np.nan_to_num(x, nan=nan, posinf=posinf or top, neginf=neginf or -top)


def cast(x: Array, dtype: str) -> Array:
    """Toward zero."""
    return x.astype(dtype)


def logit(x: Array, eps: float | None = None) -> Array:
    """log(x / (1 - x)), x clamped to [eps, 1 - eps]."""
    y = np.clip(x, eps, 1 - eps) if eps else x
    return np.log(y / (1 - y))


def prelu(x: Array, weight: Array) -> Array:
    """The slope by channel."""
    slope = weight.reshape(1, -1, *[1] * (x.ndim - 2))
    return np.where(x > 0, x, slope * x)


def rrelu(x: Array, lower: float, upper: float, training: bool) -> Array:
    """At inference the mean slope."""
    return np.where(x >= 0, x, x * (lower + upper) / 2)


ALIKE = (
    *("add", "subtract", "multiply", "maximum", "minimum", "fmax", "fmin", "hypot", "floor", "ceil", "sign"),
    *("exp", "expm1", "square", "abs", "sin", "cos", "tan", "sinh", "cosh", "tanh", "log", "log2", "log10"),
    *("log1p", "sqrt", "reciprocal", "isnan", "isinf", "isfinite", "equal", "not_equal", "bitwise_and"),
    *("bitwise_not", "logical_and", "logical_or", "logical_xor", "logical_not", "rad2deg"),
)
"""Functions that numpy calls by the same name and means alike."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sigmoid": sigmoid,
    "log_sigmoid": log_sigmoid,
    "gelu": gelu,
    "softplus": softplus,
    "selu": selu,
    "elu": elu,
    "celu": celu,
    "maxout": maxout,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "dropout": dropout,
    "dropout2d": dropout,
    "alpha_dropout": dropout,
    "glu": glu,
    "prelu": prelu,
    "rrelu": rrelu,
    "floor_divide": floor_divide,
    "mod": mod,
    "remainder": mod,
    "floor_mod": mod,
    "scale": scale,
    "clip": clip,
    "of_log": of_log,
    "nan_to_num": nan_to_num,
    "cast": cast,
    "logit": logit,
    "hardsigmoid": lambda x, slope=1 / 6, offset=0.5: np.clip(slope * x + offset, 0, 1),
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "leaky_relu": lambda x, negative_slope=0.01: np.where(x >= 0, x, negative_slope * x),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "softshrink": lambda x, threshold=0.5: np.sign(x) * np.maximum(np.abs(x) - threshold, 0),
    "hardshrink": lambda x, threshold=0.5: np.where(np.abs(x) > threshold, x, 0),
    "tanhshrink": lambda x: x - np.tanh(x),
    "thresholded_relu": lambda x, threshold=1.0: np.where(x > threshold, x, 0),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "hardtanh": lambda x, min=-1.0, max=1.0: np.clip(x, min, max),
    "stanh": lambda x, scale_a=0.67, scale_b=1.7159: scale_b * np.tanh(scale_a * x),
    "round": np.round,
    "trunc": np.trunc,
    "frac": lambda x: x - np.trunc(x),
    "pow": lambda x, y: np.power(x, y),
    "lerp": lambda x, y, weight: x + weight * (y - x),
    "divide": lambda x, y: x / y,
    "atan2": np.arctan2,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "neg": np.negative,
    "erf": erf,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "increment": lambda x, value: x + value,
    "heaviside": np.heaviside,
    "isclose": lambda x, y, rtol: np.isclose(x, y, rtol=rtol, atol=1e-8),
    "max": lambda x, axis=None, keepdim=False: np.max(x, axis=axis, keepdims=keepdim),
    **{name: getattr(np, name) for name in ALIKE},
    "less_than": np.less,
    "greater_than": np.greater,
    "less_equal": np.less_equal,
    "greater_equal": np.greater_equal,
}
