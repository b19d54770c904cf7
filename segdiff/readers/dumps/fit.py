"""Does a stored array fit an ONNX value, and what has to be undone for it? Layout, shape, kind of number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import numpy as np

from segdiff.core.dumped import DumpedTensor
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Value
from segdiff.readers.dumps.layouts import (
    PLAIN,
    Turn,
    completed,
    declared,
    fits,
    is_blocked,
    known,
    looks_blocked,
    possible,
)
from segdiff.readers.dumps.stored import ITS_OWN, Stored, shape_text
from segdiff.readers.guard import guard


@dataclass(frozen=True)
class Fitted:
    """A tensor as the ONNX file would have it; ``turned`` says that its shape alone told of its layout,
    ``either`` that its shape is right both as it stands and with its channels moved; ``other`` is the
    declared shape where it has another."""

    tensor: DumpedTensor
    turned: bool = False
    either: bool = False
    other: str = ""


def fitted(stored: Stored, value: Value) -> Fitted:
    """The array as that value. Raises ModelError where it holds another kind of number, or its layout cannot
    be undone."""
    turn, turned = _turn(stored, value)
    shape, how = (turn.shape, (*stored.how, turn.words)) if turn else (stored.shape, stored.how)
    reshaped = _same_but_for_ones(shape, value)
    if reshaped is not None:
        how = (*how, "dimensions of one")
        shape = reshaped
    convert, words = _numbers(stored, value)
    how = (*how, words) if words else how
    load = partial(_load, stored, turn, shape, convert)
    tensor = DumpedTensor(value.name, stored.file, stored.dtype, shape, load, how)
    either = (
        turn is None
        and stored.layout in ("", ITS_OWN)
        and value.shape is not None
        and prod(stored.shape[1:-1]) > 1 < stored.shape[-1]  # else the numbers are the same either way
        and any(True for _ in possible(stored.shape, value.shape))
    )
    other = "" if fits(shape, value.shape) or value.shape is None else shape_text(value.shape)
    return Fitted(tensor, turned, either, other)


def regrouped(found: Fitted, value: Value) -> Fitted:
    """The same numbers in the shape that the ONNX file declares; as it is where they are not as many."""
    tensor = found.tensor
    if value.shape is None or None in value.shape:
        return found
    shape = tuple(dim for dim in value.shape if dim is not None)
    if prod(shape) != prod(tensor.shape):
        return found
    words = f"{shape_text(tensor.shape)} for {shape_text(shape)}"
    load = partial(_regrouped, tensor.load, shape)
    return Fitted(replace(tensor, shape=shape, load=load, how=(*tensor.how, words)))


def _regrouped(load: Callable[[], Array], shape: tuple[int, ...]) -> Array:
    return load().reshape(shape)


def _turn(stored: Stored, value: Value) -> tuple[Turn | None, bool]:
    """What undoes the layout, and whether it is the shape alone that says so."""
    if stored.layout and stored.layout != ITS_OWN:
        return _told(stored, value), False
    if value.shape is not None and _wanted(stored.shape, value):
        return None, False
    turns = [] if value.shape is None else list(possible(stored.shape, value.shape))
    if len({turn.words for turn in turns}) > 1:
        names = " or ".join(turn.words for turn in turns)
        raise ModelError(f"{stored.label}: could be {names}; name its layout in manifest.json")
    if not turns and stored.layout == ITS_OWN and looks_blocked(stored.shape):
        raise ModelError(
            f"{stored.label}: {shape_text(stored.shape)} may be in the device's blocks, and the ONNX file "
            "does not say of which shape; convert it with msaccucmp convert -f NCHW"
        )
    return (turns[0], True) if turns else (None, False)


def _told(stored: Stored, value: Value) -> Turn | None:
    """What undoes a layout that the dump names. Raises ModelError where nothing does."""
    layout = stored.layout
    if not known(layout):
        raise ModelError(f"{stored.label}: the layout {layout} is not one that can be undone")
    whole = completed(layout, stored.shape, value.shape)
    if is_blocked(layout):
        originals = [one for one in (stored.original, whole) if one]
        turn = next(filter(None, (declared(layout, stored.shape, one) for one in originals)), None)
        if turn is None:
            raise ModelError(
                f"{stored.label}: {shape_text(stored.shape)} in {layout} cannot be told from its padding"
                + (f": it is not of {shape_text(originals[0])}" if originals else ": no shape is known of it")
            )
        return turn
    turn = declared(layout, stored.shape, None)
    if turn is None and layout not in PLAIN:
        raise ModelError(f"{stored.label}: {shape_text(stored.shape)} cannot be {layout}")
    if turn is not None and not _wanted(turn.shape, value) and _wanted(stored.shape, value):
        return None  # the ONNX file itself has the channels last there
    return turn


def _wanted(shape: tuple[int, ...], value: Value) -> bool:
    return fits(shape, value.shape) or _same_but_for_ones(shape, value) is not None


def _same_but_for_ones(shape: tuple[int, ...], value: Value) -> tuple[int, ...] | None:
    """The declared shape where the stored one differs from it in dimensions of one alone; None otherwise."""
    if value.shape is None or fits(shape, value.shape):
        return None
    want = [dim for dim in value.shape if dim != 1]
    have = [dim for dim in shape if dim != 1]
    if len(have) != len(want) or any(w is not None and w != h for h, w in zip(have, want, strict=True)):
        return None
    sizes = iter(have)
    found = tuple(1 if dim == 1 else next(sizes) for dim in value.shape)
    return found if prod(found) == prod(shape) else None


def _numbers(stored: Stored, value: Value) -> tuple[Callable[[Array], Array] | None, str]:
    """What turns the stored numbers into those of the value, and its words. Raises ModelError."""
    have, want = stored.dtype, value.dtype
    if want is None or want == have:
        return None, ""
    is_float = "float" in want
    if is_float and "float" in have:
        return None, ""
    if is_float:
        raise ModelError(
            f"{stored.label}: holds {have} where the ONNX file has {want}; "
            "quantised numbers are not compared, dump what they stand for"
        )
    if want == "bool":
        return lambda array: array != 0, f"{have} for bool"
    if want.startswith(("int", "uint")):
        return partial(_whole, stored.label, want), f"{have} for {want}"
    raise ModelError(f"{stored.label}: holds {have} where the ONNX file has {want}")


def _whole(label: str, want: str, array: Array) -> Array:
    """Whole numbers in the declared type. Raises ModelError where they are not whole, or too large."""
    target = np.dtype(want)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.rint(array)).all()):
        raise ModelError(f"{label}: holds numbers that are not whole where the ONNX file has {want}")
    limits = np.iinfo(target)
    if (
        array.size
        and array.dtype.kind != "b"
        and not (limits.min <= array.min() and array.max() <= limits.max)
    ):
        raise ModelError(f"{label}: holds numbers beyond {want}, which the ONNX file has")
    return array.astype(target)


def _load(
    stored: Stored, turn: Turn | None, shape: tuple[int, ...], convert: Callable[[Array], Array] | None
) -> Array:
    with guard(stored.file, "the tensor"):
        array = stored.read()
        array = turn.apply(array) if turn else array
        array = np.ascontiguousarray(array).reshape(shape)
        return convert(array) if convert else array
