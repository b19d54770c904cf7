"""A located fault is explained, weighed and repaired, and its repro shows the same error."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto

import segdiff
from segdiff.align import Segment
from segdiff.core.answer import Cause, Report
from segdiff.core.edit import Edit
from segdiff.core.errors import InputError, RepairError
from segdiff.finding.repair import _nearer_by_nodes
from segdiff.finding.weigh import Weights, without_harm
from tests.models import Net, copied, find_node, image, save, segmenter, tensors_of, with_attribute


def located(folder: Path, ours: ModelProto, theirs: ModelProto, external: bool = False) -> Report:
    """``locate`` on files in ``folder``."""
    files = save(ours, folder / "ours.onnx"), save(theirs, folder / "theirs.onnx", external)
    return segdiff.locate(*files, image(), timeout=60)


def resized(**more: str) -> ModelProto:
    """Two resizes in a row behind a convolution, so that faults can stand one behind the other."""
    net = Net(seed=3)
    small = net.resize(net.conv("x", (3, 8)), 2.0, **more)
    deep = net.node("Relu", net.conv(small, (8, 8)))
    return net.model(net.node("Softmax", net.conv(deep, (8, 4)), axis=1))


@pytest.fixture(scope="module")
def faulty() -> ModelProto:
    """The small network with two faults, the second much the larger."""
    model = with_attribute(segmenter(), "LeakyRelu", alpha=0.11)
    return with_attribute(model, "Softmax", 1, axis=3)


@pytest.fixture(scope="module")
def report(faulty: ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What is said of it."""
    return located(tmp_path_factory.mktemp("repair"), segmenter(), faulty)


def test_a_proven_cause_carries_both_errors(report: Report) -> None:
    cause = report.origins[-1].cause
    assert cause is not None
    assert (cause.kind, cause.proven) == ("softmax.axis", True)
    assert cause.residual is not None and cause.before is not None
    assert cause.residual.rel_l2 < 1e-5 < cause.before.rel_l2


def test_weights_follow_what_repairing_each_alone_gives_back(report: Report) -> None:
    weights = [origin.effect for origin in report.origins]
    assert None not in weights
    small, large = (effect.final_error_removed for effect in weights if effect)
    assert small < 0.5 < large
    assert report.together is not None
    assert report.together.final_error_removed > 0.999


def test_the_json_has_cause_and_effect(report: Report) -> None:
    first = json.loads(report.to_json())["origins"][-1]
    assert {"kind", "text", "proven", "residual", "edits"} <= set(first["cause"])
    assert set(first["effect"]) == {"final_error_removed", "mask_pixels_restored"}


def test_a_repair_brings_the_healthy_file_back(report: Report, tmp_path: Path) -> None:
    fixed = report.repair(tmp_path / "fixed.onnx")
    assert fixed.agrees and fixed.exit_code == 0
    assert all(output.after.metrics.rel_l2 < 1e-5 for output in fixed.outputs)
    assert all(output.before.cumulative.metrics.rel_l2 > 1e-2 for output in fixed.outputs)  # type: ignore[union-attr]
    repaired, healthy = onnx.load(fixed.path), segmenter()
    assert find_node(repaired, "Softmax", 1).attribute[0].i == 1
    assert find_node(repaired, "LeakyRelu").attribute[0].f == pytest.approx(0.1)
    ours = {node.name: node for node in repaired.graph.node}
    for node in healthy.graph.node:
        if node.op_type not in ("Softmax", "LeakyRelu"):
            assert ours[node.name] == node


def test_only_what_was_proven_is_repaired(report: Report, tmp_path: Path) -> None:
    import dataclasses

    first, second = report.origins
    guess = dataclasses.replace(first, cause=None)
    half = dataclasses.replace(report, origins=(guess, second))
    fixed = half.repair(tmp_path / "half.onnx")
    assert not fixed.agrees and fixed.exit_code == 1
    assert fixed.left == (first.pair.candidate,)
    assert find_node(onnx.load(fixed.path), "LeakyRelu").attribute[0].f == pytest.approx(0.11)
    with pytest.raises(RepairError, match="no cause is proven"):
        dataclasses.replace(report, origins=(guess,)).repair(tmp_path / "none.onnx")


def misled(report: Report) -> Report:
    """The report with a change that makes things worse for the proven cause of the first origin."""
    first, second = report.origins
    assert first.cause is not None
    node = first.candidate_nodes[0].outputs[0]
    worse = replace(first.cause, edits=(Edit(node, attributes={"alpha": 9.0}),), text="A wrong guess.")
    return replace(report, origins=(replace(first, cause=worse), second))


