"""``segdiff.dump``: every value of a run, in a form that any tool reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import segdiff
from segdiff.commands.cli import main
from tests.models import image, save, segmenter, tensors_of


def read_back(folder: Path) -> dict[str, np.ndarray]:
    """The tensors of a dump, by the manifest."""
    entries = json.loads((folder / "manifest.json").read_text())
    return {entry["tensor"]: np.load(folder / file) for file, entry in entries.items()}


def test_every_value_is_what_the_engine_makes(tmp_path: Path) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    found = segdiff.dump(model, image(), out=tmp_path / "dump", timeout=60)
    tensors = read_back(tmp_path / "dump")
    assert found.values == len(tensors) and not found.left_out
    made = tensors_of(segmenter(), {"x": image()})
    shared = [name for name in made if name in tensors]
    assert len(shared) > 20 and all(np.allclose(tensors[name], made[name], atol=1e-5) for name in shared)
    assert np.array_equal(tensors["x"], image())


def test_an_archive_bears_the_names(tmp_path: Path) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    segdiff.dump(model, image(), out=tmp_path / "d.npz", only=["relu*", "x"], timeout=60)
    with np.load(tmp_path / "d.npz") as archive:
        assert "x" in archive.files and all(name.startswith(("relu", "x")) for name in archive.files)


def test_a_pattern_that_fits_nothing_and_a_place_that_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    np.save(tmp_path / "x.npy", image())
    words = ["dump", str(model), str(tmp_path / "x.npy"), "--no-progress", "-o"]
    assert main([*words, str(tmp_path / "dump"), "--only", "logits"]) == 2
    assert "no value is called 'logits'" in capsys.readouterr().err and not (tmp_path / "dump").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").touch()
    assert main([*words, str(tmp_path / "full")]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "dump")]) == 0
    assert "values written to" in capsys.readouterr().out
    assert main([*words, str(tmp_path / "x.npz")]) == 0 and main([*words, str(tmp_path / "x.npz")]) == 2
