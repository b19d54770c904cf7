"""Where do the fields of a protobuf message lie in its file? The frame alone, so that data can stay there.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}


class WireError(Exception):
    """What stands there is no frame that a writer of protobuf leaves."""


@dataclass(frozen=True)
class Field:
    """One field: it starts at ``start``, its content at ``data``, and ends at ``stop``."""

    start: int
    number: int
    kind: int
    data: int
    stop: int


def fields(file: BinaryIO, end: int) -> Iterator[Field]:
    """Every field from where the file stands up to ``end``; the file may be moved in between.

    Raises WireError.
    """
    place = file.tell()
    while place < end:
        file.seek(place)
        tag = read_varint(file)
        number, kind = tag >> 3, tag & 7
        if kind == LENGTH:
            length = read_varint(file)
            data = file.tell()
        elif kind == VARINT:
            data, length = file.tell(), 0
            read_varint(file)
            length = file.tell() - data
        elif kind in _FIXED:
            data, length = file.tell(), _FIXED[kind]
        else:
            raise WireError
        if data + length > end:
            raise WireError
        yield Field(place, number, kind, data, data + length)
        place = data + length


def stretch(file: BinaryIO, start: int, stop: int) -> bytes:
    """The bytes from ``start`` to ``stop``. Raises WireError where the file has ended."""
    file.seek(start)
    data = file.read(stop - start)
    if len(data) != stop - start:
        raise WireError
    return data


def read_varint(file: BinaryIO) -> int:
    """The number at this place. Raises WireError where none stands there."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise WireError
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise WireError


def varint(value: int) -> bytes:
    """A number as it is written."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
