"""What do PIR's compressed types and attributes mean?

Both are ``{"#": "<dialect>.<kind>", "D": data}``: ``0.t_f32``, ``0.t_dtensor`` (a tensor of them),
``0.a_i32``, ``1.a_intarray``. Non-finite floats have no data but ``"VD": "NAN" | "INF" | "-INF"``.
"""

from __future__ import annotations

from typing import Any

from segdiff.core.errors import ModelError
from segdiff.core.graph import Value

_DTYPES = {
    "t_bool": "bool",
    "t_i8": "int8",
    "t_ui8": "uint8",
    "t_i16": "int16",
    "t_i32": "int32",
    "t_i64": "int64",
    "t_f16": "float16",
    "t_bf16": "bfloat16",
    "t_f32": "float32",
    "t_f64": "float64",
    "t_index": "int64",
    "t_c64": "complex64",
    "t_c128": "complex128",
    "t_f8e4m3fn": "float8_e4m3fn",
    "t_f8e5m2": "float8_e5m2",
}

_WORDS = {name: word for word, name in _DTYPES.items() if word != "t_index"}

_NOISE = frozenset(
    (
        "struct_name",
        "op_callstack",
        "callstack",
        "stop_gradient",
        "persistable",
        "place",
        "trainable",
        "op_role",
        "op_dist_attr",
        "is_distributed",
        "need_clip",
        "force_backward",
        "chunk_id",
        "origin_id",
    )
)
"""Attributes about where an op came from or where it runs, not about what it computes."""

_NON_FINITE = {"NAN": float("nan"), "INF": float("inf"), "-INF": float("-inf")}


def describe(name: str, value_type: Any) -> Value:
    """Shape and dtype of a value; one that is no dense tensor (a vector of tensors, a stack) has neither."""
    if _kind(value_type) != "t_dtensor":
        return Value(name)
    element, dims = value_type["D"][0], value_type["D"][1]
    if not all(isinstance(dim, int) for dim in dims):
        raise ValueError(f"the shape of {name} is not made of integers")
    shape = tuple(None if dim < 0 else dim for dim in dims)
    return Value(name, shape, _DTYPES.get(_kind(element)))


def attributes(op: dict[str, Any]) -> dict[str, Any]:
    """The op's attributes as plain Python values."""
    return {item["N"]: decode(item["AT"]) for item in op.get("A", ()) if item["N"] not in _NOISE}


def attribute(op: dict[str, Any], name: str) -> Any:
    """One attribute, noise or not; None where the op does not have it."""
    return next((decode(item["AT"]) for item in op.get("A", ()) if item["N"] == name), None)


def decode(attr: Any) -> Any:
    """A Python value for a compressed attribute; a kind this reader does not know stays as it is."""
    kind = _kind(attr)
    if "VD" in attr:
        return _NON_FINITE.get(attr["VD"])
    data = attr.get("D")
    if kind == "a_array":
        return [decode(item) for item in data]
    if kind == "a_scalar":
        return complex(data[1], data[2]) if len(data) > 2 else data[1]
    if kind in ("a_c64", "a_c128"):
        return complex(data[0], data[1])
    if kind == "a_type":
        return _DTYPES.get(_kind(data))
    return data


def type_word(dtype: str) -> str:
    """``0.t_f32`` of ``float32``. Raises ModelError for a type that PIR does not have."""
    if dtype not in _WORDS:
        raise ModelError(f"a PIR program has no tensors of type {dtype}")
    return f"0.{_WORDS[dtype]}"


def _kind(item: Any) -> str:
    """``t_f32`` of ``{"#": "0.t_f32"}``."""
    return str(item["#"]).rpartition(".")[2]
