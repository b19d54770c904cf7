"""What does one array of a dump hold, and where? Its header is read at once, its data when asked for.

Sizes that a header claims are checked against the bytes that exist before anything is allocated.
"""

from __future__ import annotations

import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from math import prod
from pathlib import Path

import numpy as np

from segdiff.core.errors import ModelError
from segdiff.core.graph import Array
from segdiff.readers.dtypes import numpy_dtype
from segdiff.readers.guard import guard

MAX_UNPACKED = 1 << 31
"""Bytes that one packed array may unpack to: an activation of 8x64x1024x1024 in float32 is that large."""

HEADER = 1 << 14
"""Bytes in which the header of an ``.npy`` must end; numpy takes none of more than 10,000."""

MAX_DIMS = 32
"""Dimensions of an array; numpy 1 has no more."""

ITS_OWN = "the device's own"
"""A layout that is the device's, whichever that is."""

PLAIN = frozenset("fiub")
"""Kinds of numbers that a tensor can have: float, signed, unsigned, bool."""

NUMBERS = frozenset({"bool", "bfloat16", "float16", "float32", "float64"}) | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
"""Their names; ``bfloat16`` is none of numpy's."""


@dataclass(frozen=True)
class Stored:
    """An array as its file has it.

    ``label`` is how a line about it calls it; ``dtype`` numpy's name (``bfloat16`` for that, in which case
    ``read`` gives float32); ``layout`` is what the dump says of the order of its dimensions, "" where
    it says nothing, and ``original`` the shape that it then says the tensor had before.
    """

    file: Path
    label: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Array] = field(repr=False, compare=False)
    layout: str = ""
    original: tuple[int, ...] | None = None
    how: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]
    start: int

    @property
    def bytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def stored_npy(file: Path, label: str) -> Stored:
    """The array of an ``.npy`` file. Raises ModelError where it is damaged or holds anything but numbers."""
    with guard(file, "the array"):
        size = file.stat().st_size
        with file.open("rb") as stream:
            header = _header(stream.read(HEADER), file)
        if header.start + header.bytes > size:
            raise ModelError(
                f"{file}: cut off: shape {shape_text(header.shape)} of {header.dtype} needs {header.bytes} "
                f"bytes, {size - header.start} are there; copy the dump again"
            )
        return _stored(file, label, header, partial(_read_npy, file, header))


def stored_npz(file: Path) -> Iterator[tuple[str, Stored | ModelError]]:
    """Key and array of every member of an ``.npz``, the error in its place where a member is damaged.

    Raises ModelError where the archive itself is.
    """
    with guard(file, "the archive"), zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            key = member.filename.removesuffix(".npy")
            try:
                yield key, _member(archive, member, file, key)
            except ModelError as error:
                yield key, error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: Path, key: str) -> Stored:
    with guard(file, f"the array {key}"):
        with archive.open(member) as stream:
            header = _header(stream.read(HEADER), file)
        if header.start + header.bytes > member.file_size:
            raise ModelError(
                f"{file}: {key} is cut off: shape {shape_text(header.shape)} of {header.dtype} needs "
                f"{header.bytes} bytes, the archive has {member.file_size - header.start}; write it again"
            )
        if header.start + header.bytes < member.file_size:
            raise ModelError(f"{file}: {key} holds more than its array; write it again")
        if header.bytes > MAX_UNPACKED:
            raise ModelError(f"{file}: {key} unpacks to {header.bytes} bytes, more than segdiff takes")
        read = partial(_read_member, file, member, header, key)
        return _stored(file, f"{file.name}: {key}", header, read)


def npy_in(file: Path, label: str, head: bytes, size: int, data: Callable[[], bytes]) -> Stored:
    """The array of an ``.npy`` that lies in another file: its first bytes, how many it has, how to get all.

    Raises ModelError where it is damaged.
    """
    header = _header(head, file)
    if header.start + header.bytes > size:
        raise ModelError(f"{label}: {shape_text(header.shape)} of {header.dtype} is more than is there")

    def read() -> Array:
        whole = data()
        if len(whole) < header.start + header.bytes:
            raise ModelError(f"{label}: has become shorter since it was opened")
        return _shaped(np.frombuffer(whole, np.uint8, header.bytes, header.start), header)

    return _stored(file, label, header, read)


