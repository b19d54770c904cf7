"""What does the header of a raw Ascend dump say? The message ``DumpData``, and where its tensors' bytes lie.

Version 2: eight bytes with the length of the message, the message, then the bytes of all inputs, all outputs,
all buffers. Version 1: the message alone, the bytes inside of it; they stay in the file here as well.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]

from segdiff.core.errors import ModelError
from segdiff.readers.dumps.stored import MAX_DIMS
from segdiff.readers.guard import guard
from segdiff.readers.wire import LENGTH, Field, WireError, fields, stretch, varint

MAX_HEADER = 4 << 20
"""Bytes of a header; an operator has some tens of tensors, and each a name and a few numbers."""

MAX_FIELDS = 10_000
"""Tensors and buffers of an operator, at the very most."""

_TYPES = {
    0: "",
    1: "float32",
    2: "float16",
    3: "int8",
    4: "uint8",
    5: "int16",
    6: "uint16",
    7: "int32",
    8: "int64",
    9: "uint32",
    10: "uint64",
    11: "bool",
    12: "float64",
    27: "bfloat16",
}
_LAYOUTS = {
    0: "NCHW",
    1: "NHWC",
    2: "ND",
    3: "NC1HWC0",
    4: "FRACTAL_Z",
    16: "HWCN",
    29: "FRACTAL_NZ",
    30: "NCDHW",
    32: "NDC1HWC0",
}


@dataclass(frozen=True)
class RawTensor:
    """One tensor of an operator: ``dtype`` is "" where the header leaves it open; ``origin`` the ONNX node
    and output that it is, ("", 0) where the header does not say so."""

    role: Literal["input", "output"]
    index: int
    dtype: str
    layout: str
    shape: tuple[int, ...]
    original: tuple[int, ...]
    origin: tuple[str, int]
    start: int
    size: int


def read_header(file: Path) -> tuple[RawTensor, ...]:
    """The tensors of a dumped operator. Raises ModelError where the file is no such dump."""
    with guard(file, "the dump of an operator"), file.open("rb") as stream:
        size = file.stat().st_size
        if size < 8:
            raise ModelError(f"{file}: {size} bytes are no dump of an operator; copy it again")
        (length,) = struct.unpack("<Q", stream.read(8))
        try:
            if length <= size - 8:
                return _second(stream, length, file)
            stream.seek(0)
            return _first(stream, size, file)
        except WireError as error:
            raise ModelError(f"{file}: is no dump of an operator, or is cut off; copy it again") from error


def _second(stream: BinaryIO, length: int, file: Path) -> tuple[RawTensor, ...]:
    if length > MAX_HEADER:
        raise ModelError(f"{file}: claims a header of {length} bytes; it is damaged, copy it again")
    data = _messages()["DumpData"]()
    data.ParseFromString(stretch(stream, 8, 8 + length))
    place = 8 + length
    _counted(data, file)
    found = []
    for role, tensors in (("input", data.input), ("output", data.output)):
        for index, tensor in enumerate(tensors):
            found.append(_tensor(role, index, tensor, place, int(tensor.size)))
            place += int(tensor.size)
    return tuple(found)


def _first(stream: BinaryIO, size: int, file: Path) -> tuple[RawTensor, ...]:
    """The message without the bytes of its tensors, and where those are."""
    light = bytearray()
    places: dict[int, list[tuple[int, int]]] = {3: [], 4: []}
    for count, field in enumerate(fields(stream, size)):
        if field.kind == LENGTH and field.number in places:
            stream.seek(field.data)
            rest, place = _without_data(stream, field)
            places[field.number].append(place)
            light += varint(field.number << 3 | LENGTH) + varint(len(rest)) + rest
        elif field.kind != LENGTH or field.number != 5:  # not the buffers
            light += stretch(stream, field.start, field.stop)
        if len(light) > MAX_HEADER or count > MAX_FIELDS:
            raise ModelError(f"{file}: claims a header of more than {MAX_HEADER} bytes; copy it again")
    data = _messages()["DumpData"]()
    data.ParseFromString(bytes(light))
    _counted(data, file)
    return tuple(
        _tensor(role, index, tensor, *place)
        for role, tensors, number in (("input", data.input, 4), ("output", data.output, 3))
        for index, (tensor, place) in enumerate(zip(tensors, places[number], strict=True))
    )


def _counted(data: Any, file: Path) -> None:
    """Raises ModelError where an operator has more tensors, or one of them more dimensions, than one has."""
    tensors = [*data.input[:MAX_FIELDS], *data.output[:MAX_FIELDS]]
    if len(data.input) + len(data.output) > MAX_FIELDS or any(
        max(len(tensor.shape.dim), len(tensor.original_shape.dim)) > MAX_DIMS for tensor in tensors
    ):
        raise ModelError(f"{file}: claims more tensors or dimensions than an operator has; copy it again")


def _without_data(stream: BinaryIO, tensor: Field) -> tuple[bytes, tuple[int, int]]:
    """A tensor's description, and where its bytes start and how many there are."""
    rest = bytearray()
    place = (tensor.stop, 0)
    for count, field in enumerate(fields(stream, tensor.stop)):
        if (field.number, field.kind) == (_DATA[tensor.number], LENGTH):
            place = (field.data, field.stop - field.data)
        else:
            rest += stretch(stream, field.start, field.stop)
        if count > MAX_FIELDS:
            raise WireError
    return bytes(rest), place


