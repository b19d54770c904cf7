"""Where is the protobuf schema of a ``.pdmodel``?

Paddle ships the generated module. Importing it by its dotted name would import paddle itself (2 s, 300 MB),
so the one file is loaded by path.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from segdiff.core.errors import ModelError

_PLACES = ("base/proto/framework_pb2.py", "fluid/proto/framework_pb2.py")  # paddle >= 2.6, before

# numbers of VarType.Type; the names changed between releases (LOD_TENSOR, DENSE_TENSOR), the numbers never
_DTYPES = {
    0: "bool",
    1: "int16",
    2: "int32",
    3: "int64",
    4: "float16",
    5: "float32",
    6: "float64",
    19: "uint64",  # SIZE_T
    20: "uint8",
    21: "int8",
    22: "bfloat16",
    23: "complex64",
    24: "complex128",
    32: "float8_e4m3fn",
    33: "float8_e5m2",
    36: "uint16",
    37: "uint32",
    38: "uint64",
}


@cache
def framework() -> Any:
    """The generated module: ``ProgramDesc``, ``VarType`` and the rest. Paddle itself stays unimported."""
    try:
        spec = importlib.util.find_spec("paddle")
    except (ImportError, ValueError):
        spec = None
    roots = list(spec.submodule_search_locations or []) if spec else []
    for root in roots:
        for place in _PLACES:
            file = Path(root) / place
            if file.is_file():
                return _load(file)
    raise ModelError("reading Paddle models needs paddle's file format: pip install paddlepaddle")


def dtype_name(number: int) -> str | None:
    """numpy's name of a ``VarType.Type`` number, None for what is not an element type."""
    return _DTYPES.get(number)


def dtype_number(name: str) -> int:
    """The ``VarType.Type`` number of numpy's name. Raises ModelError for a type that Paddle does not have."""
    for number, known in _DTYPES.items():
        if known == name:
            return number
    raise ModelError(f"a Paddle program has no tensors of type {name}")


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("_segdiff_paddle_framework_pb2", file)
    if spec is None or spec.loader is None:
        raise ModelError(f"{file}: cannot be loaded; reinstall paddlepaddle")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(
            f"{file}: does not fit the installed protobuf ({error}); reinstall paddlepaddle"
        ) from error
    return module
