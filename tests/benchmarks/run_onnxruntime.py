"""A plain run of an ONNX model with onnxruntime's defaults: ``run_onnxruntime.py ONNX INPUT.npy``."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime as ort


def main() -> None:
    model, image = sys.argv[1:]
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    session.run(None, {session.get_inputs()[0].name: np.load(image)})


if __name__ == "__main__":
    main()
