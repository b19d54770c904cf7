"""How does a Paddle model become ONNX by the paddle2onnx of this environment? Jobs on stdin.

A job is a line ``name<TAB>program<TAB>parameters<TAB>target<TAB>opset``.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from functools import partial
from pathlib import Path

import paddle2onnx

from .jobs import forked, serve

for _slow in ("polygraphy.backend.onnx", "onnx_graphsurgeon", "onnxruntime", "sympy"):
    with suppress(ImportError):  # what 2.x folds constants with: loaded once, and not in every child
        importlib.import_module(_slow)


def convert(name: str, program: str, parameters: str, target: str, opset: str) -> None:
    """Write the file; every converter that fails says so by an exception, or by writing nothing."""
    if not Path(parameters).is_file():
        parameters = ""
    paddle2onnx.export(program, parameters, target, opset_version=int(opset), enable_onnx_checker=True)
    if not Path(target).is_file() or Path(target).stat().st_size == 0:
        raise RuntimeError("wrote no file")


if __name__ == "__main__":
    serve(partial(forked, convert))
