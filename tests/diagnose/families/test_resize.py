"""Resize: each mode of Paddle's own kernels against nodes that do something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from onnx import ModelProto

import segdiff
from tests.diagnose.in_process import Array, against, cause, outputs_of, paddle_op, planted
from tests.models import Net, image, save

SHAPE = (1, 3, 8, 12)


def resized(
    opset: int = 17,
    size: tuple[int, int] | None = None,
    scale: float = 1.7,
    shape: tuple[int, ...] = SHAPE,
    **settings: Any,
) -> ModelProto:
    """A model that is one Resize (Upsample before opset 10), by sizes or by a scale."""
    net = Net(shape, opset=opset)
    scales = [1.0, 1.0, scale, scale] if size is None else [1, 1, *np.divide(size, shape[2:])]
    if opset < 11:
        word = "Upsample" if opset < 10 else "Resize"
        return net.model(net.node(word, "x", net.constant(scales), mode=settings.get("mode", "nearest")))
    operands = ["", net.constant(scales)]
    if size is not None:
        empty = net.constant(np.zeros(0)) if opset < 13 else ""
        operands = [
            net.constant(np.zeros(0)) if opset < 13 else "",
            empty,
            net.constant([*shape[:2], *size], np.int64),
        ]
    return net.model(net.node("Resize", "x", *operands, **settings))


LINEAR = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
CUBIC = {"mode": "cubic", "coordinate_transformation_mode": "half_pixel"}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (LINEAR, "resize.coordinate_mode"),
        (LINEAR, "resize.mode"),
        (LINEAR, "resize.scale"),
        (NEAREST, "resize.coordinate_mode"),
        (NEAREST, "resize.nearest_rounding"),
        (NEAREST, "resize.mode"),
        (CUBIC, "resize.coordinate_mode"),
        (CUBIC, "resize.cubic_coefficient"),
        (CUBIC, "resize.mode"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_planted_fault_is_named_and_proven(
    settings: dict[str, Any], kind: str, seed: int, tmp_path: Path
) -> None:
    found = planted(resized(**settings), kind, {"x": image(SHAPE)}, tmp_path, seed)
    assert (found.kind, found.proven) == (kind, True)


def paddles(x: Array, mode: str, aligned: bool, align_mode: int, **target: Any) -> Array:
    """What Paddle itself makes of it."""
    out = paddle.nn.functional.interpolate(
        paddle.to_tensor(x), mode=mode, align_corners=aligned, align_mode=align_mode, **target
    )
    return np.asarray(out.numpy())


def asked(mode: str, aligned: bool, align_mode: int, scale: list[float] | None = None) -> dict[str, Any]:
    return {"interp_method": mode, "align_corners": aligned, "align_mode": align_mode, "scale": scale or []}


@pytest.mark.parametrize(
    ("mode", "aligned", "align_mode", "wrong"),
    [
        ("bilinear", False, 0, {**LINEAR, "coordinate_transformation_mode": "align_corners"}),
        ("bilinear", False, 1, LINEAR),
        ("bilinear", True, 0, LINEAR),
        ("nearest", False, 0, {**NEAREST, "coordinate_transformation_mode": "half_pixel"}),
        ("bicubic", False, 0, {**CUBIC, "coordinate_transformation_mode": "asymmetric"}),
        ("bicubic", True, 0, CUBIC),
    ],
)
@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("size", [(13, 31), (5, 7)])
def test_paddles_coordinates(
    mode: str,
    aligned: bool,
    align_mode: int,
    wrong: dict[str, Any],
    opset: int,
    size: tuple[int, int],
    tmp_path: Path,
) -> None:
    x = image(SHAPE)
    reference = paddle_op(f"{mode}_interp_v2", {"X": None}, asked(mode, aligned, align_mode))
    faulty = resized(opset, size, **wrong)
    truth = {faulty.graph.output[0].name: paddles(x, mode, aligned, align_mode, size=size)}
    found = cause(reference, faulty, {"x": x}, truth, tmp_path)
    assert (found.kind, found.proven) == ("resize.coordinate_mode", True), found.text
    assert found.hypothesis is not None and found.hypothesis.expected


@pytest.mark.parametrize(
    ("mode", "aligned", "align_mode"),
    [("bilinear", False, 0), ("bilinear", True, 0), ("bilinear", True, 1)],
)
@pytest.mark.parametrize("opset", [9, 10])
@pytest.mark.parametrize("target", [{"size": (16, 30)}, {"scale_factor": [2.0, 2.0]}])
def test_coordinates_that_the_opset_does_not_know(
    mode: str, aligned: bool, align_mode: int, opset: int, target: dict[str, Any], tmp_path: Path
) -> None:
    """Upsample and Resize-10 are asymmetric; anything else is written as products with matrices."""
    x = image(SHAPE)
    reference = paddle_op(
        f"{mode}_interp_v2", {"X": None}, asked(mode, aligned, align_mode, target.get("scale_factor"))
    )
    faulty = resized(opset, target.get("size"), 2.0, mode="linear")
    truth = {faulty.graph.output[0].name: paddles(x, mode, aligned, align_mode, **target)}
    found = cause(reference, faulty, {"x": x}, truth, tmp_path)
    assert (found.kind, found.proven) == ("resize.coordinate_mode", True), found.text


def test_paddles_scale_is_not_the_ratio_of_the_sizes(tmp_path: Path) -> None:
    """Paddle maps coordinates by the scale it was given; a converter that writes sizes changes them."""
    x = image(SHAPE)
    reference = paddle_op(
        "bilinear_interp", {"x": None}, asked("bilinear", False, 0, [1.7, 1.7]), format="pir"
    )
    truth = paddles(x, "bilinear", False, 0, scale_factor=[1.7, 1.7])
    faulty = resized(17, truth.shape[2:], **LINEAR)
    out = faulty.graph.output[0].name
    found = cause(reference, faulty, {"x": x}, {out: truth}, tmp_path)
    assert (found.kind, found.proven) == ("resize.scale", True)


def test_a_side_of_one_pixel_is_the_first(tmp_path: Path) -> None:
    """Paddle takes the first pixel where ONNX's half_pixel takes the middle."""
    x = image(SHAPE)
    reference = paddle_op("bilinear_interp_v2", {"X": None}, asked("bilinear", False, 0))
    faulty = resized(17, (1, 1), **LINEAR)
    truth = {faulty.graph.output[0].name: paddles(x, "bilinear", False, 0, size=(1, 1))}
    found = cause(reference, faulty, {"x": x}, truth, tmp_path)
    assert (found.kind, found.proven) == ("resize.coordinate_mode", True)
    assert "pytorch_half_pixel" in found.text


