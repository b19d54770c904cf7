"""Where do the fields of a protobuf message lie in its file? The frame alone, so that data can stay there.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}


class WireError(Exception):
    """What stands there is no frame that a writer of protobuf leaves."""


WINDOW = 1 << 14
"""Bytes that are read at once to look for frames in."""

FRAME = 20
"""The most bytes in front of a field's content, and of a number: two varints."""


class Field(NamedTuple):
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
    place = base = file.tell()
    window = b""
    while place < end:
        at = place - base
        if at + FRAME > len(window) and base + len(window) < end:
            file.seek(place)
            window, base, at = file.read(min(WINDOW, end - place)), place, 0
        tag, at = _number(window, at)
        number, kind = tag >> 3, tag & 7
        data = base + at
        if kind == LENGTH:
            length, at = _number(window, at)
            data = base + at
        elif kind == VARINT:
            length = _number(window, at)[1] - at
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise WireError
        stop = data + length
        if stop > end:
            raise WireError
        yield Field(place, number, kind, data, stop)
        place = stop


def _number(window: bytes, at: int) -> tuple[int, int]:
    """The varint at this place of a window, and where it ends. Raises WireError where none stands there."""
    value = 0
    for place in range(at, min(at + 10, len(window))):
        byte = window[place]
        value |= (byte & 0x7F) << 7 * (place - at)
        if byte < 0x80:
            return value, place + 1
    raise WireError


def stretch(file: BinaryIO, start: int, stop: int) -> bytes:
    """The bytes from ``start`` to ``stop``. Raises WireError where the file has ended."""
    file.seek(start)
    data = file.read(stop - start)
    if len(data) != stop - start:
        raise WireError
    return data


def varint(value: int) -> bytes:
    """A number as it is written."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
