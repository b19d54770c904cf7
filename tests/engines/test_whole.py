"""Does a file that is only run whole run, and is it refused to be cut?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segdiff.core.errors import EngineError
from segdiff.core.files import ModelFiles
from segdiff.engines import Blocks, Deployed, Engine
from segdiff.engines.registry import WHOLE
from tests.models import image, save, segmenter


@pytest.mark.parametrize("how", [Deployed(), Deployed("extended", ("ConstantFolding",), arena=False)])
def test_a_file_runs_whole(tmp_path: Path, how: Deployed) -> None:
    model = segmenter()
    path = save(model, tmp_path / "model.onnx")
    name = model.graph.output[0].name
    blocks = Blocks()
    with Engine(ModelFiles(WHOLE, path, None, None), blocks, timeout=60, threads=1) as engine:
        fed = {"x": blocks.tensor(image())}
        first = engine.run_deployed(fed, [name], how)[name].array.copy()
        assert np.array_equal(engine.run_deployed(fed, [name], how)[name].array, first)
        assert engine.loaded is not None and set(engine.loaded.versions) == {"onnxruntime"}
        with pytest.raises(EngineError, match="only run whole"):
            engine.run(fed, [name])
    with Engine(ModelFiles("onnx", path, None, None), blocks, timeout=60, threads=1) as engine:
        other = engine.run_deployed({"x": blocks.tensor(image())}, [name], Deployed())[name].array
        assert np.allclose(first, other, atol=1e-6)
