"""A device's results without a header: whose picture they are of, which sizes they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import segdiff
from segdiff.core.errors import ModelError
from segdiff.core.thresholds import Thresholds
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


@pytest.mark.parametrize(("error", "verdict"), [(0.0, "agrees"), (0.004, "inconclusive")])
def test_no_green_for_most_operators_seen_together_and_outputs_that_are_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float, verdict: str
) -> None:
    """That the roundings of thirty operators may at most cost so much is no reason to say that they did."""
    monkeypatch.setattr("segdiff.core.thresholds.CROSSING", Thresholds(rel_l2=2e-3))
    model = segmenter()
    save(model, tmp_path / "model.onnx")
    np.save(tmp_path / "street.npy", image())
    values = recorded(model, {"x": image()})
    last = model.graph.output[0].name
    first = [name for node in model.graph.node[:6] for name in node.output]
    kept = {name: array for name, array in values.items() if name in ("x", last, *first)}
    signs = np.random.default_rng(0).choice([-1.0, 1.0], kept[last].shape)
    kept[last] = (kept[last] * (1 + error * signs)).astype(kept[last].dtype)
    np.savez(tmp_path / "dump.npz", **kept)
    report = segdiff.locate(
        tmp_path / "model.onnx",
        tmp_path / "dump.npz",
        tmp_path / "street.npy",
        candidate_model=tmp_path / "model.onnx",
        timeout=60,
    )
    assert report.verdict == verdict, report.sentence
    assert report.device is not None and report.device.isolated
    assert ("only seen together" in report.sentence) == (error > 0)