def test_a_nearest_pixel_lost_in_rounding(tmp_path: Path) -> None:
    """14 to 2 pixels: 1 / float32(2 / 14) is 6.9999995, so onnxruntime takes pixel 6 where Paddle takes 7."""
    x = image((1, 3, 14, 14))
    reference = paddle_op("nearest_interp_v2", {"X": None}, asked("nearest", False, 0))
    faulty = resized(17, (2, 2), shape=x.shape, **NEAREST)
    truth = paddles(x, "nearest", False, 0, size=(2, 2))
    assert np.array_equal(truth, x[:, :, ::7, ::7])
    found = cause(reference, faulty, {"x": x}, {faulty.graph.output[0].name: truth}, tmp_path)
    assert (found.kind, found.proven) == ("resize.nearest_rounding", True)
    assert "pixel 6" in found.text


def test_antialias_against_another_onnx_model(tmp_path: Path) -> None:
    healthy, faulty = (resized(18, (5, 7), antialias=on, **LINEAR) for on in (1, 0))
    found = against(healthy, faulty, {"x": image(SHAPE)}, tmp_path)
    assert (found.kind, found.proven) == ("resize.antialias", True)


def test_a_parameter_is_resized_like_any_tensor(tmp_path: Path) -> None:
    """A positional embedding: the Resize reads a parameter, and its result is added to the tokens."""

    def model(coordinates: str) -> ModelProto:
        net = Net((1, 4, 10, 14))
        small = net.weight(1, 4, 5, 7)
        options = {**CUBIC, "coordinate_transformation_mode": coordinates}
        return net.model(net.node("Add", "x", net.resize(small, **options)))

    found = against(model("half_pixel"), model("align_corners"), {"x": image((1, 4, 10, 14))}, tmp_path)
    assert (found.kind, found.proven) == ("resize.coordinate_mode", True)


def test_the_reference_says_how_it_resizes_a_parameter(tmp_path: Path) -> None:
    """End to end: such a resize is no step of its own, it belongs to what reads its result."""
    files = []
    for coordinates in ("half_pixel", "align_corners"):
        net = Net((1, 4, 10, 14))
        small = net.resize(net.weight(1, 4, 5, 7), **{**CUBIC, "coordinate_transformation_mode": coordinates})
        model = net.model(net.node("Relu", net.node("Add", net.conv("x", (4, 4)), small)))
        files.append(save(model, tmp_path / f"{coordinates}.onnx"))
    (origin,) = segdiff.locate(*files, image((1, 4, 10, 14)), timeout=60).origins
    assert origin.cause is not None
    assert (origin.cause.kind, origin.cause.proven) == ("resize.coordinate_mode", True)
    assert "where the reference has half_pixel" in origin.cause.text


def test_blur_is_no_setting(tmp_path: Path) -> None:
    x = image(SHAPE)
    reference = paddle_op("bilinear_interp_v2", {"X": None}, asked("bilinear", False, 0))
    model = resized(17, (16, 24), **LINEAR)
    out = model.graph.output[0].name
    truth = outputs_of(model, {"x": x})[out]
    truth = (truth + np.roll(truth, 1, axis=3)) / 2
    assert not cause(reference, model, {"x": x}, {out: truth}, tmp_path).proven
