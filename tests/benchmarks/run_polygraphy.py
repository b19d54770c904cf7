"""Polygraphy's way to compare two ONNX models by tensor: ``run_polygraphy.py A.onnx B.onnx INPUT.npy``.

Its Python API as its documentation shows it: every tensor marked as an output, both runners run, then the
outputs of the same name compared by cosine.
"""

from __future__ import annotations

import sys

import numpy as np
from polygraphy import constants
from polygraphy.backend.onnx import BytesFromOnnx, ModifyOutputs, OnnxFromPath
from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
from polygraphy.comparator import Comparator, CosineSimilarityCompareFunc
from polygraphy.logger import G_LOGGER


def main() -> int:
    a, b, image = sys.argv[1:]
    G_LOGGER.module_severity = G_LOGGER.ERROR
    runners = [OnnxrtRunner(session(path), name=side) for side, path in (("a", a), ("b", b))]
    with runners[0] as runner:
        name = next(iter(runner.get_input_metadata()))
    results = Comparator.run(runners, data_loader=[{name: np.load(image)}])
    return 0 if Comparator.compare_accuracy(results, compare_func=CosineSimilarityCompareFunc()) else 1


def session(path: str) -> SessionFromOnnx:
    return SessionFromOnnx(BytesFromOnnx(ModifyOutputs(OnnxFromPath(path), outputs=constants.MARK_ALL)))


if __name__ == "__main__":
    sys.exit(main())
