"""Where do the constants of a simulation go? Into the message, or into a file beside it, one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from segdiff.core.graph import Array
from segdiff.readers.onnx_light import LARGE
from segdiff.readers.onnx_tensors import external_bytes

ALIGNED = 4096
"""Bytes: onnxruntime maps external data where it begins at a page."""


class Store(Protocol):
    """Takes a constant and gives the message that stands for it."""

    def tensor(self, name: str, array: Array) -> TensorProto:
        """The tensor message of a constant."""


class InMessage:
    """Constants stay in the message."""

    def tensor(self, name: str, array: Array) -> TensorProto:
        """The tensor message of a constant."""
        return numpy_helper.from_array(np.ascontiguousarray(array), name)


class OnDisk:
    """Large constants go into a file beside the model, so that nobody holds them all."""

    def __init__(self, data: Path) -> None:
        self.name = data.name
        self.file: BinaryIO = data.open("wb")

    def tensor(self, name: str, array: Array) -> TensorProto:
        """The tensor message of a constant."""
        if array.nbytes < LARGE:
            return numpy_helper.from_array(np.ascontiguousarray(array), name)
        found = TensorProto(name=name, dims=array.shape)
        found.data_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        self.put(found, np.ascontiguousarray(array))
        return found

    def put(self, tensor: TensorProto, raw: Array) -> None:
        """Write the bytes of a tensor and let the message point to them."""
        place = -(-self.file.tell() // ALIGNED) * ALIGNED
        self.file.seek(place)
        raw.tofile(self.file)
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        for key, value in (("location", self.name), ("offset", str(place)), ("length", str(raw.nbytes))):
            tensor.external_data.add(key=key, value=value)

    def fetch(self, tensor: TensorProto, model: Path) -> None:
        """Bring a tensor that was left in the model's file, or lies beside it. Raises ModelError."""
        if tensor.data_location != TensorProto.EXTERNAL:
            return
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if entries.get("location") == self.name:
            return
        self.put(tensor, external_bytes(tensor, model))

    def close(self) -> None:
        """The file is complete."""
        self.file.close()
