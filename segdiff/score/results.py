"""Which class numbers did a device return? Files without a header, ``.npy`` and text, as ais_bench has them.

A file without a header has bytes alone: its height and width are told, its type is found from the count of
the bytes and from what they then say. Two types that would give other classes are not guessed between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path

import numpy as np

from segdiff.core.errors import InputError
from segdiff.inputs.image import check_file, check_pixels, one_line
from segdiff.inputs.tensors import read_npy
from segdiff.score.files import Values

HEADERLESS = frozenset({".bin", ".raw"})
SUFFIXES = HEADERLESS | {".npy", ".txt"}
"""What a device's results end in."""

WHOLE = ("uint8", "int32", "int64", "int16", "uint16", "int8", "uint32", "uint64")
FLOATS = ("float32", "float16", "float64")
DTYPES = (*WHOLE, *FLOATS)
"""The types that masks may be stored in; of two that say the same the first is named."""

MOST_CLASS = np.iinfo(np.uint16).max
MOST_CHANNELS = 4096
"""Channels of a map of scores: more are no classes of any data set."""

PLAIN = (1e-4, 1e6)
"""Between these lies the middle of the magnitudes of scores that a network gives; bits of whole numbers read
as floats are far below or above."""

MOST_TEXT = 1 << 29
"""Bytes of a text file of numbers: 16 million pixels of 5 digits are a sixth of it."""

SAMPLE = 32
"""Files whose bytes are looked at to find their type."""


@dataclass(frozen=True)
class Form:
    """Height and width of masks without a header, and numpy's name of their numbers; None where not known."""

    shape: tuple[int, int] | None = None
    dtype: str | None = None

    def __str__(self) -> str:
        return f"{self.shape[0]}x{self.shape[1]} of {self.dtype}" if self.shape else "of unknown form"


NO_FORM = Form()
"""Nothing is known."""


def checked_form(shape: tuple[int, int] | None, dtype: str | None) -> Form:
    """The form that the user says. Raises InputError where it makes no sense."""
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"{dtype!r} is no type of numbers in masks; there are {', '.join(DTYPES)}.")
    if shape is not None:
        if len(tuple(shape)) != 2:
            raise InputError(f"The shape of a mask is (height, width), and {shape!r} is none.")
        shape = (int(shape[0]), int(shape[1]))
        check_pixels(*shape, "A mask of that shape")
    return Form(shape, dtype)


