"""How far is a converted model of the zoo from its original, at the output?

Run as a script, in a process of its own, since onnxruntime may crash or run out of memory on what
a converter wrote. It prints one line of JSON, and exits with an error if the model can't run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray


def distance(expected: NDArray[Any], actual: NDArray[Any]) -> dict[str, Any]:
    """Return what the record says of the output `actual` of ONNX, beside `expected` of Paddle."""
    result: dict[str, Any] = {"shape": list(actual.shape), "finite": bool(np.isfinite(actual).all())}
    result["paddle_finite"] = bool(np.isfinite(expected).all())
    if expected.shape != actual.shape:
        return {**result, "paddle_shape": list(expected.shape)}
    a, b = expected.astype(np.float64).ravel(), actual.astype(np.float64).ravel()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return {
        **result,
        "max_abs": float(np.abs(a - b).max()),
        "cosine": float(a @ b) / norms if norms else 0.0,
        "paddle_max": float(np.abs(a).max()),
        "paddle_std": float(a.std()),
        "argmax_agrees": _argmax_agreement(expected, actual),
    }


def _argmax_agreement(expected: NDArray[Any], actual: NDArray[Any]) -> float:
    """The share of pixels whose class is the same."""
    if expected.ndim == 4:
        expected, actual = expected.argmax(1), actual.argmax(1)
    return float((expected == actual).mean())


def main() -> None:
    """Compare the ONNX model of the first argument with the ``io.npz`` of the second."""
    onnx, io = Path(sys.argv[1]), np.load(sys.argv[2])
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    actual = session.run(None, {session.get_inputs()[0].name: io["x"]})[0]
    print(json.dumps(distance(io["y"], np.asarray(actual))))


if __name__ == "__main__":
    main()
