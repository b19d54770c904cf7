"""onnxruntime with graph optimisation off, and random operands to probe single nodes with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

Array = NDArray[Any]

_TYPES: dict[str, int] = {
    "tensor(float)": TensorProto.FLOAT,
    "tensor(float16)": TensorProto.FLOAT16,
    "tensor(bfloat16)": TensorProto.BFLOAT16,
    "tensor(double)": TensorProto.DOUBLE,
    "tensor(bool)": TensorProto.BOOL,
    "tensor(string)": TensorProto.STRING,
    **{
        f"tensor({sign}int{bits})": getattr(TensorProto, f"{sign}int{bits}".upper())
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


def session(model: ModelProto) -> ort.InferenceSession:
    """A session that computes the graph as written: no fusing, no folding, one thread."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(model: ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """All outputs of a model by name."""
    live = session(model)
    names = [output.name for output in live.get_outputs()]
    wanted = {value.name for value in live.get_inputs()}
    feeds = {name: value for name, value in inputs.items() if name in wanted}
    return dict(zip(names, live.run(names, feeds), strict=True))


def output_types(model: ModelProto) -> dict[str, int]:
    """ONNX element types of the outputs; 0 for what is no plain tensor."""
    return {value.name: _TYPES.get(value.type, 0) for value in session(model).get_outputs()}


def sample(
    rng: np.random.Generator, shape: tuple[int, ...], elem_type: int, *, spread: float, ties: bool = False
) -> Array:
    """Random values; ``spread`` decades of magnitude either way, ``ties`` for what must break ties.

    Integers are zero: they may be indices, and zero is an index of everything.
    """
    dtype = helper.tensor_dtype_to_np_dtype(elem_type or TensorProto.FLOAT)
    if not np.issubdtype(dtype, np.floating):
        return np.zeros(shape, dtype)
    if ties:
        return rng.integers(-2, 3, shape).astype(dtype)
    values = rng.standard_normal(shape) * 10.0 ** rng.uniform(-spread, spread, shape)
    return np.asarray(values, dtype)