def found_form(paths: Iterable[Path], said: Form) -> Form:
    """The form of a folder's masks without a header; what was ``said`` where there are none.

    Raises InputError where their height and width are not known, no type has as many bytes, or two types
    would give different classes.
    """
    every = [path for path in paths if path.suffix.lower() in HEADERLESS]
    if not every:
        return said
    first = every[0]
    if said.shape is None:
        raise InputError(
            f"The mask {first} has no header, so its height and width must be told: --shape HEIGHTxWIDTH"
            f"{_squares(_size(first))}."
        )
    if said.dtype is not None:
        return said
    size, _ = Counter(map(_size, every)).most_common(1)[0]  # one of another size is damaged, and told as that
    alike = [path for path in every if _size(path) == size]
    fitting = [name for name in DTYPES if _channels(size, said.shape, name)]
    if not fitting:
        raise InputError(misfit(alike[0], said))
    chosen = alike[:: max(1, len(alike) // SAMPLE)]
    read = {name: list(_read_all(chosen, replace(said, dtype=name))) for name in fitting}
    most = max(map(_usable, read.values()))
    if not most:
        tried = ", ".join(fitting)
        raise InputError(f"The mask {alike[0]} holds no class numbers, read as {tried}.")
    right = [name for name in fitting if _usable(read[name]) == most]
    # one map of whole numbers is no accident: scores that look like one would have to be whole, all of them
    right = [name for name in right if _channels(size, said.shape, name) == 1] or right
    others = [name for name in right[1:] if not _same(read[right[0]], read[name])]
    if others:
        words = " or ".join((right[0], *others))
        raise InputError(
            f"The masks in {first.parent} may be {words} by their bytes, with other classes; --dtype says "
            "which."
        )
    return replace(said, dtype=right[0])


def _usable(masks: list[Values | None]) -> int:
    return sum(mask is not None for mask in masks)


def _read_all(paths: Iterable[Path], form: Form) -> Iterator[Values | None]:
    for path in paths:
        try:
            yield read_result(path, form)
        except InputError:
            yield None


def _same(ours: list[Values | None], theirs: list[Values | None]) -> bool:
    pairs = zip(ours, theirs, strict=True)
    return all(a is None or b is None or np.array_equal(a, b) for a, b in pairs)


def read_result(path: Path, form: Form) -> Values:
    """The class numbers of one file, (H, W) uint8 or uint16; of a map of scores the class of the highest.

    Raises InputError where the file is damaged, of another size than its form, or holds no class numbers.
    """
    path = check_file(path, "mask")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return class_numbers(read_npy(path), path)
    if suffix == ".txt":
        return class_numbers(_text(path, form), path)
    return class_numbers(_bytes(path, form), path)


def _bytes(path: Path, form: Form) -> Values:
    if form.shape is None or form.dtype is None:
        raise InputError(f"The mask {path} has no header, so its shape must be told: --shape HEIGHTxWIDTH.")
    channels = _channels(_size(path), form.shape, form.dtype)
    if not channels:
        raise InputError(misfit(path, form))
    dtype = np.dtype(form.dtype).newbyteorder("<")
    try:
        return np.fromfile(path, dtype).reshape(channels, *form.shape)
    except (OSError, ValueError) as error:
        raise InputError(f"The mask {path} cannot be read: {one_line(error)}.") from error


def _text(path: Path, form: Form) -> Values:
    """Numbers between white space or commas: in the shape that was told, else a row a line."""
    if _size(path) > MOST_TEXT:
        raise InputError(f"The mask {path} is a text of more than {MOST_TEXT:,} bytes; save it as .npy.")
    try:
        lines = path.read_text(encoding="ascii").replace(",", " ").splitlines()
        rows = [np.array(line.split(), np.float64) for line in lines if line.strip()]
        flat = np.concatenate(rows)
    except (OSError, ValueError) as error:
        raise InputError(f"The mask {path} is no text of numbers: {one_line(error)}.") from error
    if form.shape is not None:
        channels, left = divmod(flat.size, form.shape[0] * form.shape[1])
        if not channels or left:
            raise InputError(
                f"The mask {path} has {flat.size:,} numbers, not {form.shape[0]}x{form.shape[1]}."
            )
        return flat.reshape(channels, *form.shape)
    if len({row.size for row in rows}) != 1 or len(rows) == 1:
        raise InputError(
            f"The mask {path} has no row a line, so its shape must be told: --shape HEIGHTxWIDTH."
        )
    return flat.reshape(len(rows), -1)


def class_numbers(array: Values, path: Path) -> Values:
    """An array as class numbers, (H, W); one axis more of real numbers, in front or last, is of scores."""
    if array.dtype.kind not in "biuf":
        raise InputError(f"The mask {path} holds {array.dtype}, which are no class numbers.")
    squeezed = array.reshape([length for length in array.shape if length != 1])
    if squeezed.ndim == 3 and squeezed.dtype.kind == "f":
        return _highest(squeezed, path)
    if squeezed.ndim != 2:
        shape = "x".join(map(str, array.shape)) or "one number"
        raise InputError(f"The mask {path} is {shape}, not one map of height x width; save one mask a file.")
    check_pixels(squeezed.shape[0], squeezed.shape[1], f"The mask {path}")
    low, high = float(squeezed.min()), float(squeezed.max())
    whole = squeezed.dtype.kind != "f" or bool((squeezed == np.rint(squeezed)).all())
    if not whole or not 0 <= low <= high <= MOST_CLASS:
        raise InputError(
            f"The mask {path} has numbers from {low:g} to {high:g}; a class is a whole number from 0 to "
            f"{MOST_CLASS}."
        )
    narrow = np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16
    return np.ascontiguousarray(squeezed, dtype=narrow)


def _highest(scores: Values, path: Path) -> Values:
    first, *_, last = scores.shape
    planes = np.moveaxis(scores, -1, 0) if last < first else scores
    check_pixels(planes.shape[1], planes.shape[2], f"The mask {path}")
    magnitudes = np.abs(planes[planes != 0].astype(np.float64))
    if not np.isfinite(magnitudes).all():
        raise InputError(f"The mask {path} is a map of scores with NaN or infinite values.")
    if magnitudes.size and not PLAIN[0] <= np.median(magnitudes) <= PLAIN[1]:
        raise InputError(
            f"The mask {path} is no map of scores: its numbers are about {np.median(magnitudes):.1e}."
        )
    found: Values = np.argmax(planes, axis=0).astype(np.uint16 if len(planes) > 256 else np.uint8)
    return found


def _channels(size: int, shape: tuple[int, int], dtype: str) -> int:
    """How many maps of that shape and type fill so many bytes; 0 where none do. Only scores have several."""
    channels, left = divmod(size, shape[0] * shape[1] * np.dtype(dtype).itemsize)
    most = MOST_CHANNELS if dtype in FLOATS else 1
    return 0 if left or channels > most else channels


def misfit(path: Path, form: Form) -> str:
    """Why a file does not hold masks of a form: its bytes, what they would be, what they may be."""
    assert form.shape is not None
    height, width = form.shape
    pixels, size = height * width, _size(path)
    names = (form.dtype,) if form.dtype else ("uint8", "int32", "int64")
    needed = ", ".join(f"{pixels * np.dtype(name).itemsize:,} of {name}" for name in names)
    said = f"The mask {path} has {size:,} bytes; {height}x{width} pixels are {needed}"
    return f"{said}{_squares(size)}."


def _squares(size: int) -> str:
    """The square masks of so many bytes: a build for one size returns that size, whatever it was fed."""
    found = []
    for name in ("int64", "int32", "uint8"):
        area, left = divmod(size, np.dtype(name).itemsize)
        if not left and area > 1 and isqrt(area) ** 2 == area:
            found.append(f"{isqrt(area)}x{isqrt(area)} of {name}")
    if not found:
        return ""
    return (
        f" ({size:,} bytes are {' or '.join(found)}: a model that was built for one size returns masks of "
        "that size, whatever the picture's)"
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"The mask {path} cannot be read: {one_line(error)}.") from error