def _header(head: bytes, file: Path) -> _Header:
    stream = BytesIO(head)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ModelError(f"{file}: an .npy of version {version}, which holds no plain numbers")
    if dtype.kind not in PLAIN and dtype.str not in ("<V2", "|V2"):
        raise ModelError(f"{file}: holds {dtype}, no numbers; save it as float, integer or bool")
    if len(shape) > MAX_DIMS or any(dim < 0 for dim in shape):
        raise ModelError(f"{file}: {len(shape)} dimensions, or a negative one; write it again")
    return _Header(tuple(int(dim) for dim in shape), bool(fortran), dtype, stream.tell())


def _stored(file: Path, label: str, header: _Header, read: Callable[[], Array]) -> Stored:
    # numpy has no name for bfloat16 and writes two bytes without a type
    dtype = "bfloat16" if header.dtype.kind == "V" else header.dtype.newbyteorder("=").name
    return Stored(file, label, dtype, header.shape, read)


def _read_npy(file: Path, header: _Header) -> Array:
    return _shaped(bytes_of(file, header.start, header.bytes), header)


def _read_member(file: Path, member: zipfile.ZipInfo, header: _Header, key: str) -> Array:
    """The array of a member, which is looked for where the archive's table had it: opening the archive reads
    that table anew, which for a thousand arrays takes longer than the arrays."""
    with guard(file, f"the array {key}"):
        with file.open("rb") as stream:
            stream.seek(member.header_offset)
            head = stream.read(_LOCAL.size)
            mark, name, extra = _LOCAL.unpack(head)
            stream.seek(name + extra, os.SEEK_CUR)
            packed = stream.read(min(member.compress_size, file.stat().st_size))
        if mark != b"PK\3\4" or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelError(f"{file}: {key} has gone, or is packed in a way that segdiff does not read")
        data = packed
        if member.compress_type == zipfile.ZIP_DEFLATED:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.file_size)
        if len(data) != member.file_size or zlib.crc32(data) != member.CRC:
            raise ModelError(f"{file}: {key} is damaged: its checksum is another; write it again")
    return _shaped(np.frombuffer(data, np.uint8, header.bytes, header.start), header)


_LOCAL = struct.Struct("<4s22xHH")
"""What stands before a member: a mark, and the lengths of its name and of what comes behind that."""


def _shaped(raw: Array, header: _Header) -> Array:
    array = raw.view("<u2" if header.dtype.kind == "V" else header.dtype)
    array = widened(array) if header.dtype.kind == "V" else array
    array = array.reshape(header.shape, order="F" if header.fortran else "C")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def widened(bits: Array) -> Array:
    """bfloat16, given as its 16 bits, in float32: exactly the same numbers."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def bytes_of(file: Path, start: int, count: int) -> Array:
    """That stretch of a file, uint8. Raises ModelError where it is shorter."""
    with guard(file, "the tensor"):
        if file.stat().st_size < start + count:
            raise ModelError(
                f"{file}: cut off: {count} bytes are needed from {start} on; copy the dump again"
            )
        raw = np.fromfile(file, dtype=np.uint8, count=count, offset=start)
        if raw.size != count:
            raise ModelError(f"{file}: the file has become shorter since it was opened")
        return raw


def decoded(raw: Array, dtype: str, shape: tuple[int, ...]) -> Array:
    """Little-endian bytes as an array; bfloat16 widened to float32."""
    if dtype == "bfloat16":
        return widened(raw.view("<u2")).reshape(shape)
    array: Array = raw.view(numpy_dtype(dtype).newbyteorder("<")).reshape(shape)
    return array.astype(numpy_dtype(dtype), copy=False)


def numbers_in(text: bytes, between: str, label: str, shape: tuple[int, ...]) -> Array:
    """Numbers written with digits, float32. Raises ModelError where they are damaged or not as many as the
    shape says."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns of what it cannot read
        try:
            found = np.fromstring(text, np.float64, sep=between)
        except (DeprecationWarning, ValueError) as error:
            raise ModelError(f"{label}: is no list of numbers; write it again") from error
    if found.size != prod(shape):
        raise ModelError(f"{label}: {found.size} numbers, {shape_text(shape)} are needed; write it again")
    with np.errstate(over="ignore"):
        return found.astype(np.float32).reshape(shape)


def itemsize(dtype: str, label: str) -> int:
    """Bytes of one number. Raises ModelError, about what ``label`` names, for what is no type of numbers."""
    if dtype == "bfloat16":
        return 2
    if dtype not in NUMBERS:
        raise ModelError(f"{label}: {dtype!r} is no type of numbers as float16, float32 and int32 are")
    return numpy_dtype(dtype).itemsize


def shape_text(shape: tuple[int | None, ...]) -> str:
    """``1x3x?x?``; ``scalar`` where it has no dimension."""
    return "x".join("?" if dim is None else str(dim) for dim in shape) or "scalar"
