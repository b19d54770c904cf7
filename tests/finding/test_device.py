"""A device's dump as a side: right where it is right, named and explained where it is not."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, numpy_helper

import segdiff
from segdiff.commands.cli import main
from segdiff.core.answer import Report
from segdiff.core.errors import EngineError, InputError, ModelError
from segdiff.diagnose.device import Sight
from segdiff.example import example_files
from segdiff.report.issue import issue
from segdiff.report.load import load
from tests.devices import Device, Fault, saved, with_attribute
from tests.dumps.ascend import compiled, inner_values, write_raw
from tests.models import Net, graph_of, image, names_of, save, segmenter, with_pairs
from tests.models import with_attribute as written_with
from tests.schema import checked


def nth(op_type: str, place: int = 0) -> str:
    """What the n-th node of a type writes."""
    return list(names_of(segmenter(), op_type))[place]


def located(
    folder: Path,
    *faults: Fault,
    half: bool = True,
    fuses: bool = False,
    drop: tuple[str, ...] = (),
    **more: Any,
) -> Report:
    """The segmenter against what a device with these faults left of it."""
    folder.mkdir(exist_ok=True)
    model = save(segmenter(), folder / "model.onnx")
    ops = compiled(graph_of(segmenter(), folder), fuses)
    tensors = Device(segmenter(), half, frozenset(inner_values(ops)), faults).run({"x": image()})
    dump = saved({name: a for name, a in tensors.items() if name not in drop}, folder / "dump")
    return segdiff.locate(model, dump, image(), timeout=60, **more)


@pytest.mark.parametrize(("half", "fuses"), [(True, False), (True, True), (False, False), (False, True)])
def test_a_right_device_agrees(tmp_path: Path, half: bool, fuses: bool) -> None:
    report = located(tmp_path, half=half, fuses=fuses)
    assert (report.verdict, report.homes, report.exit_code) == ("agrees", (), 0), report.sentence
    assert report.device is not None and report.device.missing == report.device.seen == 0
    assert report.device.precision == ("float16" if half else "float32")
    if half:
        assert report.precision and report.precision.candidate == "float16"
        assert report.precision.within == report.precision.segments <= len(report.pairs)
        assert report.precision.mask_changed is not None and report.precision.mask_changed < 0.05


def test_half_numbers_in_float32_files_are_known(tmp_path: Path) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    tensors = Device(segmenter()).run({"x": image()})
    wide = {n: a.astype(np.float32) if a.dtype == np.float16 else a for n, a in tensors.items()}
    report = segdiff.locate(model, saved(wide, tmp_path / "dump"), image(), timeout=60)
    assert report.verdict == "agrees" and report.device and report.device.precision == "float16"


def test_a_device_that_multiplies_in_half_and_stores_float32_agrees(tmp_path: Path) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    right = Device(segmenter(), half=False, multiplies_in_half=True)
    report = segdiff.locate(model, saved(right.run({"x": image()}), tmp_path / "a"), image(), timeout=60)
    assert report.verdict == "agrees" and report.device and report.device.precision == "float32"
    assert any("multiplies numbers of half precision" in remark for remark in report.device.remarks)
    wrong = replace(right, faults=(FAULTS["device.weights"],))
    report = segdiff.locate(model, saved(wrong.run({"x": image()}), tmp_path / "b"), image(), timeout=60)
    assert [origin.cause.kind for origin in report.origins if origin.cause] == ["device.weights"]


FAULTS = {
    "device.saturated": Fault(nth("Conv", 1), output=lambda a: np.clip(a, -1, 1)),
    "device.layout": Fault(nth("Conv", 1), output=lambda a: a.transpose(0, 2, 3, 1).reshape(a.shape)),
    "device.weights": Fault(nth("Conv", 1), weights=lambda w: np.roll(w.reshape(-1), 1).reshape(w.shape)),
    "device.operator": Fault(
        nth("Resize"), node=with_attribute("coordinate_transformation_mode", "asymmetric")
    ),
    "device.overflow": Fault(nth("Conv", 1), output=lambda a: np.where(a > 1, np.inf, a).astype(a.dtype)),
    "device.unknown": Fault(nth("Conv", 1), output=lambda a: a + image(a.shape, seed=3)),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_operator_is_found_and_explained(tmp_path: Path, kind: str) -> None:
    report = located(tmp_path, FAULTS[kind])
    assert (report.verdict, report.homes, report.exit_code) == ("diverges", ("device",), 1)
    (origin,) = report.origins
    assert origin.pair.candidate == FAULTS[kind].at and origin.device and origin.confirmed
    assert origin.cause and origin.cause.kind == kind, origin.cause
    assert origin.cause.proven == (kind not in ("device.unknown", "device.overflow"))
    assert not origin.cause.mends and "reference" not in origin.cause.text
    assert "The file itself agrees" in report.sentence
    told = report.to_dict()
    checked(told)
    assert told["first"]["home"] == "device" and told["device"]["isolated"] > 30
    (tmp_path / "report.json").write_text(json.dumps(told))
    assert load(tmp_path / "report.json").to_dict() == told
    assert report.repro(tmp_path / "repro").exists()
    report.save(tmp_path / "report.md")
    full = (tmp_path / "report.md").read_text()
    assert "right on the tensor as the device has it" in full and "reference's tensor" not in full


def test_one_wrong_weight_is_computed_from_what_the_device_did(tmp_path: Path) -> None:
    def changed(weight: np.ndarray) -> np.ndarray:
        weight = weight.copy()
        weight[3, 2, 1, 0] += 1
        return weight

    report = located(tmp_path, Fault(nth("Conv", 1), weights=changed))
    assert report.first and report.first.cause and report.first.cause.kind == "device.weights"
    assert "[3, 2, 1, 0]" in report.first.cause.text and report.first.cause.proven


def test_two_faults_are_two_origins_though_the_first_spoils_all_below(tmp_path: Path) -> None:
    report = located(tmp_path, FAULTS["device.saturated"], FAULTS["device.operator"])
    kinds = [origin.cause.kind for origin in report.origins if origin.cause]
    assert kinds == ["device.saturated", "device.operator"]


def test_where_values_are_missing_the_operators_between_are_one(tmp_path: Path) -> None:
    conv = nth("Conv", 1)
    report = located(tmp_path, Fault(conv, output=lambda a: a * np.float32(1.2)), drop=(conv,))
    (origin,) = report.origins
    assert conv in {name for node in origin.candidate_nodes for name in node.outputs}
    assert len(origin.candidate_nodes) == 2


def test_outputs_alone_isolate_nothing(tmp_path: Path) -> None:
    final = segmenter().graph.output[0].name
    model = save(segmenter(), tmp_path / "model.onnx")
    right = Device(segmenter()).run({"x": image()})
    report = segdiff.locate(model, saved({final: right[final]}, tmp_path / "a"), image(), timeout=60)
    assert report.verdict == "inconclusive" and report.device and report.device.isolated == 0
    wrong = saved({final: right[final][:, ::-1]}, tmp_path / "b")
    report = segdiff.locate(model, wrong, image(), timeout=60)
    assert report.verdict == "diverges" and "dump every operator" in report.sentence


def test_a_fault_of_the_file_is_not_the_devices(tmp_path: Path) -> None:
    ours = save(segmenter(), tmp_path / "ours.onnx")
    theirs = written_with(segmenter(), "LeakyRelu", alpha=0.3)
    dump = saved(Device(theirs).run({"x": image()}), tmp_path / "dump")
    model = save(theirs, tmp_path / "theirs.onnx")
    report = segdiff.locate(ours, dump, image(), candidate_model=model, timeout=60)
    assert (report.verdict, report.homes) == ("diverges", ("network",))
    assert report.first and report.first.cause and report.first.cause.kind == "leaky_relu.slope"
    assert "The device computes what the file says" in report.sentence


def test_an_input_whose_small_numbers_half_precision_rounds_coarsely_is_the_same(tmp_path: Path) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    small = image()
    small[:, :, ::2] *= 1e-6
    dump = saved(Device(segmenter()).run({"x": small}), tmp_path / "dump")
    report = segdiff.locate(model, dump, small, timeout=60)
    assert report.verdict == "agrees" and report.homes == ()


def test_another_input_is_told_and_the_operators_are_judged_on_it(tmp_path: Path) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    dump = saved(Device(segmenter()).run({"x": image()[:, ::-1].copy()}), tmp_path / "dump")
    report = segdiff.locate(model, dump, image(), timeout=60)
    assert report.homes == ("input",) and report.verdict == "diverges"
    assert report.as_fed and report.as_fed.comparison.findings[0].kind == "input.channel_order"


def test_damaged_files_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    dump = saved(Device(segmenter()).run({"x": image()}), tmp_path / "dump")
    for place, file in enumerate(sorted(dump.iterdir())[:3]):
        file.write_bytes(file.read_bytes()[: 90 + 40 * place])
    report = segdiff.locate(model, dump, image(), timeout=60)
    assert report.device and len(report.device.problems) == 3 and report.verdict in ("agrees", "inconclusive")


def test_a_dump_without_its_model_is_asked_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump = saved({"y": image()}, tmp_path / "dump")
    model = save(segmenter(), tmp_path / "model.onnx")
    with pytest.raises(InputError, match="--reference-model"):
        segdiff.locate(dump, model, image())
    with pytest.raises(ModelError, match="holds no tensor"):
        segdiff.locate(model, dump, image())
    np.save(tmp_path / "x.npy", image())
    assert main(["locate", str(dump), str(dump), str(tmp_path / "x.npy"), "--no-progress"]) == 2
    assert "--candidate-model" in capsys.readouterr().err


def test_the_command_line_says_what_a_person_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    dump = saved(
        Device(segmenter(), faults=(FAULTS["device.saturated"],)).run({"x": image()}), tmp_path / "dump"
    )
    np.save(tmp_path / "x.npy", image())
    words = [str(each) for each in (model, dump, tmp_path / "x.npy")]
    options = ["--candidate-model", str(model), "--no-progress", "--json", str(tmp_path / "r.json")]
    assert main(["locate", *words, *options]) == 1
    told = capsys.readouterr().out
    assert "device.saturated" in told and "npy dump of" in told and "segdiff repair" not in told
    assert "--candidate-model" in told.splitlines()[-1] and 8 <= len(told.splitlines()) <= 22
    assert json.loads((tmp_path / "r.json").read_text())["homes"] == ["device"]


def test_the_file_is_repaired_and_not_the_dump(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device is right, and what it ran is wrong: the last line mends that, and can be pasted."""
    monkeypatch.chdir(tmp_path)
    wrong = written_with(segmenter(), "LeakyRelu", alpha=0.3)
    save(segmenter(), tmp_path / "ours.onnx")
    save(wrong, tmp_path / "theirs.onnx")
    saved(Device(wrong).run({"x": image()}), tmp_path / "dump")
    np.save(tmp_path / "x.npy", image())
    words = ["ours.onnx", "dump", "x.npy", "--candidate-model", "theirs.onnx", "--no-progress"]
    assert main(["locate", *words]) == 1
    command = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert command[:5] == ["segdiff", "repair", "ours.onnx", "theirs.onnx", "x.npy"]
    assert main([*command[1:], "--no-progress"]) == 0


