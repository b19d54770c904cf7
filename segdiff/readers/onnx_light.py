"""How is an ONNX file read without its weights? Its bytes, but for the large tensors, which stay in the file.

A tensor of ``LARGE`` bytes or more becomes external data that lies in the model file itself
(``location`` is ``ITSELF``). The rest of the message is as the file has it, so whoever reads external data on
demand holds one weight at a time where the whole message would hold them all, for as long as it lives.

Only the frame of the message is walked here, field by field. Where it looks unusual, the file is read whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import onnx

from segdiff.readers.guard import read_bytes, readable_size
from segdiff.readers.wire import LENGTH, WireError, fields, stretch, varint

LARGE = 1 << 16
"""Bytes from which a tensor stays in the file: shapes, scales and biases are far below, weights above."""

ITSELF = "segdiff: this file"
"""The ``location`` of external data that lies in the model file itself."""

_Rewrite = Callable[[BinaryIO, int], bytes]


def light_bytes(path: Path) -> bytes:
    """The serialised model with its large tensors left in the file; ModelError as ``read_bytes``."""
    if readable_size(path) < LARGE:
        return read_bytes(path)
    try:
        with path.open("rb") as file:
            return _model(file, os.fstat(file.fileno()).st_size)
    except (WireError, OSError):
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
    taken = file.tell()
    for field in fields(file, end):
        if field.kind == LENGTH and field.number in inner and field.stop - field.data >= LARGE:
            out += stretch(file, taken, field.start)
            file.seek(field.data)
            body = inner[field.number](file, field.stop)
            out += varint(field.number << 3 | LENGTH) + varint(len(body)) + body
            taken = field.stop
    return bytes(out + stretch(file, taken, end))


def _tensor(file: BinaryIO, end: int) -> bytes:
    """A tensor whose only data are large raw bytes, without them; any other as it is."""
    begin = file.tell()
    found = list(fields(file, end))
    raw = [(field.data, field.stop) for field in found if (field.number, field.kind) == (9, LENGTH)]
    external = any(field.number in (13, 14) for field in found)  # external_data, data_location
    if external or len(raw) != 1 or raw[0][1] - raw[0][0] < LARGE:
        return stretch(file, begin, end)
    kept = b"".join(stretch(file, field.start, field.stop) for field in found if field.number != 9)
    data, stop = raw[0]
    added = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", ITSELF), ("offset", str(data)), ("length", str(stop - data))):
        added.external_data.add(key=key, value=value)
    rest: bytes = added.SerializeToString()
    return kept + rest  # two messages in a row are one with the fields of both
