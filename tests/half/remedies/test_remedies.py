"""What helps, end to end: a net like ErfNet on Ascend, and nets where little or nothing can be claimed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, helper

import segdiff
from segdiff.commands.cli import main
from segdiff.core.graph import Array
from segdiff.half.answer import HalfReport
from segdiff.half.simulate import simulated
from segdiff.half.targets import how_of
from tests.half.nets import ERFNET_SHAPE, edited_as_users_do, erfnet, norms_of, parameter
from tests.models import Net, image, save, segmenter
from tests.schema import check

LARGEST = 65504.0


def picture(seed: int = 50) -> Array:
    return image(ERFNET_SHAPE, seed=seed)


def asked(model: ModelProto, folder: Path, **options: Any) -> HalfReport:
    """The report on a model that stands for its own reference."""
    path = save(model, folder / "model.onnx")
    return segdiff.precision(path, path, options.pop("x", picture()), **options)


def run(model: ModelProto | Path, feed: Array) -> Array:
    """The first output."""
    path = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: feed})[0])


def error(got: Array, truth: Array) -> float:
    return float(np.linalg.norm(got.astype(np.float64) - truth) / np.linalg.norm(truth.astype(np.float64)))


def overflowing(model: ModelProto) -> dict[str, set[int]]:
    """The channels of each batch norm whose alpha is beyond float16, by the formula."""
    found = {}
    for node in norms_of(model):
        scale, offset, mean, variance = (parameter(model, n).astype(np.float64) for n in node.input[1:])
        epsilon = node.attribute[0].f
        alpha = offset / scale * np.sqrt(variance + epsilon) - mean
        channels = set(np.flatnonzero(np.abs(alpha) > LARGEST).tolist())
        if channels:
            found[node.name] = channels
    return found


def told_channels(text: str) -> set[int]:
    """The channels that a text names."""
    words = text.split(" in channel", 1)[1].split(" of ", 1)[0].removeprefix("s")
    return {int(word) for word in words.replace(" and ", ",").split(",")}


@pytest.mark.parametrize("seed", range(3))
def test_exactly_the_channels_whose_alpha_overflows_are_named(tmp_path: Path, seed: int) -> None:
    model = erfnet(seed)
    report = asked(model, tmp_path, target="ascend310p")
    told = {
        each.nodes[0]: told_channels(each.text) for each in report.static if each.reason == "precision.alpha"
    }
    assert told == overflowing(model)
    assert told


@pytest.mark.parametrize("target", ["ascend310p", "ascend910b"])
def test_their_error_is_that_of_the_form_in_float64(target: str) -> None:
    model, how = erfnet(), how_of(target)
    for node in norms_of(model):
        if node.name not in overflowing(model):
            continue
        scale, offset, mean, variance = (parameter(model, n).astype(np.float64) for n in node.input[1:])
        sigma = np.sqrt(variance + node.attribute[0].f)
        shown = onnx.ModelProto()
        shown.CopyFrom(model)
        del shown.graph.output[:]
        for name in (node.input[0], node.output[0]):
            shown.graph.output.append(helper.make_tensor_value_info(name, 1, None))
        x = run(shown, picture()).astype(np.float64)
        del shown.graph.output[:1]
        truth = run(shown, picture())
        simulation = run(simulated(shown, how, only=frozenset([node.name])), picture())

        def half(array: Array) -> Array:
            with np.errstate(over="ignore", invalid="ignore"):
                stored = array.astype(np.float16).astype(np.float64)
            cut = np.nan_to_num(stored, nan=0.0, posinf=LARGEST, neginf=-LARGEST)
            return cut if target == "ascend310p" else stored

        alpha, beta = (each[None, :, None, None] for each in (offset / scale * sigma - mean, scale / sigma))
        with np.errstate(invalid="ignore"):
            predicted = half(half(x + half(alpha)) * half(beta))
        reader = next(each for each in model.graph.node if each.input[0] == node.output[0])
        assert reader.op_type in ("Relu", "Conv", "Add")
        finite = np.isfinite(predicted) & np.isfinite(simulation)
        assert np.array_equal(np.isfinite(predicted), np.isfinite(simulation))
        if target == "ascend310p":
            assert error(simulation, truth) == pytest.approx(error(predicted, truth), rel=0.02)
        np.testing.assert_allclose(simulation[finite], predicted[finite], atol=2e-3)


def test_an_exact_rewrite_is_written_and_keeps_the_mask(tmp_path: Path) -> None:
    model = erfnet()
    report = asked(model, tmp_path, target="ascend310p", remedies=tmp_path / "out")
    assert report.verdict == "loses"
    rewrite = next(each for each in report.remedies if each.kind == "rewrite")
    assert set(overflowing(model)) <= set(rewrite.nodes)
    assert report.cost is not None
    assert rewrite.cost_after.rel_l2 < 0.05 * report.cost.rel_l2
    fixed = rewrite.files["onnx"]
    assert error(run(fixed, picture(7)), run(tmp_path / "model.onnx", picture(7))) < 1e-6
    again = segdiff.precision(fixed, fixed, picture(), target="ascend310p")
    assert again.cost is not None
    assert again.cost.rel_l2 == pytest.approx(rewrite.cost_after.rel_l2, rel=0.05)
    check(report.to_dict())


def test_what_to_keep_is_told_in_the_words_of_the_target(tmp_path: Path) -> None:
    report = asked(erfnet(), tmp_path, target="ascend310p", remedies=tmp_path / "out")
    keep = next(each for each in report.remedies if each.kind == "keep_float32")
    assert not any(name.startswith("Conv") for name in keep.nodes)
    assert keep.files["keep_dtype"].read_text().splitlines() == list(keep.nodes)
    assert len(keep.files["customize_dtypes"].read_text().splitlines()) == len(keep.nodes)
    types = json.loads(keep.files["modify_mixlist"].read_text())["black-list"]["to-add"]
    assert "BatchNorm" in types
    assert report.cost is not None
    assert keep.cost_after.rel_l2 < 0.05 * report.cost.rel_l2
    mixed = keep.files["onnx"]
    held = {tensor.name: tensor.data_type for tensor in onnx.load(mixed).graph.initializer}
    for node in onnx.load(mixed).graph.node:
        if node.op_type == "BatchNormalization":
            wide = {held[name] for name in node.input[1:]}
            assert wide == {onnx.TensorProto.FLOAT if node.name in keep.nodes else onnx.TensorProto.FLOAT16}
    assert run(mixed, picture()).dtype == np.float32
    assert error(run(mixed, picture()), run(tmp_path / "model.onnx", picture())) < 0.01


def test_what_an_edit_of_the_users_changes(tmp_path: Path) -> None:
    model = erfnet()
    edit = save(edited_as_users_do(model), tmp_path / "edited.onnx")
    report = asked(model, tmp_path, target="ascend310p", edited=edit)
    assert report.edit is not None
    by_node = {each.nodes[0]: each for each in report.edit.changes}
    for node in norms_of(model):
        scale = parameter(model, node.input[1])
        small = np.flatnonzero(np.abs(scale) <= 0.01)
        assert (node.name in by_node) == bool(small.size)
        if small.size:
            text = by_node[node.name].text
            far = np.abs(0.01 - scale[small]).max()
            assert far <= 0.02
            assert f"in {small.size} of {scale.size} channels" in text
            assert f"by up to {far:.3g}" in text
            turned = int((scale[small] < 0).sum())
            assert (f"; {turned} turn" in text) == (turned > 0)
            assert by_node[node.name].reason == ("edit.sign" if turned else "edit.parameter")
    truth, changed = run(tmp_path / "model.onnx", picture()), run(edit, picture())
    assert report.edit.float32.rel_l2 == pytest.approx(error(changed, truth), rel=1e-3)
    assert report.cost is not None
    assert report.edit.before == report.cost
    assert report.edit.after.rel_l2 < report.cost.rel_l2
    rewrite = next(each for each in report.remedies if each.kind == "rewrite")
    assert rewrite.cost_after.rel_l2 < report.edit.after.rel_l2
    check(report.to_dict())


def test_other_settings_and_nodes_of_an_edit_are_told(tmp_path: Path) -> None:
    model = segmenter()
    edit = onnx.ModelProto()
    edit.CopyFrom(model)
    leaky = next(node for node in edit.graph.node if node.op_type == "LeakyRelu")
    leaky.attribute[0].f = 0.25
    report = asked(model, tmp_path, x=image(), edited=save(edit, tmp_path / "edited.onnx"))
    assert report.edit is not None
    (told,) = report.edit.changes
    assert told.reason == "edit.setting"
    assert told.nodes == (leaky.name,)
    assert report.edit.float32.rel_l2 > 1e-4


def test_nothing_is_claimed_where_no_op_has_a_large_share(tmp_path: Path) -> None:
    report = asked(segmenter(), tmp_path, x=image(), allow_mask=0.0, remedies=tmp_path / "out")
    if not report.heavy:
        assert report.remedies == ()
        assert not (tmp_path / "out").exists()


def test_what_helps_must_help(tmp_path: Path) -> None:
    report = asked(erfnet(), tmp_path, target="tensorrt", allow_mask=0.0)
    assert report.cost is not None
    for each in report.remedies:
        assert each.cost_after.rel_l2 < report.cost.rel_l2


def large(folder: Path) -> ModelProto:
    """An activation beyond 65504 between two convolutions."""
    net = Net()
    big = net.node("Conv", "x", net.constant(9e4 * np.ones((4, 3, 1, 1))), net.constant(np.ones(4)))
    small = net.node("Conv", net.node("Relu", big), net.constant(1e-5 * np.ones((3, 4, 1, 1))))
    return onnx.shape_inference.infer_shapes(net.model(net.conv(small, (3, 3))))


def test_a_scale_is_moved_where_an_activation_overflows(tmp_path: Path) -> None:
    report = asked(large(tmp_path), tmp_path, x=image(), remedies=tmp_path / "out")
    assert report.verdict == "loses"
    rewrite = next(each for each in report.remedies if each.kind == "rewrite")
    assert "2^" in rewrite.text
    assert rewrite.cost_after.rel_l2 < 0.01
    assert error(run(rewrite.files["onnx"], image()), run(tmp_path / "model.onnx", image())) < 1e-6


def test_what_a_target_cannot_keep_is_said(tmp_path: Path) -> None:
    net = Net()
    big = net.node("Conv", "x", net.constant(9e4 * np.ones((4, 3, 1, 1))))
    small = net.node("Mul", net.node("Sigmoid", net.node("Mul", big, net.constant(1e-5))), net.constant(2.0))
    model, out = net.model(net.conv(small, (4, 3))), tmp_path / "out"
    report = asked(model, tmp_path, x=image(), target="ascend310p", remedies=out)
    assert report.heavy
    assert not report.heavy[0].can_keep
    assert not any(each.kind == "keep_float32" for each in report.remedies)
    assert any("cannot be kept in float32 on ascend310p (Conv)" in each for each in report.remarks)


def test_nodes_without_names_get_some_in_a_file_beside(tmp_path: Path) -> None:
    model = erfnet()
    for node in model.graph.node:
        node.name = ""
    report = asked(model, tmp_path, target="ascend910b", remedies=tmp_path / "out")
    keep = next(each for each in report.remedies if each.kind == "keep_float32")
    named = onnx.load(keep.files["named"])
    names = [node.name for node in named.graph.node]
    assert set(keep.files["keep_dtype"].read_text().splitlines()) <= set(names)
    assert len(set(names)) == len(names)
    np.testing.assert_array_equal(
        run(keep.files["named"], picture()), run(tmp_path / "model.onnx", picture())
    )


def test_the_command_writes_into_a_new_folder_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(erfnet(), tmp_path / "model.onnx")
    np.save(tmp_path / "x.npy", picture())
    words = ["precision", str(path), str(path), str(tmp_path / "x.npy"), "--target", "ascend310p"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    assert main([*words, "--remedies", str(tmp_path / "full")]) == 2
    assert "not empty" in capsys.readouterr().err
    edit = save(edited_as_users_do(onnx.load(path)), tmp_path / "edited.onnx")
    asked_words = ["--remedies", str(tmp_path / "out"), "--candidate", str(edit)]
    assert main([*words, *asked_words, "--json", str(tmp_path / "half.json")]) == 1
    out = capsys.readouterr().out
    assert "what helps" in out
    assert "the edit" in out
    found = json.loads((tmp_path / "half.json").read_text())
    check(found)
    assert found["edit"]["path"] == str(edit)
    assert all(Path(file).is_file() for each in found["remedies"] for file in each["files"].values())
    loaded = segdiff.load(tmp_path / "half.json")
    assert loaded.to_dict() == found