def test_two_machines_compare_what_each_has_written(tmp_path: Path) -> None:
    ours, theirs = segmenter(), written_with(segmenter(), "LeakyRelu", alpha=0.3)
    files = save(ours, tmp_path / "ours.onnx"), save(theirs, tmp_path / "theirs.onnx")
    for name, file in zip(("a", "b"), files, strict=True):
        segdiff.dump(file, image(), out=tmp_path / name, timeout=60)
    models = {"reference_model": files[0], "candidate_model": files[1]}
    report = segdiff.locate(tmp_path / "a", tmp_path / "b", image(), timeout=60, **models)
    assert (report.verdict, report.homes) == ("diverges", ("network",))
    assert report.first and report.first.cause and report.first.cause.kind == "leaky_relu.slope"
    models = {"reference_model": files[0], "candidate_model": files[0]}
    report = segdiff.locate(tmp_path / "a", tmp_path / "a", image(), timeout=60, **models)
    assert report.verdict == "agrees", report.sentence


def test_a_dump_stands_for_the_reference(tmp_path: Path) -> None:
    ours, theirs = segmenter(), written_with(segmenter(), "LeakyRelu", alpha=0.3)
    files = save(ours, tmp_path / "ours.onnx"), save(theirs, tmp_path / "theirs.onnx")
    segdiff.dump(files[0], image(), out=tmp_path / "a.npz", timeout=60)
    report = segdiff.locate(tmp_path / "a.npz", files[1], image(), reference_model=files[0], timeout=60)
    assert report.verdict == "diverges" and report.first and report.first.cause
    assert report.first.cause.kind == "leaky_relu.slope" and report.first.cause.proven


