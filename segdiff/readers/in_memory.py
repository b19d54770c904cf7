"""Where is a model that has no file? Engines in other processes read files: it gets one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdiff.core.errors import ModelError

if TYPE_CHECKING:
    import onnx

LARGEST = 2**31 - 1
"""Bytes of one protobuf message; weights beyond that stand in a file of their own."""

_written: list[tempfile.TemporaryDirectory[str]] = []
"""Folders that go when Python ends: a repair, a repro and ``open`` read the file long after the report."""


def on_disk(model: str | os.PathLike[str] | onnx.ModelProto | Any) -> Path:
    """The path of a model: the path given, or that of a file that an ``onnx.ModelProto`` is written to.

    Raises ModelError for anything else, and where the file cannot be written.
    """
    if isinstance(model, str | os.PathLike):
        return Path(model)
    if not hasattr(model, "SerializeToString") or not hasattr(model, "graph"):
        raise ModelError(
            f"A {type(model).__name__} is no model: give a path, or an onnx.ModelProto for an ONNX model"
        )
    import onnx

    try:
        folder = tempfile.TemporaryDirectory(prefix="segdiff-")
        _written.append(folder)
        path = Path(folder.name, "model.onnx")
        if model.ByteSize() <= LARGEST:
            onnx.save(model, path)
        else:
            copy = onnx.ModelProto()  # saving moves the weights out of what is saved
            copy.CopyFrom(model)
            onnx.save(copy, path, save_as_external_data=True, location="weights")
    except (OSError, ValueError) as error:
        raise ModelError(f"The ONNX model in memory cannot be written to a file: {error}") from error
    return path