def test_a_change_that_brings_the_outputs_no_nearer_is_taken_back(report: Report, tmp_path: Path) -> None:
    """Whatever was said of its effect: it is measured again on the file that is written."""
    found = misled(report)
    blind = replace(found, origins=tuple(replace(origin, effect=None) for origin in found.origins))
    for number, given in enumerate((found, blind)):
        fixed = given.repair(tmp_path / f"{number}.onnx")
        assert find_node(onnx.load(fixed.path), "LeakyRelu").attribute[0].f == pytest.approx(0.11)
        assert find_node(onnx.load(fixed.path), "Softmax", 1).attribute[0].i == 1
        assert any(remark.startswith("Taken back") for remark in fixed.remarks)
        assert fixed.left == (report.origins[0].pair.candidate,)


def test_nothing_is_written_where_no_change_helps(report: Report, tmp_path: Path) -> None:
    alone = replace(misled(report), origins=misled(report).origins[:1])
    with pytest.raises(RepairError, match="no change brings the outputs nearer"):
        alone.repair(tmp_path / "fixed.onnx")
    assert not list(tmp_path.iterdir())


def test_a_cause_whose_change_does_harm_is_a_guess(report: Report) -> None:
    cause, segment = report.origins[0].cause, Segment((), (), (), (), (), True)
    assert cause is not None and cause.proven
    told = without_harm({segment: cause}, Weights({}, None, frozenset({segment})))[segment]
    assert not told.proven and told.edits == () and "the final error grows" in told.text


def test_the_candidate_is_never_overwritten(faulty: ModelProto, tmp_path: Path) -> None:
    found = located(tmp_path, segmenter(), faulty)
    before = (tmp_path / "theirs.onnx").read_bytes()
    with pytest.raises(InputError, match="is an input of this run"):
        found.repair(tmp_path / "theirs.onnx")
    with pytest.raises(InputError, match="no such folder"):
        found.repair(tmp_path / "nowhere" / "fixed.onnx")
    assert (tmp_path / "theirs.onnx").read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ours.onnx", "theirs.onnx"]


@pytest.mark.parametrize("place", [".", "elsewhere"])
def test_external_data_stays_external(faulty: ModelProto, tmp_path: Path, place: str) -> None:
    found = located(tmp_path, segmenter(), faulty, external=True)
    (tmp_path / place).mkdir(exist_ok=True)
    fixed = found.repair(tmp_path / place / "fixed.onnx")
    assert fixed.agrees
    assert (tmp_path / place / "theirs.data").is_file()
    assert fixed.path.stat().st_size < (tmp_path / "theirs.data").stat().st_size + 20_000


def test_metadata_and_opset_stay(tmp_path: Path) -> None:
    theirs = with_attribute(segmenter(), "Softmax", 1, axis=3)
    theirs.producer_name = "somebody"
    theirs.metadata_props.add(key="license", value="none")
    fixed = onnx.load(located(tmp_path, segmenter(), theirs).repair(tmp_path / "fixed.onnx").path)
    assert (fixed.producer_name, fixed.metadata_props[0].value) == ("somebody", "none")
    assert fixed.opset_import == theirs.opset_import


def test_faults_in_a_row_are_weighed_by_what_repairing_each_alone_gives_back(tmp_path: Path) -> None:
    large_first = resized(coordinate_transformation_mode="align_corners")
    large_first = with_attribute(large_first, "Softmax", axis=1)
    weight = next(
        t for t in large_first.graph.initializer if t.name == find_node(large_first, "Conv", 2).input[1]
    )
    array = onnx.numpy_helper.to_array(weight).copy()
    array[0, 0, 0, 0] += 0.02
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    found = located(tmp_path, resized(), large_first)
    first, second = found.origins
    assert first.effect is not None and second.effect is not None
    assert first.effect.final_error_removed > second.effect.final_error_removed
    alone = copied(large_first)
    for attribute in find_node(alone, "Resize").attribute:
        if attribute.name == "coordinate_transformation_mode":
            attribute.s = b"half_pixel"
    truth, both, left = (
        tensors_of(model, {"x": image()})[model.graph.output[0].name]
        for model in (resized(), large_first, alone)
    )
    expected = 1 - np.linalg.norm(left - truth) / np.linalg.norm(both - truth)
    assert first.effect.final_error_removed == pytest.approx(expected, abs=0.02)


