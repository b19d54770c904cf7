"""Is it told what a device may read otherwise, and is nothing said of what all read alike?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.elsewhere import DeviceRemark
from segdiff.finding.read_otherwise import read_otherwise
from segdiff.readers.onnx import read
from segdiff.report.forms import shown
from tests.models import IMAGE, Dims, Net, classified, image, save, segmenter


def found(model: onnx.ModelProto, folder: Path) -> dict[str, DeviceRemark]:
    """The remarks on a model's operators, by kind; those on its ends with them."""
    model = onnx.shape_inference.infer_shapes(model)
    return {remark.kind: remark for remark in read_otherwise(read(save(model, folder / "m.onnx")))}


def of_one(
    operator: str, *more: Any, shape: Dims = IMAGE, opset: int = 17, **attributes: Any
) -> onnx.ModelProto:
    """A model of one operator."""
    net = Net(shape, opset=opset)
    operands = [net.constant(each) if not isinstance(each, str) else each for each in more]
    return net.model(net.node(operator, "x", *operands, outputs=["y"], **attributes))


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize(
    ("opset", "axis", "shape", "told"),
    [
        (11, 1, IMAGE, True),
        (11, None, IMAGE, True),  # the default was 1
        (11, 3, IMAGE, False),
        (11, -1, IMAGE, False),
        (11, -3, IMAGE, True),
        (13, 1, IMAGE, False),
        (11, 1, (1, 10), False),
        (11, 1, (1, 10, 1, 1), False),  # what is behind the axis has one element
        (11, 1, ("N", 3, "H", "W"), True),
    ],
)
def test_softmax(
    operator: str, opset: int, axis: int | None, shape: Dims, told: bool, tmp_path: Path
) -> None:
    model = of_one(operator, shape=shape, opset=opset, **({} if axis is None else {"axis": axis}))
    remark = found(model, tmp_path).get("device.softmax_axis")
    assert (remark is not None) == told
    if remark:
        assert (
            operator in remark.text
            and "before opset 13" in remark.text
            and remark.nodes == (f"{operator}:y",)
        )


SCALES = np.array([1, 1, 2, 2], np.float32)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"mode": "linear", "coordinate_transformation_mode": "half_pixel"}, None),
        ({"mode": "linear", "coordinate_transformation_mode": "align_corners"}, None),
        ({"mode": "linear", "coordinate_transformation_mode": "asymmetric"}, "asymmetric"),
        ({"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, None),
        ({"mode": "nearest"}, "round_prefer_floor"),
        ({"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "ceil"}, "ceil"),
        ({"mode": "cubic"}, "cubic_coeff_a -0.75"),
        ({"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}, "tf_crop_and_resize"),
        ({"mode": "linear", "antialias": 1}, "antialias"),
    ],
)
def test_resize(settings: dict[str, Any], told: str | None, tmp_path: Path) -> None:
    remark = found(of_one("Resize", "", SCALES, opset=18, **settings), tmp_path).get("device.resize")
    assert (remark is None) == (told is None)
    assert remark is None or (told and told in remark.text)


def test_resizes_of_one_setting_are_one_remark(tmp_path: Path) -> None:
    net = Net()
    x = "x"
    for _ in range(5):
        x = net.resize(x, 1.5, coordinate_transformation_mode="asymmetric")
    model = net.model(net.resize(x, 2.0))
    (remark,) = [
        r for r in read_otherwise(read(save(model, tmp_path / "m.onnx"))) if r.kind == "device.resize"
    ]
    assert len(remark.nodes) == 5


@pytest.mark.parametrize(
    ("shape", "settings", "sure"),
    [
        ((1, 3, 16, 24), {"kernel_shape": [3, 3], "strides": [2, 2]}, True),  # one more at the end
        ((1, 3, 15, 23), {"kernel_shape": [3, 3], "strides": [2, 2]}, None),
        ((1, 3, 16, 24), {"kernel_shape": [3, 3]}, None),
        ((1, 3, "H", "W"), {"kernel_shape": [2, 2]}, True),
        ((1, 3, "H", "W"), {"kernel_shape": [3, 3]}, None),
        ((1, 3, "H", "W"), {"kernel_shape": [3, 3], "strides": [2, 2]}, False),
    ],
)
@pytest.mark.parametrize("side", ["SAME_UPPER", "SAME_LOWER"])
def test_padding(shape: Dims, settings: dict[str, Any], sure: bool | None, side: str, tmp_path: Path) -> None:
    remark = found(of_one("MaxPool", shape=shape, auto_pad=side, **settings), tmp_path).get(
        "device.same_pads"
    )
    assert (remark and remark.facts["sure"]) == sure
    assert remark is None or ("end" if side == "SAME_UPPER" else "beginning") in remark.text


def test_the_ends(tmp_path: Path) -> None:
    net = Net(("N", 3, 16, "W"))
    model = net.model(net.node("ArgMax", "x", outputs=["y"], axis=1), types={"y": onnx.TensorProto.INT64})
    remarks = found(model, tmp_path)
    assert remarks["device.int64_output"].nodes == ("y",)
    assert "x ?x3x16x?" in remarks["device.dynamic_axes"].text
    assert found(segmenter(), tmp_path) == {}


def test_a_report_tells_them_in_full_and_never_as_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = classified(rewritten=True)
    report = segdiff.locate(model, model, image())
    assert report.verdict == "agrees" and not report.origins
    kinds = [remark.kind for remark in report.device_remarks]
    assert kinds == ["device.softmax_axis", "device.dynamic_axes"]
    assert "device.softmax_axis" not in shown(report, "text", "short")
    assert "What a device may read otherwise" in shown(report, "text", "full")
    path = report.save(tmp_path / "r.json")
    again = segdiff.load(path)
    assert again.to_dict()["device_remarks"] == report.to_dict()["device_remarks"]
    assert main(["show", str(path), "--full", "--html", str(tmp_path / "r.html")]) == 0
    assert "[device.softmax_axis]" in " ".join(capsys.readouterr().out.split())
    assert "What a device may read otherwise" in (tmp_path / "r.html").read_text()


def test_one_that_was_read_without_its_facts_is_told_by_its_kind() -> None:
    assert DeviceRemark("device.softmax_axis", ("a",), {}).text == "device.softmax_axis"
    assert DeviceRemark("device.newer", ("a",), {"x": 1}).text == "device.newer"


def test_of_an_operator_that_a_device_computes_otherwise_it_is_told_in_short() -> None:
    from segdiff.core.device import DeviceInfo

    report = segdiff.locate(classified(rewritten=False), classified(rewritten=True), image())
    assert report.origins and "perhaps" not in shown(report, "text", "short")
    seen = replace(report, device=DeviceInfo(Path("dump"), "npy", "float16", 4, 4, 0, 0))
    told = " ".join(shown(seen, "text", "short").split())
    assert "perhaps Softmax with axis 1 of 4 before opset 13" in told


def test_the_report_on_half_precision_tells_them_as_well(tmp_path: Path) -> None:
    model = classified(rewritten=True)
    report = segdiff.precision(model, model, image())
    assert [remark.kind for remark in report.device_remarks] == ["device.softmax_axis", "device.dynamic_axes"]
    assert "device.softmax_axis" not in shown(report, "text", "short")
    assert "What a device may read otherwise" in shown(report, "text", "full")
    assert "the reference's model is not run" in " ".join(shown(report, "text", "short").split())
    assert segdiff.load(report.save(tmp_path / "half.json")) == report
