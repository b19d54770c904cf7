"""What does an ONNX tensor hold, and where are its bytes?

Declared sizes are checked against the bytes that exist before anything is allocated. External data is read
from its file when somebody asks for it; a location outside of the model's folder is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Parameter
from segdiff.readers.dtypes import numpy_dtype
from segdiff.readers.guard import guard
from segdiff.readers.onnx_light import ITSELF

_MAX_DENSE = 1 << 30
"""Bytes a sparse tensor may take once it is dense; its file says nothing about that size."""

_NAMES = {
    "FLOAT": "float32",
    "UINT8": "uint8",
    "INT8": "int8",
    "UINT16": "uint16",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "STRING": "object",
    "BOOL": "bool",
    "FLOAT16": "float16",
    "DOUBLE": "float64",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "COMPLEX64": "complex64",
    "COMPLEX128": "complex128",
    "BFLOAT16": "bfloat16",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0fnu",
    "FLOAT4E2M1": "float4_e2m1fn",
    "UINT4": "uint4",
    "INT4": "int4",
    "UINT2": "uint2",
    "INT2": "int2",
}
_DTYPES = {number: _NAMES[name] for name, number in onnx.TensorProto.DataType.items() if name in _NAMES}
_BITS = {"uint2": 2, "int2": 2, "uint4": 4, "int4": 4, "float4_e2m1fn": 4}
"""Element types that are packed, several into a byte."""


def dtype_name(number: int) -> str | None:
    """numpy's name of an ONNX element type, None where it is undefined or unknown."""
    return _DTYPES.get(number)


def parameter(name: str, tensor: onnx.TensorProto, model: Path) -> Parameter:
    """The parameter a tensor is; its data stays in the message or in the external file until ``load``."""
    dtype, shape = _header(name, tensor.data_type, tensor.dims, model)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        file, offset, length = _external(name, tensor, dtype, shape, model)
        return Parameter(
            name, shape, dtype, partial(_load_external, name, tensor, dtype, file, offset, length)
        )
    if tensor.HasField("raw_data") and len(tensor.raw_data) != _bytes(dtype, shape):
        raise ModelError(_wrong_size(name, model, shape, _bytes(dtype, shape), len(tensor.raw_data)))
    return Parameter(name, shape, dtype, partial(_load, name, tensor, dtype, model))


def _wrong_size(name: str, model: Path, shape: tuple[int, ...], needed: int, present: int) -> str:
    return (
        f"{model}: tensor {name} of shape {list(shape)} needs {needed} bytes, "
        f"the file has {present}; export the model again"
    )


def sparse_parameter(name: str, tensor: onnx.SparseTensorProto, model: Path) -> Parameter:
    """The dense parameter a sparse tensor stands for."""
    dtype, shape = _header(name, tensor.values.data_type, tensor.dims, model)
    if _bytes(dtype, shape) > _MAX_DENSE:
        raise ModelError(
            f"{model}: sparse tensor {name} of shape {list(shape)} is too large to be made dense"
        )
    return Parameter(name, shape, dtype, partial(_load_sparse, name, tensor, dtype, shape, model))


def array_parameter(name: str, array: Array) -> Parameter:
    """The parameter a Constant node with plain numbers or strings is."""
    return Parameter(name, tuple(array.shape), str(array.dtype), lambda: array)


def _header(name: str, number: int, dims: object, model: Path) -> tuple[str, tuple[int, ...]]:
    dtype = dtype_name(number)
    if dtype is None:
        raise ModelError(f"{model}: tensor {name} has an element type (number {number}) onnx does not know")
    shape = tuple(int(dim) for dim in dims)  # type: ignore[attr-defined]
    if any(dim < 0 for dim in shape):
        raise ModelError(f"{model}: tensor {name} has a negative dimension: {list(shape)}")
    return dtype, shape


def _bytes(dtype: str, shape: tuple[int, ...]) -> int:
    bits = _BITS.get(dtype) or numpy_dtype(dtype).itemsize * 8
    return (prod(shape) * bits + 7) // 8


