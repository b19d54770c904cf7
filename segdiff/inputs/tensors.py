"""Do the user's ready tensors fit the model? Arrays, dicts of arrays, ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdiff.core.errors import InputError
from segdiff.inputs.image import check_file, one_line
from segdiff.inputs.spec import InputSpec, show_shape

Array = NDArray[Any]

# Above this an .npz is taken for a decompression bomb: a batch of sixteen 4096x4096 RGB pictures in float32
# is 3 GiB.
MAX_NPZ_BYTES = 1 << 32
# What may be cast without asking: float64 is what NumPy makes of plain numbers, int32 and int64 what a
# platform does.
CASTS = frozenset(
    {
        ("float64", "float32"),
        ("float64", "float16"),
        ("float32", "float16"),
        ("float16", "float32"),
        ("int32", "int64"),
        ("int64", "int32"),
    }
)


def read_npy(path: str | Path) -> Array:
    """The array of an ``.npy`` file, without pickle.

    Raises InputError where it is missing, cut off or no array.
    """
    path = check_file(path, ".npy file")
    try:
        # Mapped, so that a file cut off fails before anything is allocated for it.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(mapped, np.ndarray):
            return np.array(mapped)
    except Exception as error:  # np.load raises almost anything on a damaged file
        raise InputError(f"{path} is not a usable .npy file, or is cut off: {one_line(error)}.") from error
    raise InputError(f"{path} is an .npz archive under the name of an .npy file; rename it.")


def read_npz(path: str | Path) -> dict[str, Array]:
    """The named arrays of an ``.npz`` file, without pickle.

    Raises InputError where it is missing, cut off, holds anything but arrays, or unpacks to more than
    ``MAX_NPZ_BYTES``.
    """
    path = check_file(path, ".npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_NPZ_BYTES:
            raise InputError(
                f"{path} unpacks to {size:,} bytes, more than the {MAX_NPZ_BYTES:,} that segdiff takes."
            )
        with np.load(path, allow_pickle=False) as arrays:
            tensors = {name: arrays[name] for name in arrays.files}
    except InputError:
        raise
    except Exception as error:  # np.load and zipfile raise almost anything on a damaged file
        raise InputError(f"{path} is not a usable .npz file, or is cut off: {one_line(error)}.") from error
    alien = [name for name, value in tensors.items() if not isinstance(value, np.ndarray)]
    if alien:
        raise InputError(f"{path} holds members that are no arrays: {_names(alien)}.")
    return tensors


def check_named(
    given: Mapping[str, Array], specs: Sequence[InputSpec], source: str, *, allow_nan: bool = False
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Named tensors that fit the model, in the model's order, and sentences on what was cast.

    Raises InputError that lists missing and unexpected names, or what :func:`check_tensor` raises.
    """
    wanted = [spec.name for spec in specs]
    missing = [name for name in wanted if name not in given]
    unexpected = [str(name) for name in given if name not in wanted]
    if missing or unexpected:
        wrong = [f"missing: {_names(missing)}"] if missing else []
        wrong += [f"unexpected: {_names(unexpected)}"] if unexpected else []
        raise InputError(f"{source} does not name the model's inputs; {'; '.join(wrong)}. {wants(specs)}")
    tensors: dict[str, Array] = {}
    how: list[str] = []
    for spec in specs:
        tensors[spec.name], notes = check_tensor(given[spec.name], spec, source, allow_nan=allow_nan)
        how += notes
    return tensors, tuple(how)