def test_both_sides_are_written_during_a_walk(tmp_path: Path) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    segdiff.locate(model, model, image(), keep_tensors=tmp_path / "kept", deployed=False, timeout=60)
    kept = [
        json.loads((tmp_path / "kept" / side / "manifest.json").read_text())
        for side in ("reference", "candidate")
    ]
    assert kept[0] == kept[1] and len(kept[0]) > 30


def test_a_tensor_that_is_only_written_in_another_layout_spoils_nothing_behind(tmp_path: Path) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    tensors = Device(segmenter()).run({"x": image()})
    conv = nth("Conv", 1)
    tensors[conv] = tensors[conv].transpose(0, 2, 3, 1).reshape(tensors[conv].shape)
    report = segdiff.locate(model, saved(tensors, tmp_path / "dump"), image(), timeout=60)
    (origin,) = report.origins
    assert origin.pair.candidate == conv and origin.cause and origin.cause.kind == "device.layout"
    assert "only written so" in origin.cause.text and "misread" in {pair.why.kind for pair in report.pairs}


def raw(folder: Path, tensors: dict[str, Any], **own: Any) -> Path:
    """An Ascend dump in which every operator has its inputs, those of ``own`` its own."""
    graph = graph_of(segmenter(), folder)
    place = folder / "raw"
    write_raw(place, graph, compiled(graph, fuse=False), tensors)
    if own:
        other = folder / "other"
        write_raw(other, graph, compiled(graph, fuse=False), {**tensors, **own["given"]})
        op = next(op for op in compiled(graph, fuse=False) if op.outputs[0] == own["to"])
        for file in other.glob(f"*.{op.name.replace(':', '_')}.*"):
            shutil.copy(file, place / file.name)
    return place