def _external(
    name: str, tensor: onnx.TensorProto, dtype: str, shape: tuple[int, ...], model: Path
) -> tuple[Path, int, int]:
    """(file, offset, bytes) of external data, all three checked."""
    entries: Mapping[str, str] = {entry.key: entry.value for entry in tensor.external_data}
    folder = model.parent.resolve()
    itself = entries.get("location") == ITSELF
    file = model if itself else folder / entries.get("location", "")
    if not itself and (not entries.get("location") or not file.resolve().is_relative_to(folder)):
        raise ModelError(
            f"{model}: the data of tensor {name} lies at {entries.get('location', '')!r}, "
            "outside of the model's folder; segdiff reads only files beside the model"
        )
    if not file.is_file():
        raise ModelError(
            f"{model}: {file.name}, which holds tensor {name}, is missing; put it beside the model"
        )
    size = file.stat().st_size
    offset, needed = int(entries.get("offset") or 0), _bytes(dtype, shape)
    length = int(entries.get("length") or needed)
    if itself and length != needed:
        raise ModelError(_wrong_size(name, model, shape, needed, length))
    if offset < 0 or length != needed or offset + length > size:
        raise ModelError(
            f"{file}: tensor {name} needs {needed} bytes at {offset} (declared: {length}), "
            f"the file has {size}; export the model again"
        )
    return file, offset, length


def _load(name: str, tensor: onnx.TensorProto, dtype: str, model: Path) -> Array:
    with guard(model, f"tensor {name}"):
        return _as_dtype(np.asarray(numpy_helper.to_array(tensor)), dtype)


def _as_dtype(array: Array, name: str) -> Array:
    """The array in the dtype of that name, whichever way the installed onnx gives bfloat16 and smaller.

    Newer releases give the dtype itself, older ones values widened to float32 or int8, or an unsigned
    integer type with one named field: the bits of a float, the value of a 4-bit integer.
    """
    dtype = numpy_dtype(name)
    if array.dtype.names:
        array = np.ascontiguousarray(array).view(array.dtype[0]).reshape(array.shape)
        if "float" in name:
            array = array.view(dtype)
    return np.ascontiguousarray(array.astype(dtype, copy=False)).reshape(array.shape)


def _load_external(
    name: str, tensor: onnx.TensorProto, dtype: str, file: Path, offset: int, length: int
) -> Array:
    with guard(file, f"tensor {name}"):
        raw = _read(name, file, offset, length)
        if dtype not in _BITS and dtype != "object":
            return raw.view(numpy_dtype(dtype)).reshape(tuple(tensor.dims))
        inline = onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=raw.tobytes())
        return _load(name, inline, dtype, file)


def stretch_of(parameter: Parameter) -> tuple[Path, int, int] | None:
    """(file, offset, bytes) where the numbers of a parameter lie in a file as they are; None elsewhere."""
    load = parameter.load
    if not isinstance(load, partial) or load.func is not _load_external or parameter.dtype == "object":
        return None
    _, _, _, file, offset, length = load.args
    return file, offset, length


def external_bytes(tensor: onnx.TensorProto, model: Path) -> Array:
    """The bytes of a tensor's external data, as ``raw_data`` would have them, uint8. Raises ModelError."""
    name = tensor.name or "(of an attribute)"
    with guard(model, f"tensor {name}"):
        dtype, shape = _header(name, tensor.data_type, tensor.dims, model)
        return _read(name, *_external(name, tensor, dtype, shape, model))


def lies_beside(tensor: onnx.TensorProto, model: Path) -> bool:
    """Whether a tensor's numbers lie as they are in a file beside the model's; checked. Raises ModelError."""
    name = tensor.name or "(of an attribute)"
    with guard(model, f"tensor {name}"):
        dtype, shape = _header(name, tensor.data_type, tensor.dims, model)
        file, _, _ = _external(name, tensor, dtype, shape, model)
        return file != model and dtype not in _BITS and dtype != "object"


def _read(name: str, file: Path, offset: int, length: int) -> Array:
    raw = np.fromfile(file, dtype=np.uint8, count=length, offset=offset)
    if raw.size != length:
        raise ModelError(f"{file}: tensor {name}: the file has become shorter since it was opened")
    return raw


def _load_sparse(
    name: str, tensor: onnx.SparseTensorProto, dtype: str, shape: tuple[int, ...], model: Path
) -> Array:
    with guard(model, f"tensor {name}"):
        values = _load(name, tensor.values, dtype, model)
        places = np.asarray(numpy_helper.to_array(tensor.indices))
        dense = np.zeros(shape, dtype=numpy_dtype(dtype))
        if places.ndim == 1:  # positions in the flattened tensor
            dense.reshape(-1)[places] = values
        else:
            dense[tuple(places.T)] = values
        return dense
