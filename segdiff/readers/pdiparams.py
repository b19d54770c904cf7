"""Where in a ``.pdiparams`` file does each parameter lie?

The format (paddle's ``save_combine``) is one tensor after another, without names: the parameters of the
program sorted by name. A tensor is

    uint32 version, uint64 LoD levels, (uint64 bytes, data) per level,
    uint32 version, int32 size of a TensorDesc, the TensorDesc, the raw little-endian data.

One pass over the headers finds every offset; the data itself is read when somebody asks for it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Parameter, Shape, Value
from segdiff.readers.dtypes import numpy_dtype
from segdiff.readers.framework_proto import dtype_name, framework
from segdiff.readers.guard import guard

_MAX_DESC = 4096
"""Bytes of a TensorDesc; a dozen is usual, and more than this is no TensorDesc."""

_MAX_LEVELS = 16
"""LoD levels of a tensor; parameters have none."""


@dataclass(frozen=True)
class _Header:
    """What the file says about one tensor, and where its data starts and ends."""

    shape: tuple[int, ...]
    dtype: str
    start: int
    end: int


def read_parameters(path: Path, declared: Mapping[str, Value]) -> dict[str, Parameter]:
    """The parameters the program declares, found in ``path``: a combined file or a folder of one file each.

    ``declared`` maps names to what the program says of them. ModelError where the file ends early, goes on
    too long, or holds other shapes: it belongs to another model then. The element type is the file's word:
    quantised models store another one than they declare.
    """
    with guard(path, "the parameter file"):
        if path.is_dir():
            return _read_folder(path, declared)
        if not path.is_file():
            raise ModelError(f"{path}: no such parameter file")
        return _read_combined(path, declared)


def without_data(declared: Mapping[str, Value], program: Path) -> dict[str, Parameter]:
    """Parameters by the program's own word, for a model whose weights are missing; ``load`` raises."""
    parameters = {}
    for name, value in declared.items():
        if value.shape is None or value.dtype is None or None in value.shape:
            raise ModelError(f"{program}: parameter {name} has no fixed shape; the parameter file is needed")
        shape = tuple(dim for dim in value.shape if dim is not None)
        parameters[name] = Parameter(name, shape, value.dtype, partial(_no_data, name, program))
    return parameters


def _no_data(name: str, program: Path) -> Array:
    raise ModelError(f"{program}: parameter {name} has no data, the parameter file is missing")


def _read_combined(path: Path, declared: Mapping[str, Value]) -> dict[str, Parameter]:
    size = path.stat().st_size
    parameters = {}
    with path.open("rb") as file:
        for name in sorted(declared):
            parameters[name] = _next(file, size, path, name, declared[name].shape)
        if file.tell() != size:
            raise ModelError(
                f"{path}: {size - file.tell()} bytes are left after the last parameter "
                f"({max(declared, default='none')}); the file belongs to another model"
            )
    return parameters


def _read_folder(folder: Path, declared: Mapping[str, Value]) -> dict[str, Parameter]:
    parameters = {}
    for name in sorted(declared):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ModelError(f"{folder}: parameter name {name!r} points outside of the folder")
        if not path.is_file():
            raise ModelError(f"{folder}: the file of parameter {name} is missing")
        size = path.stat().st_size
        with path.open("rb") as file:
            parameters[name] = _next(file, size, path, name, declared[name].shape)
            if file.tell() != size:
                raise ModelError(f"{path}: {size - file.tell()} bytes are left after parameter {name}")
    return parameters


def _next(file: BinaryIO, size: int, path: Path, name: str, expected: Shape | None) -> Parameter:
    """Read one header, check it, and leave the file behind the tensor's data."""
    try:
        header = _read_header(file, size)
    except ValueError as error:
        raise ModelError(
            f"{path}: parameter {name}: {error}; the file is damaged or of another model"
        ) from error
    if expected is not None and not _fits(header.shape, expected):
        wanted = [-1 if dim is None else dim for dim in expected]
        raise ModelError(
            f"{path}: parameter {name} has shape {list(header.shape)}, the program says {wanted}; "
            "the file belongs to another model"
        )
    file.seek(header.end)
    return Parameter(name, header.shape, header.dtype, partial(_load, path, name, header))


def _read_header(file: BinaryIO, size: int) -> _Header:
    """Decode a tensor's header; ValueError where it is no header or the data would not fit into the file."""
    version, levels = struct.unpack("<IQ", _take(file, 12))
    if version != 0 or levels > _MAX_LEVELS:
        raise ValueError("there is no tensor at its place")
    for _ in range(levels):
        (length,) = struct.unpack("<Q", _take(file, 8))
        if length > size - file.tell():
            raise ValueError("the file ends inside its LoD")
        file.seek(length, 1)
    version, length = struct.unpack("<Ii", _take(file, 8))
    if version != 0 or not 0 < length <= _MAX_DESC:
        raise ValueError("there is no tensor description at its place")
    shape, dtype = _describe(_take(file, length))
    start = file.tell()
    end = start + prod(shape) * numpy_dtype(dtype).itemsize
    if end > size:
        raise ValueError(f"needs {end - start} bytes of data, the file has {size - start}")
    return _Header(shape, dtype, start, end)


def _take(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise ValueError("the file ends before it")
    return data


def _describe(data: bytes) -> tuple[tuple[int, ...], str]:
    desc = framework().VarType.TensorDesc()
    try:
        desc.ParseFromString(data)
    except Exception as error:
        raise ValueError("its description cannot be decoded") from error
    dtype = dtype_name(desc.data_type)
    shape = tuple(int(dim) for dim in desc.dims)
    if dtype is None or any(dim < 0 for dim in shape):
        raise ValueError("its description is not one of a tensor")
    return shape, dtype


def _fits(shape: Sequence[int], expected: Shape) -> bool:
    return len(shape) == len(expected) and all(
        want is None or have == want for have, want in zip(shape, expected, strict=True)
    )


def _load(path: Path, name: str, header: _Header) -> Array:
    with guard(path, f"parameter {name}"):
        dtype = numpy_dtype(header.dtype)
        raw = np.fromfile(path, dtype=np.uint8, count=header.end - header.start, offset=header.start)
        if raw.size != header.end - header.start:
            raise ModelError(f"{path}: parameter {name}: the file has become shorter since it was opened")
        return raw.view(dtype).reshape(header.shape)
