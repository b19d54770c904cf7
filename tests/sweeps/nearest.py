"""Which nearest resizes does onnxruntime get wrong? Every pair of sizes, against whole-number arithmetic.

``python -m tests.sweeps.nearest [LARGEST]``. Asymmetric and rounded down, output pixel i of m shows input
pixel ``i * n // m``. onnxruntime divides i by the scale in float32, and now and then falls one pixel short.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from tests.sweeps.operators.programs import Array

OPSET = 13


def shown(n: int, m: int) -> Array:
    """The input pixels that a Resize of n pixels to m shows."""
    attributes = {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    sizes = helper.make_tensor("sizes", TensorProto.INT64, [4], [1, 1, 1, m])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes)
    graph = helper.make_graph([node], "nearest", ends[:1], ends[1:], [sizes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.arange(n, dtype=np.float32).reshape(1, 1, 1, n)
    return np.asarray(session.run(None, {"x": x})[0]).reshape(-1)


def main(argv: list[str]) -> int:
    """Count, and show some."""
    largest = int(argv[0]) if argv else 64
    pairs = [(n, m) for n in range(2, largest + 1) for m in range(1, largest + 1)]
    wrong = [(n, m) for n, m in pairs if not np.array_equal(shown(n, m), np.arange(m) * n // m)]
    print(f"onnxruntime {ort.__version__}: {len(wrong)} of {len(pairs)} pairs of sizes")
    print("14 to 2 shows", *shown(14, 2).astype(int))
    print("wrong:", ", ".join(f"{n} to {m}" for n, m in wrong))
    factors = sorted({n // m for n, m in wrong if n % m == 0} | {m // n for n, m in wrong if m % n == 0})
    print("whole factors among them:", *factors)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
