"""Which numbers are the bytes of a file without a header? By their count, and what the ONNX file declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isqrt, prod
from pathlib import Path

import numpy as np

from segdiff.core.errors import ModelError
from segdiff.core.graph import Shape, Value
from segdiff.readers.dumps.stored import bytes_of, itemsize, shape_text

CHUNK = 1 << 20
"""Bytes that are looked at at once."""


def as_fed(value: Value, size: int, inputs: Mapping[str, tuple[int, ...]]) -> Value:
    """The value with its open sizes those of what was fed, where ``size`` bytes are as many as that needs.

    A network for segmentation ends in the size of its picture, which the file may compute from it.
    """
    shape = value.shape
    if shape is None or None not in shape or len(shape) < 3:
        return value
    for fed in inputs.values():
        stands: Shape = (fed[0], *[None] * (len(shape) - 3), *fed[-2:]) if len(fed) >= 3 else ()
        whole = [have if want is None else want for want, have in zip(shape, stands, strict=False)]
        known = tuple(dim for dim in whole if dim is not None)
        sizes = (prod(known) * itemsize(name, value.name) for name in _choices(value.dtype or "float32"))
        if len(known) == len(shape) and size in sizes:
            return replace(value, shape=known)
    return value


def static_shape(value: Value, label: str) -> tuple[int, ...]:
    """The shape that the ONNX file declares. Raises ModelError where it leaves a dimension open."""
    if value.shape is None or None in value.shape:
        shown = "no shape" if value.shape is None else shape_text(value.shape)
        raise ModelError(
            f"{label}: has no header, and the ONNX file declares {shown} for {value.name}; "
            'write its "shape" into manifest.json'
        )
    return tuple(dim for dim in value.shape if dim is not None)


def stored_type(file: Path, size: int, shape: tuple[int, ...], value: Value, label: str) -> str:
    """The type of the numbers that fill ``size`` bytes in that shape. Raises ModelError where none does.

    Floats may be stored in half precision. Whole numbers come back narrower (int32 for int64), or as
    floats; which of the two, their bits tell.
    """
    declared, count = value.dtype or "float32", prod(shape)
    choices = _choices(declared)
    found = [name for name in choices if count * itemsize(name, label) == size]
    if not found or not count:
        raise ModelError(
            f"{label}: {size} bytes, {_needed(shape, declared, label)}{_square(size, shape, choices, label)}"
        )
    floats = [name for name in found if name.startswith("float")]
    whole = [name for name in found if not name.startswith("float")]
    if floats and whole:
        return floats[0] if _are_whole(file, size, floats[0]) else whole[0]
    return found[0]


def _choices(declared: str) -> tuple[str, ...]:
    """The types that a value of the declared one may come back in."""
    if declared in ("bfloat16", "float16", "float32", "float64") or "float" in declared:
        return ("float32", "float16", "float64")
    if declared == "bool":
        return ("bool", "float32", "float16", "int32")
    sign = "uint" if declared.startswith("uint") else "int"
    return ("float32", "float16", f"{sign}64", f"{sign}32", f"{sign}16", "uint8")


def _are_whole(file: Path, size: int, dtype: str) -> bool:
    """Whether the bits, read as floats, are whole numbers, and not all of them zero."""
    some = False
    for start in range(0, size, CHUNK):
        part = bytes_of(file, start, min(CHUNK, size - start)).view(dtype)
        if not (np.isfinite(part).all() and (part == np.rint(part)).all()):
            return False
        some = some or bool(part.any())
    return some


def _needed(shape: tuple[int, ...], declared: str, label: str) -> str:
    count = prod(shape)
    if "float" in declared:
        return f"{shape_text(shape)} needs {count * 4} in float32 and {count * 2} in float16"
    return (
        f"{shape_text(shape)} of {declared} needs {count * itemsize(declared, label)}, {count * 4} in 32 bits"
    )


def _square(size: int, shape: tuple[int, ...], choices: tuple[str, ...], label: str) -> str:
    """The square image that would have as many bytes: what a build of another size leaves."""
    if len(shape) < 3:
        return ""
    rest = prod(shape[:-2])
    sides = list(dict.fromkeys(_sides(size, rest, choices, label)))
    if len(sides) != 1:
        return ""
    (side,) = sides
    return f"; as many as {shape_text((*shape[:-2], side, side))} has, is the device's build of another size?"


def _sides(size: int, rest: int, choices: tuple[str, ...], label: str) -> Iterator[int]:
    for name in choices:
        area, left = divmod(size, rest * itemsize(name, label)) if rest else (0, 1)
        if not left and area > 1 and isqrt(area) ** 2 == area:
            yield isqrt(area)
