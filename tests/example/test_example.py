"""The bundled example shows what it is there to show."""

from pathlib import Path

import pytest

import segdiff
from segdiff.example import example_files

LARGEST = 400_000


def test_the_files_are_there_and_small() -> None:
    with example_files() as files:
        assert (files.reference / "model.pdmodel").is_file()
        assert files.candidate.is_file()
        assert files.image.is_file()
        folder = files.reference.parent
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < LARGEST


@pytest.mark.real
def test_the_planted_fault_is_found() -> None:
    with example_files() as files:
        report = segdiff.locate(*files)
    assert report.verdict == "diverges", report.sentence
    (origin,) = report.origins
    assert [node.type for node in origin.candidate_nodes] == ["Resize"]
    assert [op.type for op in origin.reference_ops] == ["bilinear_interp_v2"]
    assert origin.confirmed
    (output,) = report.outputs
    assert output.mask_changed is not None
    assert 0.01 < output.mask_changed < 0.5
    assert Path(report.candidate.path).name == "model.onnx"


@pytest.mark.real
def test_the_healthy_conversion_agrees() -> None:
    with example_files("healthy.onnx") as files:
        report = segdiff.locate(*files)
    assert report.verdict == "agrees", report.sentence
    assert report.outputs[0].mask_changed == 0.0