def test_what_changes_between_two_operators_is_neithers_fault(tmp_path: Path) -> None:
    model = save(segmenter(), tmp_path / "model.onnx")
    conv, norm = nth("Conv", 1), nth("BatchNormalization", 1)
    right = Device(segmenter()).run({"x": image()})
    report = segdiff.locate(model, raw(tmp_path, right), image(), timeout=60)
    assert report.verdict == "agrees", report.sentence
    given = right[conv].transpose(0, 2, 3, 1).reshape(right[conv].shape)
    after = Device(segmenter(), faults=(Fault(conv, output=lambda a: given.astype(np.float32)),)).run(
        {"x": image()}
    )
    after[conv] = right[conv]
    (tmp_path / "second").mkdir()
    dump = raw(tmp_path / "second", after, given={conv: given}, to=norm)
    report = segdiff.locate(model, dump, image(), timeout=60)
    (origin,) = report.origins
    assert origin.pair.candidate == conv and origin.cause and origin.cause.kind == "device.layout"
    assert "was given" in origin.cause.text and report.homes == ("device",)


def test_a_device_that_was_built_for_another_size_is_told_and_not_accused(tmp_path: Path) -> None:
    open_size = segmenter(shape=(1, 3, "h", "w"))
    model = save(open_size, tmp_path / "model.onnx")
    tensors = Device(open_size).run({"x": image()})
    report = segdiff.locate(model, saved(tensors, tmp_path / "a"), image((1, 3, 16, 20)), timeout=60)
    assert report.homes == ("input",) and any("was built for" in remark for remark in report.remarks)
    del tensors["x"]
    report = segdiff.locate(model, saved(tensors, tmp_path / "b"), image((1, 3, 16, 20)), timeout=60)
    assert report.verdict == "inconclusive" and "another size" in report.sentence and not report.origins