_DATA = {3: 5, 4: 4}
"""Number of the field with the bytes, in an output and in an input."""


def _tensor(role: Any, index: int, tensor: Any, start: int, size: int) -> RawTensor:
    number = int(tensor.data_type)
    layout = int(tensor.format)
    origin = (tensor.original_op.name, int(tensor.original_op.output_index)) if role == "output" else ("", 0)
    return RawTensor(
        role,
        index,
        _TYPES.get(number, f"type number {number}"),
        _LAYOUTS.get(layout, f"number {layout}"),
        tuple(int(dim) for dim in tensor.shape.dim),
        tuple(int(dim) for dim in tensor.original_shape.dim),
        origin,
        start,
        size,
    )


_FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Shape": (("dim", 1, "*uint64"),),
    "OriginalOp": (
        ("name", 1, "string"),
        ("output_index", 2, "uint32"),
        ("data_type", 3, "int32"),
        ("format", 4, "int32"),
    ),
    "OpOutput": (
        ("data_type", 1, "int32"),
        ("format", 2, "int32"),
        ("shape", 3, "Shape"),
        ("original_op", 4, "OriginalOp"),
        ("data", 5, "bytes"),
        ("size", 6, "uint64"),
        ("original_shape", 7, "Shape"),
        ("sub_format", 8, "int32"),
    ),
    "OpInput": (
        ("data_type", 1, "int32"),
        ("format", 2, "int32"),
        ("shape", 3, "Shape"),
        ("data", 4, "bytes"),
        ("size", 5, "uint64"),
        ("original_shape", 6, "Shape"),
        ("sub_format", 7, "int32"),
    ),
    "OpBuffer": (("buffer_type", 1, "int32"), ("data", 2, "bytes"), ("size", 3, "uint64")),
    "DumpData": (
        ("version", 1, "bytes"),
        ("dump_time", 2, "uint64"),
        ("output", 3, "*OpOutput"),
        ("input", 4, "*OpInput"),
        ("buffer", 5, "*OpBuffer"),
        ("op_name", 6, "bytes"),
    ),
}
"""Field, number, type (``*``: repeated); what a message has beyond them is passed over."""


@cache
def _messages() -> dict[str, Any]:
    """The classes of the messages, in a pool of their own."""
    package = "segdiff.ascend"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, described in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, words in described:
            repeated, kind = words.startswith("*"), words.lstrip("*")
            one = message.field.add(name=field, number=number)
            one.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in _FIELDS:
                one.type, one.type_name = kinds.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                one.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in _FIELDS
    }