def check_tensor(
    given: object, spec: InputSpec, source: str, *, allow_nan: bool = False
) -> tuple[Array, tuple[str, ...]]:
    """One tensor as the model wants it, C-contiguous, and sentences on what was taken and cast.

    A float becomes the float that the model wants, and int32 and int64 each other where no value changes.
    Raises InputError where the array has another dtype or shape, is empty, or holds NaN or Inf (before or
    after the cast) that
    ``allow_nan`` does not allow.
    """
    if not isinstance(given, np.ndarray | np.generic):
        raise InputError(
            f"{source}: input '{spec.name}' is a {type(given).__name__}, not a numpy array. {wants([spec])}"
        )
    array = np.asarray(given)
    _check_shape(array, spec, source)
    bad = array.size - int(np.count_nonzero(np.isfinite(array))) if array.dtype.kind in "fc" else 0
    if not allow_nan:
        check_finite(array, spec, source)
    cast, notes = _cast(array, spec, source)
    if bad:
        notes = (
            *notes,
            f"{bad} of its {array.size} values are NaN or infinite, and compared like any other.",
        )
    what = f"{show_shape(array.shape)} {array.dtype.name}"
    took = f"Took {source} as input '{spec.name}': {what}, no transform applied."
    return np.asarray(cast, order="C"), (took, *notes)


def check_finite(array: Array, spec: InputSpec, source: str) -> None:
    """Raise InputError where an array holds NaN or Inf, with their number."""
    if array.dtype.kind not in "fc":
        return
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        nan = int(np.count_nonzero(np.isnan(array)))
        raise InputError(
            f"{source}: input '{spec.name}' has {bad} values of {array.size} that are not finite "
            f"({nan} NaN, {bad - nan} Inf). Where that is meant, --allow-nan (allow_nan=True) compares them "
            "like any other value."
        )


def wanted_dtype(spec: InputSpec) -> np.dtype[Any]:
    """The dtype an input wants. Raises InputError where NumPy has no such type."""
    try:
        return np.dtype(spec.dtype)
    except TypeError as error:
        raise InputError(
            f"Input {spec} has a dtype that NumPy does not know, so it cannot be fed."
        ) from error


def wants(specs: Iterable[InputSpec]) -> str:
    """A sentence that lists what the model wants."""
    return f"The model wants {'; '.join(str(spec) for spec in specs)}."


def _check_shape(array: Array, spec: InputSpec, source: str) -> None:
    if not spec.fits(array.shape):
        raise InputError(
            f"{source}: input '{spec.name}' has shape {show_shape(array.shape)}, but the model wants "
            f"{show_shape(spec.dims)}.{_shape_hint(array.shape, spec)}"
        )
    if array.size == 0:
        raise InputError(f"{source}: input '{spec.name}' is empty, its shape is {show_shape(array.shape)}.")


def _shape_hint(shape: tuple[int, ...], spec: InputSpec) -> str:
    if spec.fits((1, *shape)):
        return " The batch axis is missing: array[None]."
    if len(shape) == 4 and spec.fits((shape[0], shape[3], shape[1], shape[2])):
        return " It looks like NHWC: array.transpose(0, 3, 1, 2)."
    if len(shape) == 3 and spec.fits((1, shape[2], shape[0], shape[1])):
        return " It looks like HWC: array.transpose(2, 0, 1)[None]; only uint8 arrays are taken as pictures."
    return ""


def _cast(array: Array, spec: InputSpec, source: str) -> tuple[Array, tuple[str, ...]]:
    wanted = wanted_dtype(spec)
    native = array.dtype.newbyteorder("=")
    if native == wanted:
        return array.astype(wanted, copy=False), ()
    if (native.name, wanted.name) not in CASTS:
        raise InputError(
            f"{source}: input '{spec.name}' is {native.name}, but the model wants {wanted.name}."
        )
    with np.errstate(over="ignore"):
        cast = array.astype(wanted)
    if wanted.kind == "i" and not np.array_equal(cast, array):
        raise InputError(
            f"{source}: input '{spec.name}' is {native.name} with values that {wanted.name} cannot hold."
        )
    if np.isfinite(array).all():
        check_finite(cast, spec, f"{source}, cast to {wanted.name}")
    return cast, (f"Cast input '{spec.name}' from {native.name} to {wanted.name}.",)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