def test_what_reads_numbers_that_are_not_finite_is_not_accused(tmp_path: Path) -> None:
    report = located(tmp_path, FAULTS["device.overflow"])
    below = [pair for pair in report.pairs if pair.why.kind == "unfed"]
    assert len(report.origins) == 1 and all("NaN or infinite" in (pair.why.detail or "") for pair in below)


def test_an_issue_speaks_of_the_device_and_the_report_can_be_opened(tmp_path: Path) -> None:
    report = located(tmp_path, FAULTS["device.saturated"])
    text = (issue(report, tmp_path / "issue") / "ISSUE.md").read_text()
    assert "The device computes **Conv** otherwise than the ONNX file says" in text
    assert "the model" not in text
    with report.open() as case:
        assert case.graphs[1].path == tmp_path / "model.onnx"


def test_a_variance_that_half_precision_does_not_hold_is_an_overflow(tmp_path: Path) -> None:
    net = Net(seed=2)
    made = net.node("Relu", net.batch_norm(net.conv("x", (3, 8)), 8, variance=1e7), outputs=["made"])
    model = net.model(net.conv(made, (8, 4)))
    for constant in model.graph.initializer:
        if constant.name in [
            node.input[1] for node in model.graph.node if node.op_type == "BatchNormalization"
        ]:
            constant.CopyFrom(numpy_helper.from_array(np.full(8, 3e3, np.float32), constant.name))
    norm = next(node.output[0] for node in model.graph.node if node.op_type == "BatchNormalization")

    def cast(weight: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return weight.astype(np.float16).astype(np.float32)

    tensors = Device(model, faults=(Fault(norm, weights=cast, which=3),)).run({"x": image()})
    dump = saved(tensors, tmp_path / "dump")
    report = segdiff.locate(save(model, tmp_path / "m.onnx"), dump, image(), timeout=60)
    assert report.first and report.first.cause and report.first.pair.candidate == norm
    assert (report.first.cause.kind, report.first.cause.proven) == ("device.overflow", True)
    assert "beyond 65504" in report.first.cause.text


def test_why_tensors_could_not_be_kept_reaches_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any) -> None:
        raise EngineError("onnxruntime has gone")

    monkeypatch.setattr("segdiff.finding.one_image.tensors_written", fails)
    model = save(segmenter(), tmp_path / "model.onnx")
    report = segdiff.locate(model, model, image(), keep_tensors=tmp_path / "kept", deployed=False, timeout=60)
    assert report.verdict == "agrees" and any("onnxruntime has gone" in remark for remark in report.remarks)


def test_files_in_another_order_are_still_asked_about(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["locate", "deploy", "x.npz", "model.onnx"])
    assert "did you mean deploy model.onnx x.npz?" in capsys.readouterr().err


def test_tensors_that_causes_are_tried_against_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sight] = []
    monkeypatch.setattr("segdiff.diagnose.device.laid_out", lambda sight, end: seen.append(sight))
    for half in (True, False):
        located(tmp_path / str(half), FAULTS["device.weights"], half=half)
    assert len(seen) == 2
    assert all(sight.mine.flags.owndata and sight.theirs.flags.owndata for sight in seen)


