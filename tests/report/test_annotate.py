"""A copy of the candidate that says what is wrong with its nodes, and is the same file otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto

import segdiff
from segdiff.commands.cli import main
from segdiff.core.answer import Report
from segdiff.core.errors import InputError
from tests import models
from tests.models import image, segmenter, with_attribute


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of a slope that was moved; the candidate's weights lie in a file of their own."""
    folder = tmp_path_factory.mktemp("annotated")
    ours = models.save(segmenter(), folder / "ours.onnx")
    theirs = folder / "theirs.onnx"
    faulty = with_attribute(segmenter(), "LeakyRelu", alpha=0.3)
    (whole,) = onnx.shape_inference.infer_shapes(faulty, data_prop=True).graph.output
    faulty.graph.output[0].CopyFrom(whole)
    onnx.save(
        faulty,
        str(theirs),
        save_as_external_data=True,
        location="theirs.bin",
        size_threshold=200,
    )
    return segdiff.locate(ours, theirs, image(), timeout=60, deployed=False)


def without(model: ModelProto) -> bytes:
    """The file without what an annotation may add."""
    for node in model.graph.node:
        node.doc_string = ""
    del model.metadata_props[:]
    return model.SerializeToString(deterministic=True)


def test_nodes_and_file_say_what_was_found(report: Report, tmp_path: Path) -> None:
    place = report.annotate(tmp_path / "out.onnx")
    onnx.checker.check_model(str(place), full_check=True)
    found = onnx.load(str(place))
    (told,) = [node for node in found.graph.node if node.doc_string]
    assert told.op_type == "LeakyRelu" and "leaky_relu.slope" in told.doc_string
    metadata = {entry.key: entry.value for entry in found.metadata_props}
    assert metadata["segdiff.verdict"] == "diverges"
    assert report.origins[0].fingerprint in metadata["segdiff.origin.1"]


def test_the_rest_is_as_it_was_and_runs(report: Report, tmp_path: Path) -> None:
    place = report.annotate(tmp_path / "out.onnx")
    before = onnx.load(str(report.candidate.path), load_external_data=False)
    assert without(onnx.load(str(place), load_external_data=False)) == without(before)
    assert (tmp_path / "theirs.bin").read_bytes() == (
        report.candidate.path.parent / "theirs.bin"
    ).read_bytes()
    runs = [
        ort.InferenceSession(str(each), providers=["CPUExecutionProvider"]).run(None, {"x": image()})
        for each in (place, report.candidate.path)
    ]
    np.testing.assert_array_equal(*[run[0] for run in runs])


def test_it_may_stand_beside_the_candidate_and_be_annotated_again(report: Report) -> None:
    folder = report.candidate.path.parent
    once = report.annotate(folder / "once.onnx").read_bytes()
    twice = report.annotate(folder / "once.onnx").read_bytes()
    assert once == twice
    onnx.checker.check_model(str(folder / "once.onnx"))


def test_neither_the_candidate_nor_another_file_is_taken(report: Report, tmp_path: Path) -> None:
    before = report.candidate.path.read_bytes()
    with pytest.raises(InputError, match="is an input of this run"):
        report.annotate(report.candidate.path)
    with pytest.raises(InputError, match=r"does not end in \.onnx"):
        report.annotate(tmp_path / "out.bin")
    saved = report.save(tmp_path / "report.json")
    report.candidate.path.write_bytes(before + b"\x00")
    try:
        with pytest.raises(InputError, match="is another file than the one"):
            segdiff.load(saved).annotate(tmp_path / "out.onnx")  # type: ignore[union-attr]
    finally:
        report.candidate.path.write_bytes(before)
    assert not (tmp_path / "out.onnx").exists()


def test_show_annotates_from_a_saved_report(report: Report, tmp_path: Path) -> None:
    saved = report.save(tmp_path / "report.json")
    assert main(["show", str(saved), "--annotate", str(tmp_path / "out.onnx")]) == 1
    onnx.checker.check_model(str(tmp_path / "out.onnx"))
    assert main(["show", str(saved), "--annotate", str(tmp_path / "out.onnx")]) == 2  # it exists
