"""Does ``segdiff.precision`` say what half precision costs, where and why?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.half.answer import HalfReport
from tests.half.test_simulate import conv_norm_relu, error, groups
from tests.models import Net, image, save, segmenter
from tests.schema import check


def asked(model: onnx.ModelProto, folder: Path, x: Any = None, **options: Any) -> HalfReport:
    """The report on a model that stands for its own reference."""
    path = save(model, folder / "model.onnx")
    return segdiff.precision(path, path, image() if x is None else x, **options)


def test_a_healthy_model_keeps_its_mask(tmp_path: Path) -> None:
    report = asked(segmenter(), tmp_path, target="tensorrt", allow_mask=0.02)
    assert report.verdict == "keeps" and report.exit_code == 0
    assert report.cost is not None and 1e-4 < report.cost.rel_l2 < 5e-3
    assert report.measured == len(report.ops) and report.largest_unmeasured is None
    assert sum(op.share or 0 for op in report.ops) == pytest.approx(1)
    assert [op.share for op in report.ops] == sorted((op.share for op in report.ops), reverse=True)
    check(report.to_dict())


def test_the_op_that_loses_is_named_with_its_reason(tmp_path: Path) -> None:
    report = asked(conv_norm_relu(1e7), tmp_path)
    first = report.ops[0]
    assert report.verdict == "loses" and report.exit_code == 1
    assert first.nodes[0].startswith("BatchNormalization")
    assert first.share is not None and first.share > 0.9
    assert first.reason == "precision.variance" and "e+07" in first.text
    assert first.nodes[0] in report.sentence
    assert report.heavy == (first,)


def test_the_cost_is_that_of_the_simulated_model(tmp_path: Path) -> None:
    from segdiff.half.targets import How

    model = segmenter()
    report = asked(model, tmp_path)
    assert report.cost is not None
    assert report.cost.rel_l2 == pytest.approx(error(model, How()), rel=1e-4)
    place = report.ops[0].value
    alone = report.ops[0].alone
    assert alone is not None
    assert alone.rel_l2 == pytest.approx(error(model, How(), only=frozenset({place})), rel=1e-3)
    assert {op.value for op in report.ops} == {each.value for each in groups(model, How())}


def test_a_value_beyond_the_largest_is_a_reason(tmp_path: Path) -> None:
    net = Net()
    large = net.node("Mul", net.conv("x", (3, 4)), net.constant(4e4))
    small = net.node("Mul", large, net.constant(2.5e-5))
    report = asked(net.model(net.conv(small, (4, 3))), tmp_path)
    found = next(op for op in report.ops if op.value == large)
    assert (report.verdict, found.reason) == ("loses", "precision.overflow")
    assert "65504" in found.text and "infinite" in found.text
    saturated = asked(
        net.model(net.conv(small, (4, 3))), tmp_path, target="ascend310p", batch_norm="exported"
    )
    assert "cut off" in next(op for op in saturated.ops if op.value == large).text


def test_what_is_not_finite_is_lost_and_its_json_is_valid(tmp_path: Path) -> None:
    net = Net()
    report = asked(net.model(net.node("Mul", net.conv("x", (3, 4)), net.constant(1e6))), tmp_path)
    assert report.verdict == "loses" and "no longer finite" in report.sentence
    found = json.loads(report.to_json())
    assert found["cost"]["max_abs"] is None
    check(found)


def test_what_a_target_cannot_keep_is_told(tmp_path: Path) -> None:
    report = asked(segmenter(), tmp_path, target="ascend310p")
    kept = {op.can_keep for op in report.ops if any(name.startswith("Conv") for name in op.nodes)}
    assert kept == {False}
    assert all(op.can_keep for op in report.ops if op.nodes and op.nodes[0].startswith("Softmax"))


def test_an_argmax_is_measured_by_what_it_reads(tmp_path: Path) -> None:
    net = Net()
    classes = net.node("ArgMax", net.conv("x", (3, 5)), axis=1, keepdims=0)
    report = asked(net.model(classes, types={classes: onnx.TensorProto.INT64}), tmp_path)
    assert report.cost is not None
    assert 1e-5 < report.cost.rel_l2 < 5e-3
    assert report.cost.mask_changed is not None


def test_shares_are_measured_on_several_images_with_their_spread(tmp_path: Path) -> None:
    from segdiff.inputs.image import cv2

    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(4):
        pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{seed}.png"), pixels)
    path = save(segmenter(shape=(1, 3, 32, 32)), tmp_path / "model.onnx")
    report = segdiff.precision(path, path, folder)
    assert (len(report.images), report.shared) == (4, 3)
    assert all(op.spread is not None for op in report.ops)


def test_labels_give_points(tmp_path: Path) -> None:
    from segdiff.inputs.image import cv2

    folder, labels = tmp_path / "images", tmp_path / "labels"
    folder.mkdir(), labels.mkdir()
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{seed}.png"), pixels)
        cv2.imwrite(str(labels / f"{seed}.png"), (pixels[:, :, 0] // 64).astype(np.uint8))
    path = save(segmenter(shape=(1, 3, 32, 32)), tmp_path / "model.onnx")
    report = segdiff.precision(path, path, folder, labels=labels, names="a,b,c,d")
    assert report.cost is not None and report.cost.miou_points is not None
    assert report.scores is not None
    assert report.cost.miou_points == pytest.approx(100 * (report.scores[0] - report.scores[1]))
    assert [each.name for each in report.classes] == ["a", "b", "c", "d"]
    check(report.to_dict())


def test_a_report_comes_back_from_its_json(tmp_path: Path) -> None:
    report = asked(conv_norm_relu(1e7), tmp_path)
    path = report.save(tmp_path / "half.json")
    again = segdiff.load(path)
    assert isinstance(again, HalfReport)
    assert again == report
    assert str(again) == str(report)
    assert report.save(tmp_path / "half.html").read_text().count("BatchNormalization") > 2
    assert "BatchNormalization" in report.save(tmp_path / "half.md").read_text()


def test_the_short_answer_has_a_dozen_lines(tmp_path: Path) -> None:
    lines = str(asked(conv_norm_relu(1e7), tmp_path)).splitlines()
    assert 6 <= len(lines) <= 16


@pytest.mark.parametrize(("variance", "code"), [(1.0, 0), (1e7, 1)])
def test_the_command_ends_with_the_verdict(
    tmp_path: Path, variance: float, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(conv_norm_relu(variance), tmp_path / "model.onnx")
    np.save(tmp_path / "x.npy", image())
    words = ["precision", str(path), str(path), str(tmp_path / "x.npy"), "--allow-mask", "0.02"]
    assert main([*words, "--json", str(tmp_path / "half.json"), "--no-progress"]) == code
    found = json.loads((tmp_path / "half.json").read_text())
    assert found["verdict"] == ("loses" if code else "keeps")
    assert found["command"][:2] == ["segdiff", "precision"]
    assert capsys.readouterr().out.startswith("✗" if code else "✓")
    assert main(["show", str(tmp_path / "half.json"), "--full"]) == code


def test_a_file_in_half_precision_is_refused(tmp_path: Path) -> None:
    net = Net()
    net.constants["w"] = np.zeros((4, 3, 1, 1), np.float16)
    model = net.model(net.node("Cast", net.node("Conv", net.node("Cast", "x", to=10), "w"), to=1))
    with pytest.raises(segdiff.ModelError, match="half precision already"):
        asked(model, tmp_path)


@pytest.mark.parametrize("options", [{"target": "gpu"}, {"precision": "fp8"}, {"allow_mask": 2.0}])
def test_what_makes_no_sense_is_refused(tmp_path: Path, options: Any) -> None:
    with pytest.raises(segdiff.InputError):
        asked(segmenter(), tmp_path, **options)


def test_a_file_that_does_not_run_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(segdiff.SegdiffError):
        asked(segmenter(), tmp_path, image((1, 3, 16, 25)))


def test_what_the_engine_says_is_said_of_the_users_file(tmp_path: Path) -> None:
    """What runs is a copy in a folder that is gone when somebody reads the message."""
    net = Net()
    made = net.node("Reshape", net.conv("x", (3, 4)), net.constant([1, 4, 7, 7], np.int64))
    with pytest.raises(segdiff.EngineError) as raised:
        asked(net.model(net.node("Relu", made)), tmp_path)
    assert str(next(tmp_path.glob("**/*.onnx"))) in str(raised.value)
    assert "segdiff-" not in str(raised.value)


@pytest.mark.parametrize("opset", [7, 9, 10, 12])
def test_old_files_are_asked_as_well(tmp_path: Path, opset: int) -> None:
    net = Net(opset=opset)
    made = net.node("Relu", net.batch_norm(net.conv("x", (3, 8)), 8))
    report = asked(net.model(net.conv(made, (8, 4))), tmp_path)
    assert report.measured == len(report.ops) == 4
    assert report.cost is not None and 1e-5 < report.cost.rel_l2 < 1e-2


def test_branches_and_recurrent_layers_are_rounded_at_their_end(tmp_path: Path) -> None:
    net = Net((5, 2, 3))
    weights = net.weight(1, 16, 3), net.weight(1, 16, 4)
    net.node("LSTM", "x", *weights, outputs=["y", "last"], hidden_size=4)
    report = asked(net.model("y", "last"), tmp_path, image((5, 2, 3)))
    assert report.verdict == "keeps" and report.measured == len(report.ops) == 2


def test_a_loop_that_counts_beside_its_floats(tmp_path: Path) -> None:
    body = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Mul", ["state", "factor"], ["next"]),
            onnx.helper.make_node("Add", ["count", "one"], ["more"]),
            onnx.helper.make_node("Identity", ["go"], ["on"]),
        ],
        "body",
        [
            onnx.helper.make_tensor_value_info("turn", onnx.TensorProto.INT64, []),
            onnx.helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
            onnx.helper.make_tensor_value_info("count", onnx.TensorProto.INT64, [1]),
            onnx.helper.make_tensor_value_info("state", onnx.TensorProto.FLOAT, [2, 3]),
        ],
        [
            onnx.helper.make_tensor_value_info("on", onnx.TensorProto.BOOL, []),
            onnx.helper.make_tensor_value_info("more", onnx.TensorProto.INT64, [1]),
            onnx.helper.make_tensor_value_info("next", onnx.TensorProto.FLOAT, [2, 3]),
        ],
    )
    net = Net((2, 3))
    net.constant(1.1, name="factor"), net.constant([1], np.int64, name="one")
    turns, first = net.constant(3, np.int64), net.constant([0], np.int64)
    net.node("Loop", turns, "", first, "x", outputs=["counted", "state3"], body=body)
    model = net.model("counted", "state3", types={"counted": onnx.TensorProto.INT64})
    report = asked(model, tmp_path, image((2, 3)))
    assert [op.value for op in report.ops if op.nodes] == ["state3"]
    assert report.cost is not None and 1e-5 < report.cost.rel_l2 < 1e-3


@pytest.mark.parametrize("target", ["generic", "ascend310p", "ascend910b", "tensorrt"])
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_every_target_is_simulated(tmp_path: Path, target: str, precision: Any) -> None:
    report = asked(segmenter(), tmp_path, target=target, precision=precision)
    assert report.cost is not None
    low, high = (1e-4, 5e-3) if precision == "fp16" else (1e-3, 3e-2)
    assert low < report.cost.rel_l2 < high


def test_a_large_model_is_asked_with_its_outputs_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = asked(segmenter(), tmp_path)
    monkeypatch.setattr("segdiff.half.bench.WIDE", 0)
    monkeypatch.setattr("segdiff.half.measure.LITERAL", 0)
    large = asked(segmenter(), tmp_path)
    assert plain.cost is not None and large.cost is not None
    assert large.cost.rel_l2 == pytest.approx(plain.cost.rel_l2, rel=1e-3)
    assert large.runs < plain.runs and large.measured < len(large.ops)
    assert large.largest_unmeasured is not None and 0 < large.largest_unmeasured < 1
    check(large.to_dict())