def test_a_mask_of_int32_is_the_mask_of_int64(tmp_path: Path) -> None:
    net = Net(seed=4)
    mask = net.node("ArgMax", net.conv("x", (3, 4)), axis=1, keepdims=0, outputs=["mask"])
    model = net.model(mask, types={"mask": TensorProto.INT64})
    tensors = Device(model).run({"x": image()})
    assert tensors["mask"].dtype == np.int64
    dump = saved({**tensors, "mask": tensors["mask"].astype(np.int32)}, tmp_path / "dump")
    report = segdiff.locate(save(model, tmp_path / "m.onnx"), dump, image(), timeout=60)
    assert report.verdict == "agrees" and report.device, report.sentence
    assert any("int32 for int64" in remark for remark in report.device.remarks)
    assert report.outputs[0].mask_changed is not None and report.outputs[0].mask_changed < 0.01
    wrong = (tensors["mask"].astype(np.int32) + 1) % 4
    dump = saved({**tensors, "mask": wrong}, tmp_path / "wrong")
    report = segdiff.locate(tmp_path / "m.onnx", dump, image(), timeout=60)
    assert report.first and report.first.pair.candidate == "mask" and report.homes == ("device",)


@pytest.mark.parametrize("what", ["pads", "order"])
def test_settings_that_a_device_gets_wrong_by_itself(tmp_path: Path, what: str) -> None:
    conv, norm = nth("Conv", 1), nth("BatchNormalization", 1)

    def exchange(node: Any) -> None:
        node.input[2], node.input[3] = node.input[3], node.input[2]

    faults = {
        "pads": Fault(conv, node=with_attribute("pads", [0, 0, 2, 2])),
        "order": Fault(norm, node=exchange),
    }
    report = located(tmp_path, faults[what], fuses=True)
    assert len(report.origins) == 1 and report.first and report.first.cause
    assert (report.first.cause.kind, report.first.cause.proven) == ("device.operator", True)
    assert "On the device" in report.first.cause.text


def test_another_slope_is_found(tmp_path: Path) -> None:
    report = located(tmp_path, Fault(nth("HardSigmoid"), node=with_attribute("alpha", 0.2)))
    assert report.first and report.first.cause and report.first.cause.proven, report.first
    assert "hard_sigmoid.slope" in report.first.cause.text


def test_a_paddle_models_dump_stands_for_it(tmp_path: Path) -> None:
    with example_files() as files:
        segdiff.dump(files.reference, files.image, out=tmp_path / "ours", timeout=120)
        segdiff.dump(files.candidate, files.image, out=tmp_path / "theirs", timeout=60)
        models = {"reference_model": files.reference, "candidate_model": files.candidate}
        report = segdiff.locate(tmp_path / "ours", tmp_path / "theirs", files.image, timeout=60, **models)
    assert report.homes == ("network",) and report.first and report.first.cause
    assert (report.first.cause.kind, report.first.cause.proven) == ("resize.coordinate_mode", True)
    assert report.environment and report.environment.reference.engine == "dump"


def test_in_a_part_that_is_most_of_the_model_no_setting_is_made_to_fit(tmp_path: Path) -> None:
    """Outputs alone: an origin of all the operators has no proven cause, and is told in no time."""
    final = segmenter().graph.output[0].name
    model = save(segmenter(), tmp_path / "model.onnx")
    wrong = Device(segmenter(), faults=(FAULTS["device.operator"],)).run({"x": image()})
    report = segdiff.locate(model, saved({final: wrong[final]}, tmp_path / "dump"), image(), timeout=60)
    if report.first is not None:
        assert report.first.cause and report.first.cause.kind == "device.unknown"
        assert not report.first.cause.proven and report.timing_s["explain"] < 5
    turned = np.ascontiguousarray(np.moveaxis(Device(segmenter()).run({"x": image()})[final], 1, -1))
    laid = saved({final: turned.reshape(1, 4, 16, 24)}, tmp_path / "turned")
    report = segdiff.locate(model, laid, image(), timeout=60)
    assert report.first and report.first.cause and report.first.cause.kind == "device.layout"


