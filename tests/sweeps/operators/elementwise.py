"""Programs of element-wise operators: activations, arithmetic, rounding, comparison."""

from __future__ import annotations

from collections.abc import Iterator

from .programs import Input, Program, given

F = "nn.functional."
SHAPE = (1, 4, 5, 6)
X = Input(SHAPE)
WIDE = Input(SHAPE, "wide")
POSITIVE = Input(SHAPE, "positive")
TIES = Input(SHAPE, "ties")


def programs() -> Iterator[Program]:
    """All of this module."""
    yield from activations()
    yield from arithmetic()
    yield from functions()


def activations() -> Iterator[Program]:
    """With their default parameters and with others."""
    for name, *others in (
        ("hardsigmoid", {}, {"slope": 0.2, "offset": 0.4}),
        ("hardswish", {}),
        ("gelu", {"approximate": False}, {"approximate": True}),
        ("leaky_relu", {}, {"negative_slope": 0.3}),
        ("elu", {}, {"alpha": 0.6}),
        ("celu", {}, {"alpha": 0.6}),
        ("selu", {}, {"scale": 1.2, "alpha": 1.5}),
        ("silu", {}),
        ("swish", {}),
        ("mish", {}),
        ("softplus", {}, {"beta": 2.0, "threshold": 3.0}, {"beta": 0.5}),
        ("softshrink", {}, {"threshold": 0.3}),
        ("hardshrink", {}, {"threshold": 0.3}),
        ("tanhshrink", {}),
        ("thresholded_relu", {}, {"threshold": 0.4}),
        ("relu", {}),
        ("relu6", {}),
        ("softsign", {}),
        ("hardtanh", {}, {"min": -0.5, "max": 2.0}),
        ("log_sigmoid", {}),
        ("sigmoid", {}),
        ("glu", {"axis": 1}, {"axis": -1}),
        ("maxout", {"groups": 2}),
        ("softmax", {"axis": 1}, {"axis": -1}, {"axis": 0}, {"axis": 2}),
        ("log_softmax", {"axis": 1}, {"axis": -1}, {"axis": 2}),
        ("dropout", {"p": 0.3, "training": False}),
        ("dropout", {"p": 0.3, "training": False, "mode": "downscale_in_infer"}),
        ("dropout2d", {"p": 0.3, "training": False}),
        ("alpha_dropout", {"p": 0.3, "training": False}),
        ("rrelu", {"lower": 0.1, "upper": 0.3, "training": False}),
    ):
        for arguments in others:
            yield given(F + name, WIDE, **arguments)
    yield given(F + "prelu", X, _weights={"weight": Input((4,))})
    yield given(F + "prelu", WIDE, _weights={"weight": Input((1,))})
    yield given("tanh", WIDE)
    yield given("stanh", X, scale_a=0.5, scale_b=1.3)


def arithmetic() -> Iterator[Program]:
    """Negative operands, halves, broadcast, integers."""
    row = Input((6,))
    for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "fmax", "fmin"):
        yield given(name, X, row)
    for name in ("maximum", "minimum", "fmax", "fmin"):
        yield given("of_log", TIES, X, name=name)
    for name in ("mod", "remainder", "floor_divide", "floor_mod"):
        yield given(name, WIDE, X)
        yield given(name, Input(SHAPE, "int"), Input(SHAPE, "int"))
        yield given(name, Input(SHAPE, "int32"), Input(SHAPE, "int32"))
        yield given(name, WIDE, y=3.0)
        yield given(name, WIDE, y=-3.0)
    for name in ("divide", "add", "multiply"):
        yield given(name, Input(SHAPE, "int"), Input(SHAPE, "int"))
    yield given("pow", POSITIVE, y=2.5)
    yield given("pow", X, y=3)
    yield given("pow", X, y=2)
    yield given("pow", POSITIVE, X)
    yield given("pow", Input(SHAPE, "int"), y=2)
    yield given("scale", X, scale=1.7, bias=0.4, bias_after_scale=True)
    yield given("scale", X, scale=1.7, bias=0.4, bias_after_scale=False)
    yield given("scale", Input(SHAPE, "int"), scale=3, bias=2, bias_after_scale=False)
    yield given("scale", Input(SHAPE, "int"), scale=1.5, bias=0.5)
    yield given("clip", X, min=-0.4, max=0.9)
    yield given("clip", X, min=-0.4)
    yield given("clip", X, max=0.4)
    yield given("clip", Input(SHAPE, "int"), min=-3, max=4)
    yield given("lerp", X, X, weight=0.3)
    yield given("atan2", X, Input(SHAPE))
    yield given("hypot", X, Input(SHAPE))
    yield given("bitwise_and", Input(SHAPE, "int"), Input(SHAPE, "int"))
    yield given("bitwise_not", Input(SHAPE, "int"))
    yield given("heaviside", TIES, Input(SHAPE))
    for name in ("equal", "less_than", "greater_equal", "not_equal", "less_equal", "greater_than"):
        yield given(name, TIES, Input(SHAPE, "ties"))
    for name in ("equal", "not_equal"):
        yield given(name, Input(SHAPE, "sevenths"), Input(SHAPE, "sevenths"))
    for name in ("logical_and", "logical_or", "logical_xor"):
        yield given(name, Input(SHAPE, "bool"), Input(SHAPE, "bool"))
    yield given("isclose", X, X, rtol=1e-5)


def functions() -> Iterator[Program]:
    """One operand, each to its domain."""
    for name in ("round", "floor", "ceil", "trunc", "sign", "frac"):
        yield given(name, TIES)
        yield given(name, WIDE)
    for name in (
        "exp",
        "expm1",
        "square",
        "abs",
        "neg",
        "sin",
        "cos",
        "tan",
        "atan",
        "sinh",
        "cosh",
        "erf",
        "asinh",
    ):
        yield given(name, X)
    for name in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "digamma", "lgamma"):
        yield given(name, POSITIVE)
    for name in ("asin", "acos", "atanh", "erfinv", "logit"):
        yield given(name, Input(SHAPE, "unit"))
    yield given("logit", Input(SHAPE, "unit"), eps=0.2)
    yield given("acosh", POSITIVE)
    yield given("abs", Input(SHAPE, "int"))
    yield given("sign", Input(SHAPE, "int"))
    for name in ("isnan", "isinf", "isfinite", "nan_to_num", "sign", "abs", "round", "floor"):
        yield given("of_log", TIES, name=name)
    for name in ("nn.functional.relu", "nn.functional.leaky_relu", "nn.functional.hardsigmoid"):
        yield given("of_log", TIES, name=name)
    yield given("of_log", TIES, name="nan_to_num", nan=0.5, posinf=3.0, neginf=-4.0)
    yield given("of_log", TIES, name="clip", min=-0.4, max=0.9)
    yield given("of_log", TIES, name="max", axis=1)
    for dtype in ("int32", "int64", "bool", "float64", "uint8"):
        yield given("cast", POSITIVE if dtype == "uint8" else WIDE, dtype=dtype)
    yield given("cast", Input(SHAPE, "bool"), dtype="float32")
    yield given("logical_not", Input(SHAPE, "bool"))
    yield given("rad2deg", X)
    yield given("increment", Input((1,)), value=2.5)
    yield given("polygamma", POSITIVE, n=1)
