"""Models that are right while they are watched, and wrong as deployed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
from rich.console import Console

import segdiff
from segdiff.core.answer import Report
from segdiff.core.errors import InputError
from segdiff.report import forms
from tests.deployed.test_optimisation import padded_pool
from tests.models import IMAGE, chain, image, segmenter


def fragile() -> onnx.ModelProto:
    """What a wrong Pad_Fusion breaks."""
    return chain(lambda net, x: net.node("Neg", net.node("Exp", net.conv(x, (3, 8)))), padded_pool)


def located(folder: Path, reference: onnx.ModelProto, candidate: onnx.ModelProto, **options: bool) -> Report:
    for name, model in (("reference.onnx", reference), ("candidate.onnx", candidate)):
        onnx.save(model, folder / name)
    np.save(folder / "x.npy", image(IMAGE))
    return segdiff.locate(
        folder / "reference.onnx", folder / "candidate.onnx", folder / "x.npy", threads=1, **options
    )


def printed(report: Report) -> str:
    out = io.StringIO()
    Console(width=80, file=out).print(report)
    return out.getvalue()


@pytest.mark.usefixtures("pad_fusion")
def test_an_optimiser_is_to_blame(tmp_path: Path) -> None:
    report = located(tmp_path, fragile(), fragile())
    assert report.verdict == "diverges" and report.homes == ("runtime",)
    assert len(report.origins) == 2  # both files have it
    first = report.origins[0]
    assert first.cause is not None and first.cause.kind == "runtime.optimisation" and first.cause.proven
    assert [op.type for op in first.reference_ops] == ["Pad", "MaxPool"]
    assert [op.type for op in first.candidate_nodes] == ["MaxPool"]
    assert "Pad_Fusion" in report.sentence
    assert all(pair.state == "clean" for pair in report.pairs)


@pytest.mark.usefixtures("pad_fusion")
def test_it_is_told_in_every_form(tmp_path: Path) -> None:
    report = located(tmp_path, fragile(), fragile())
    text = forms.shown(report, "text")
    assert "as optimised" in text and "Pad_Fusion" in text and "proven: without it" in text
    assert "segdiff repair" not in text
    assert "Pad_Fusion" in str(report) and "as optimised" in report._repr_html_()
    data = report.to_dict()
    assert data["first"]["cause"]["kind"] == "runtime.optimisation"


@pytest.mark.usefixtures("pad_fusion")
def test_it_can_neither_be_repaired_in_the_file_nor_reproduced_alone(tmp_path: Path) -> None:
    report = located(tmp_path, fragile(), fragile())
    with pytest.raises(InputError, match="Pad_Fusion"):
        report.repair(tmp_path / "fixed.onnx")
    with pytest.raises(InputError, match="optimiser"):
        report.repro(tmp_path / "repro")


@pytest.mark.usefixtures("pad_fusion")
def test_it_is_not_looked_for_when_not_wanted(tmp_path: Path) -> None:
    report = located(tmp_path, fragile(), fragile(), deployed=False)
    assert report.verdict == "agrees" and "deployed" not in report.timing_s


@pytest.mark.usefixtures("pad_fusion")
def test_a_fault_of_the_network_comes_first(tmp_path: Path) -> None:
    sick = fragile()
    next(node for node in sick.graph.node if node.op_type == "Neg").op_type = "Abs"
    report = located(tmp_path, fragile(), sick)
    assert report.verdict == "diverges"
    assert report.first is not None and not report.first.runtime
    assert set(report.homes) == {"network", "runtime"}
    assert "Pad_Fusion" in report.sentence


@pytest.mark.parametrize("seed", range(3))
def test_healthy_models(tmp_path: Path, seed: int) -> None:
    report = located(tmp_path, segmenter(seed), segmenter(seed))
    assert report.verdict == "agrees" and report.homes == ()


def test_masks_with_ties(tmp_path: Path) -> None:
    """An argmax over channels that are all but equal flips with every rounding; that is no fault."""
    model = chain(
        lambda net, x: net.node("Mul", net.conv(x, (3, 8)), net.constant(np.full((1,), 1e-6), np.float32)),
        lambda net, x: net.node("Add", x, net.constant(np.full((1,), 1.0), np.float32)),
        lambda net, x: net.node("Cast", net.node("ArgMax", x, axis=1), to=onnx.TensorProto.FLOAT),
    )
    assert located(tmp_path, model, model).verdict == "agrees"


@pytest.mark.usefixtures("pad_fusion")
def test_each_of_two_files_is_told_apart(tmp_path: Path) -> None:
    texts = [origin.cause.text for origin in located(tmp_path, fragile(), fragile()).origins if origin.cause]
    assert [text.startswith("in the reference, ") for text in texts] == [False, True]


def with_replaceable_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its constants among its inputs, as old exporters wrote them: no optimiser folds them."""
    for tensor in model.graph.initializer:
        model.graph.input.append(
            onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        )
    return model


@pytest.mark.usefixtures("pad_fusion")
@pytest.mark.parametrize("whose", ["reference", "candidate"])
def test_an_optimiser_that_leaves_one_of_two_files_alone(whose: str, tmp_path: Path) -> None:
    models = [fragile(), fragile()]
    alone = with_replaceable_constants(models[0 if whose == "candidate" else 1])
    assert alone in models
    report = located(tmp_path, *models)
    assert report.verdict == "diverges" and report.homes == ("runtime",)
    (origin,) = report.origins
    assert origin.cause is not None and origin.cause.kind == "runtime.optimisation"
    assert origin.cause.text.startswith("in the reference, ") is (whose == "reference")
