"""How is an ONNX file read without its weights? Its bytes, but for the large tensors, which stay in the file.

A tensor of ``LARGE`` bytes or more becomes external data that lies in the model file itself
(``location`` is ``ITSELF``). The rest of the message is as the file has it, so whoever reads external data on
demand holds one weight at a time where the whole message would hold them all, for as long as it lives.

Only the frame of the message is walked here, field by field
(https://protobuf.dev/programming-guides/encoding/). Where it looks unusual, the file is read whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import onnx

from segdiff.readers.guard import read_bytes, readable_size

LARGE = 1 << 16
"""Bytes from which a tensor stays in the file: shapes, scales and biases are far below, weights above."""

ITSELF = "segdiff: this file"
"""The ``location`` of external data that lies in the model file itself."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}

_Rewrite = Callable[[BinaryIO, int], bytes]


class _UnusualError(Exception):
    """What stands there is not what a writer of ONNX files writes."""


def light_bytes(path: Path) -> bytes:
    """The serialised model with its large tensors left in the file; ModelError as ``read_bytes``."""
    if readable_size(path) < LARGE:
        return read_bytes(path)
    try:
        with path.open("rb") as file:
            return _model(file, os.fstat(file.fileno()).st_size)
    except (_UnusualError, OSError):
        return read_bytes(path)


def _model(file: BinaryIO, end: int) -> bytes:
    return _rewritten(file, end, {7: _graph})


def _graph(file: BinaryIO, end: int) -> bytes:
    return _rewritten(file, end, {1: _node, 5: _tensor})


def _node(file: BinaryIO, end: int) -> bytes:
    return _rewritten(file, end, {5: _attribute})


def _attribute(file: BinaryIO, end: int) -> bytes:
    return _rewritten(file, end, {5: _tensor})


def _rewritten(file: BinaryIO, end: int, inner: dict[int, _Rewrite]) -> bytes:
    """The message up to ``end``, its large fields of the numbers in ``inner`` rewritten."""
    out = bytearray()
    for start, number, kind, data, stop in _fields(file, end):
        if kind == _LENGTH and number in inner and stop - data >= LARGE:
            file.seek(data)
            body = inner[number](file, stop)
            out += _varint(number << 3 | _LENGTH) + _varint(len(body)) + body
        else:
            out += _bytes(file, start, stop)
    return bytes(out)


def _tensor(file: BinaryIO, end: int) -> bytes:
    """A tensor whose only data are large raw bytes, without them; any other as it is."""
    begin = file.tell()
    fields = list(_fields(file, end))
    raw = [(data, stop) for _, number, kind, data, stop in fields if (number, kind) == (9, _LENGTH)]
    external = any(number in (13, 14) for _, number, *_ in fields)  # external_data, data_location
    if external or len(raw) != 1 or raw[0][1] - raw[0][0] < LARGE:
        return _bytes(file, begin, end)
    kept = b"".join(_bytes(file, start, stop) for start, number, _, _, stop in fields if number != 9)
    data, stop = raw[0]
    added = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", ITSELF), ("offset", str(data)), ("length", str(stop - data))):
        added.external_data.add(key=key, value=value)
    rest: bytes = added.SerializeToString()
    return kept + rest  # two messages in a row are one with the fields of both


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """(start, number, kind, start of the data, end) of every field; the file may be moved in between."""
    place = file.tell()
    while place < end:
        file.seek(place)
        tag = _read_varint(file)
        number, kind = tag >> 3, tag & 7
        if kind == _LENGTH:
            length = _read_varint(file)
            data = file.tell()
        elif kind == _VARINT:
            data, length = file.tell(), 0
            _read_varint(file)
            length = file.tell() - data
        elif kind in _FIXED:
            data, length = file.tell(), _FIXED[kind]
        else:
            raise _UnusualError
        if data + length > end:
            raise _UnusualError
        yield place, number, kind, data, data + length
        place = data + length


def _bytes(file: BinaryIO, start: int, stop: int) -> bytes:
    file.seek(start)
    data = file.read(stop - start)
    if len(data) != stop - start:
        raise _UnusualError
    return data


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise _UnusualError
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise _UnusualError


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
