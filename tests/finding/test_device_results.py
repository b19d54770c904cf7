"""A device's results without a header: whose picture they are of, which sizes they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import segdiff
from segdiff.core.errors import ModelError
from tests.dumps.device import recorded
from tests.dumps.results import write_ais_bench
from tests.models import graph_of, image, save, segmenter

OPEN = ("n", 3, "h", "w")


def test_of_many_pictures_the_one_asked_for_with_the_sizes_that_it_was_fed(tmp_path: Path) -> None:
    model = segmenter(shape=OPEN)
    save(model, tmp_path / "model.onnx")
    results = {}
    for seed, name in enumerate(("street", "beach")):
        np.save(tmp_path / f"{name}.npy", image(seed=seed))
        results[name] = recorded(model, {"x": image(seed=seed)})
    write_ais_bench(tmp_path / "out", graph_of(model, tmp_path), results)
    for name in results:
        report = segdiff.locate(
            tmp_path / "model.onnx",
            tmp_path / "out",
            tmp_path / f"{name}.npy",
            candidate_model=tmp_path / "model.onnx",
            timeout=60,
        )
        assert report.verdict != "diverges" and report.device and report.device.problems == ()
    np.save(tmp_path / "forest.npy", image(seed=2))
    with pytest.raises(ModelError, match="results of 2 inputs"):
        segdiff.locate(tmp_path / "model.onnx", tmp_path / "out", tmp_path / "forest.npy", timeout=60)