def test_an_origin_says_what_it_costs_in_the_end(tmp_path: Path) -> None:
    """The rest runs here from the device's tensors: with the operator right the outputs are right."""
    report = located(tmp_path / "one", FAULTS["device.saturated"])
    assert report.first and report.first.effect
    assert report.first.effect.final_error_removed > 0.9
    report = located(tmp_path / "two", FAULTS["device.saturated"], FAULTS["device.operator"])
    effects = [origin.effect for origin in report.origins]
    assert len(effects) == 2 and all(effects)
    assert any(effect and effect.final_error_removed > 0.05 for effect in effects)
    assert checked(report.to_dict()) is not None


def test_a_file_that_is_its_own_reference_is_not_walked_against_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else is said for that."""

    def told(folder: Path) -> dict[str, Any]:
        found = located(folder, FAULTS["device.layout"], half=False).to_dict()
        return {name: each for name, each in found.items() if name not in ("timing_s", "peak_memory_mb")}

    once = told(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("segdiff.finding.one_image.walked_with", None)
        assert told(tmp_path) == once
    monkeypatch.setattr("segdiff.finding.locate.is_one_file", lambda *given: False)
    assert told(tmp_path) == once


def test_what_is_not_linear_is_not_put_down_to_weights(tmp_path: Path) -> None:
    """Weights are solved for by hardly more numbers than there are unknowns, which alone proves nothing."""
    bent = Fault(nth("Conv", 1), output=lambda a: (0.5 * np.tanh(2 * a)).astype(a.dtype))
    report = located(tmp_path, bent)
    assert report.first and report.first.cause and not report.first.cause.proven, report.first.cause


def quantised() -> ModelProto:
    """A small net with every value quantised but the last."""
    net = Net()
    first = net.node("Relu", net.conv("x", (3, 8)))
    second = net.node("Relu", net.conv(first, (8, 8)))
    return with_pairs(net.model(net.conv(net.node("Add", first, second), (8, 4))))


def off_by_a_step(array: Any) -> Any:
    """Bytes of which some are rounded to the other side."""
    up = np.random.default_rng(4).random(array.shape) < 0.02
    return np.where(up & (array < 255), array + 1, array).astype(array.dtype)


@pytest.mark.parametrize("names", ["bytes", "floats"])
def test_bytes_are_judged_as_the_numbers_that_they_stand_for(tmp_path: Path, names: str) -> None:
    """A device keeps the bytes alone, by the name of the file's bytes or of the floats around them."""
    model = quantised()
    path = save(model, tmp_path / "model.onnx")
    floats = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}

    def asked(*faults: Fault) -> Report:
        values = Device(model, False, faults=faults).run({"x": image()})
        final = model.graph.output[0].name
        kept = {name: a for name, a in values.items() if a.dtype == np.uint8 or name in ("x", final)}
        own = {floats.get(name, name) if names == "floats" else name: a for name, a in kept.items()}
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        return segdiff.locate(path, saved(own, folder), image(), timeout=60)

    report = asked()
    assert report.verdict == "agrees" and report.device and not report.device.problems, report.sentence
    assert (report.device.precision, report.device.missing) == ("uint8", 0)
    place = list(names_of(model, "Conv"))[1]
    report = asked(Fault(place, output=lambda a: np.clip(a, -1, 1)))
    assert report.first and report.first.pair.candidate == f"{place}.bytes", report.sentence
    assert len(report.origins) == 1 and report.first.cause
    assert report.first.cause.kind == "device.saturated" and report.first.cause.proven


def test_bytes_that_are_a_step_off_here_and_there_agree(tmp_path: Path) -> None:
    model = quantised()
    values = Device(model, False).run({"x": image()})
    last = next(node.output[0] for node in model.graph.node[::-1] if node.op_type == "QuantizeLinear")
    given = {"x": values["x"], **{name: a for name, a in values.items() if a.dtype == np.uint8}}
    given[last] = off_by_a_step(given[last])
    final = model.graph.output[0].name
    behind = Device(model, False, faults=(Fault(last, output=off_by_a_step),)).run({"x": image()})
    dump = saved({**given, final: behind[final]}, tmp_path / "dump")
    report = segdiff.locate(save(model, tmp_path / "model.onnx"), dump, image(), timeout=60)
    assert report.verdict == "agrees", report.sentence