ALONE = """
import runpy, sys
absent = "segdiff paddle paddle2onnx onnx onnx_graphsurgeon networkx cv2 PIL yaml rich threadpoolctl"
sys.modules.update(dict.fromkeys(absent.split()))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Run a script as if numpy and onnxruntime were all there is: every other import of ours fails."""


def test_the_repro_prints_the_isolated_error(report: Report, tmp_path: Path) -> None:
    folder = report.repro(tmp_path / "repro", origin=1)
    names = {file.name for file in folder.iterdir()}
    assert {"segment.onnx", "repro.py", "reference.json", "tensors.json", "input-0.npy"} <= names
    command = [sys.executable, "-c", ALONE, str(folder / "repro.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    isolated = report.origins[1].pair.isolated
    assert isolated is not None
    words = dict(part.split() for part in done.stdout.split(": ")[1].split(", "))
    assert float(words["rel_l2"]) == pytest.approx(isolated.metrics.rel_l2, rel=1e-3)
    assert float(words["max_abs"]) == pytest.approx(isolated.metrics.max_abs, rel=1e-3)
    assert np.load(folder / "input-0.npy").ndim == 4


def test_a_repro_of_an_origin_that_is_not_there(report: Report, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no origin 7"):
        report.repro(tmp_path, origin=7)


def test_a_healthy_report_has_nothing_to_repair(tmp_path: Path) -> None:
    healthy = located(tmp_path, segmenter(), segmenter())
    with pytest.raises(InputError, match="nothing to repair"):
        healthy.repair(tmp_path / "fixed.onnx")


def test_a_wrong_input_is_no_fault_of_the_file(tmp_path: Path) -> None:
    """The network is right, so the file stays as it is; the refusal says what is wrong instead."""
    files = save(segmenter(), tmp_path / "ours.onnx"), save(segmenter(), tmp_path / "theirs.onnx")
    fed = image()[:, ::-1].copy()
    report = segdiff.locate(*files, image(), candidate_input=fed, timeout=60)
    assert report.homes == ("input",)
    with pytest.raises(InputError, match=r"the file is right as it is.*input\.channel_order"):
        report.repair(tmp_path / "fixed.onnx")
    assert report.to_dict()["input"]["problem"] is None
    names = [output["reference"] for output in report.to_dict()["input"]["outputs"]]
    assert names == [output.reference for output in report.outputs]


def test_a_repair_says_what_it_cannot_mend(faulty: ModelProto, tmp_path: Path) -> None:
    files = save(segmenter(), tmp_path / "ours.onnx"), save(faulty, tmp_path / "theirs.onnx")
    report = segdiff.locate(*files, image(), candidate_input=image()[:, ::-1].copy(), timeout=60)
    repaired = report.repair(tmp_path / "fixed.onnx")
    assert any("input.channel_order" in remark for remark in repaired.remarks)


def test_a_candidate_must_be_onnx(tmp_path: Path) -> None:
    program = tmp_path / "model.pdmodel"
    program.write_bytes(b"anything")
    (tmp_path / "model.pdiparams").write_bytes(b"anything")
    ours = save(segmenter(), tmp_path / "ours.onnx")
    with pytest.raises(InputError, match="comes after the reference"):
        segdiff.locate(ours, program, image())


def test_an_engine_that_died_is_no_file_that_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the error of the candidate as it is, no change could be held against anything."""
    found = located(tmp_path, resized(mode="linear"), resized(mode="nearest"))
    workbench = importlib.import_module("segdiff.finding.repair")._Workbench
    honest = workbench.run

    def run(self: Any, model: Path, wanted: Any) -> Any:
        if model.name == "theirs.onnx":
            raise segdiff.EngineError("was killed by SIGKILL", died=True)
        return honest(self, model, wanted)

    monkeypatch.setattr(workbench, "run", run)
    with pytest.raises(segdiff.EngineError, match="SIGKILL"):
        found.repair(tmp_path / "fixed.onnx")
    assert not (tmp_path / "fixed.onnx").exists()


@pytest.mark.parametrize("after, kept", [(0.10, ["a"]), (0.05, ["a"]), (0.101, []), (float("inf"), [])])
def test_no_change_is_kept_that_leaves_a_larger_error(after: float, kept: list[str]) -> None:
    """Not even one by a percent, which rounding alone might explain."""
    cause = Cause("quantization.weight_scale", "its scale is another", True, edits=(Edit("y"),))
    bench = SimpleNamespace(
        report=SimpleNamespace(origins=()),
        before=lambda: 0.10,
        tried=lambda causes: after if causes else 0.10,
    )
    assert _nearer_by_nodes(bench, {"a": cause}) == kept  # type: ignore[arg-type, comparison-overlap]
