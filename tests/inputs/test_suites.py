"""The configs that PaddleDetection, PaddleX, PaddleOCR and PaddleClas export: what they say is what is fed.

The expected tensors are made by hand, a few lines of NumPy and OpenCV each, as those suites' code does it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

import segdiff
from segdiff.core.errors import InputError
from segdiff.inputs import InputSpec, compare_inputs, prepare, read_deploy_yaml
from segdiff.readers import find
from tests.models import Net, save

Array = np.ndarray[Any, Any]
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
ANY = InputSpec("image", (None, 3, None, None), "float32")
HIGH, WIDE = 71, 123


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    noise = np.random.default_rng(3).integers(0, 256, (12, 20, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "street.png"), cv2.resize(noise, (WIDE, HIGH)))
    return tmp_path / "street.png"


def written(folder: Path, name: str, content: Any) -> Path:
    (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / name


def detection(*operators: dict[str, Any]) -> dict[str, Any]:
    return {"mode": "paddle", "arch": "PicoDet", "Preprocess": list(operators), "label_list": ["a", "b"]}


def ops(*operators: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {**sections, "PreProcess": {"transform_ops": list(operators)}, "PostProcess": {"name": "None"}}


def rgb(path: Path) -> Array:
    return cv2.imread(str(path))[..., ::-1]


def chw(image: Array) -> Array:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None]).astype(np.float32)


def imagenet(image: Array) -> Array:
    return (image.astype(np.float32) / 255 - MEAN) / STD


DECODE = {"DecodeImage": {"img_mode": "BGR", "channel_first": False}}
NORMALIZE = {"NormalizeImage": {**IMAGENET, "scale": "1./255.", "order": "hwc"}}
DET_NORMALIZE = {"type": "NormalizeImage", "is_scale": True, "norm_type": "mean_std", **IMAGENET}


def det_resize(image: Array, height: int, width: int, interp: int) -> Array:
    return cv2.resize(
        image, None, fx=width / image.shape[1], fy=height / image.shape[0], interpolation=interp
    )


def det_keep(image: Array) -> Array:
    scale = min(64 / min(image.shape[:2]), 96 / max(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=2)


def padded(image: Array, height: int, width: int, fill: float = 0.0) -> Array:
    canvas = np.full((height, width, 3), fill, np.float32)
    canvas[: image.shape[0], : image.shape[1]] = image
    return canvas


def stride(image: Array) -> Array:
    return padded(image, *(math.ceil(side / 32) * 32 for side in image.shape[:2]))


def letter_box(image: Array) -> Array:
    ratio = min(96 / HIGH, 96 / WIDE)
    size = round(WIDE * ratio), round(HIGH * ratio)
    high = (96 - size[1]) / 2
    inner = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    edges = round(high - 0.1), round(high + 0.1), 0, 0
    return cv2.copyMakeBorder(inner, *edges, cv2.BORDER_CONSTANT, value=(127.5,) * 3)


def line_of_text(image: Array, width: int) -> Array:
    inner = min(math.ceil(48 * WIDE / HIGH), width)
    line = (cv2.resize(image, (inner, 48)).astype(np.float32) / 255 - 0.5) / 0.5
    return padded(line, 48, width)


def centre(image: Array, size: int) -> Array:
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]


CASES: dict[str, tuple[str, dict[str, Any], Callable[[Path], Array]]] = {
    "detection stretched": (
        "infer_cfg.yml",
        detection(
            {"type": "Resize", "target_size": [64, 96], "keep_ratio": False, "interp": 2},
            DET_NORMALIZE,
            {"type": "Permute"},
        ),
        lambda path: chw(imagenet(det_resize(rgb(path), 64, 96, 2))),
    ),
    "detection keeps the ratio and is padded to a stride": (
        "infer_cfg.yml",
        detection(
            {"type": "Resize", "target_size": [64, 96], "keep_ratio": True, "interp": 2},
            DET_NORMALIZE,
            {"type": "Permute"},
            {"type": "PadStride", "stride": 32},
        ),
        lambda path: chw(stride(imagenet(det_keep(rgb(path))))),
    ),
    "detection not scaled, no mean": (
        "infer_cfg.yml",
        detection(
            {"type": "Resize", "target_size": 64, "keep_ratio": False, "interp": 0},
            {"type": "NormalizeImage", "is_scale": False, "norm_type": "none", **IMAGENET},
            {"type": "Permute"},
        ),
        lambda path: chw(det_resize(rgb(path), 64, 64, 0)),
    ),
    "detection is_scale alone, padded with grey": (
        "infer_cfg.yml",
        detection(
            {"type": "Resize", "target_size": [64, 96], "keep_ratio": True, "interp": 1},
            {"type": "Pad", "size": [96, 128], "fill_value": [114.0, 114.0, 114.0]},
            {"type": "NormalizeImage", "is_scale": True, "mean": [0, 0, 0], "std": [1, 1, 1]},
            {"type": "Permute"},
        ),
        lambda path: chw(
            padded(
                cv2.resize(rgb(path), None, fx=min(64 / HIGH, 96 / WIDE), fy=min(64 / HIGH, 96 / WIDE)),
                96,
                128,
                114.0,
            )
            / 255
        ),
    ),
    "detection letter box": (
        "infer_cfg.yml",
        detection({"type": "LetterBoxResize", "target_size": [96, 96]}, DET_NORMALIZE, {"type": "Permute"}),
        lambda path: chw(imagenet(letter_box(rgb(path)))),
    ),
    "paddlex segmentation": (
        "inference.yml",
        ops(
            {"Resize": {"target_size": [96, 64], "keep_ratio": False, "interp": "LINEAR"}},
            {"Normalize": dict(IMAGENET)},
            {"ToCHWImage": None},
            Global={"model_name": "PP-LiteSeg-T"},
        ),
        lambda path: chw(imagenet(cv2.resize(rgb(path), (96, 64)))),
    ),
    "paddlex reads BGR where it says so": (
        "inference.yml",
        ops(
            {"ReadImage": {"format": "BGR"}},
            {"Resize": {"target_size": 64, "interp": "BICUBIC"}},
            {"Normalize": {"mean": 0.5, "std": 0.5}},
            {"ToCHWImage": None},
        ),
        lambda path: chw(cv2.resize(cv2.imread(str(path)), (64, 64), interpolation=2) / 127.5 - 1),
    ),
    "clas": (
        "inference.yml",
        ops(
            {"ResizeImage": {"resize_short": 80}},
            {"CropImage": {"size": 64}},
            {"NormalizeImage": {**IMAGENET, "channel_num": 3, "order": "", "scale": 0.00392157}},
            {"ToCHWImage": None},
            Global={"model_name": "PP-LCNet_x1_0"},
        ),
        lambda path: chw(imagenet(centre(cv2.resize(rgb(path), (round(WIDE * (80.0 / HIGH)), 80)), 64))),
    ),
    "clas by PIL": (
        "inference.yml",
        ops(
            {"ResizeImage": {"size": [80, 64], "interpolation": "bicubic", "backend": "pil"}},
            {"NormalizeImage": {"scale": "1.0/255.0", "mean": [0, 0, 0], "std": [1, 1, 1]}},
            {"ToCHWImage": None},
        ),
        lambda path: chw(_pil(rgb(path), (80, 64)) / np.float32(255)),
    ),
    "ocr detector by its longer side, as PaddleX reads it": (
        "inference.yml",
        ops(
            DECODE,
            {"DetLabelEncode": None},
            {"DetResizeForTest": {"resize_long": 96}},
            NORMALIZE,
            {"ToCHWImage": None},
            {"KeepKeys": {"keep_keys": ["image", "shape"]}},
            Global={"model_name": "PP-OCRv5_mobile_det"},
        ),
        lambda path: chw(imagenet(cv2.resize(cv2.imread(str(path)), (96, 64)))),
    ),
    "ocr detector by its longer side, as PaddleOCR reads it": (
        "inference.yml",
        ops(DECODE, {"DetResizeForTest": {"resize_long": 96}}, NORMALIZE, {"ToCHWImage": None}),
        lambda path: chw(imagenet(cv2.resize(cv2.imread(str(path)), (128, 128)))),
    ),
    "ocr detector to a shape": (
        "inference.yml",
        ops(DECODE, {"DetResizeForTest": {"image_shape": [64, 128]}}, NORMALIZE, {"ToCHWImage": None}),
        lambda path: chw(imagenet(cv2.resize(cv2.imread(str(path)), (128, 64)))),
    ),
    "ocr detector by its shorter side": (
        "inference.yml",
        ops(
            DECODE,
            {"DetResizeForTest": {"limit_side_len": 96, "limit_type": "min"}},
            NORMALIZE,
            {"ToCHWImage": None},
        ),
        lambda path: chw(imagenet(cv2.resize(cv2.imread(str(path)), (160, 96)))),
    ),
    "ocr line": (
        "inference.yml",
        ops(DECODE, {"MultiLabelEncode": None}, {"RecResizeImg": {"image_shape": [3, 48, 160]}}),
        lambda path: chw(line_of_text(cv2.imread(str(path)), 160)),
    ),
    "ocr line, as PaddleX lets it grow": (
        "inference.yml",
        ops(
            DECODE,
            {"RecResizeImg": {"image_shape": [3, 48, 64]}},
            Global={"model_name": "PP-OCRv5_mobile_rec"},
        ),
        lambda path: chw(line_of_text(cv2.imread(str(path)), int(48 * (WIDE / HIGH)))),
    ),
}


def _pil(image: Array, size: tuple[int, int]) -> Array:
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BICUBIC))


@pytest.mark.parametrize("name", CASES)
def test_what_the_config_says_is_what_is_fed(name: str, picture: Path) -> None:
    file, content, by_hand = CASES[name]
    config = read_deploy_yaml(written(picture.parent, file, content))
    assert config.cannot is None
    prepared = prepare(picture, (ANY,), config)
    wanted, made = by_hand(picture), prepared.tensors["image"]
    assert made.shape == wanted.shape
    assert np.abs(made - wanted).max() <= 2e-6 * np.abs(wanted).max()
    assert prepared.assumed is None
    assert compare_inputs(prepared, wanted, config).same


@pytest.mark.parametrize("name", CASES)
def test_one_mistake_is_one_finding(name: str, picture: Path) -> None:
    """The channels the other way round, before the constants; whatever else the config says."""
    file, content, by_hand = CASES[name]
    config = read_deploy_yaml(written(picture.parent, file, content))
    reference = prepare(picture, (ANY,), config)
    turned = picture.with_name("turned.png")
    cv2.imwrite(str(turned), cv2.imread(str(picture))[..., ::-1])
    found = compare_inputs(reference, by_hand(turned), config)
    assert [finding.kind for finding in found.findings] == ["input.channel_order"]
    assert found.proven and found.accused
    ours, theirs = ("BGR", "RGB") if config.order == "BGR" else ("RGB", "BGR")
    assert f"fed {theirs}, the reference {ours}" in found.findings[0].text


def test_constants_and_resize_are_found_beside_a_config(picture: Path) -> None:
    config = read_deploy_yaml(written(picture.parent, *CASES["ocr detector to a shape"][:2]))
    reference = prepare(picture, (ANY,), config)
    image = cv2.imread(str(picture))
    plain = chw(cv2.resize(image, (128, 64)) / np.float32(255))
    assert [f.kind for f in compare_inputs(reference, plain, config).findings] == ["input.mean_std"]
    nearest = chw(imagenet(cv2.resize(image, (128, 64), interpolation=cv2.INTER_NEAREST)))
    assert [f.kind for f in compare_inputs(reference, nearest, config).findings] == ["input.interpolation"]
    floats = chw(imagenet(cv2.resize(image.astype(np.float32), (128, 64))))
    assert [f.kind for f in compare_inputs(reference, floats, config).findings] == ["input.resize_dtype"]


def test_a_ready_tensor_takes_the_constants_from_the_config(picture: Path) -> None:
    name = "ocr detector to a shape"
    config = read_deploy_yaml(written(picture.parent, *CASES[name][:2]))
    tensor = CASES[name][2](picture)
    reference = prepare(tensor, (ANY,), config)
    scaled = (tensor * STD[:, None, None] + MEAN[:, None, None]).astype(np.float32)
    assert [f.kind for f in compare_inputs(reference, scaled, config).findings] == ["input.mean_std"]


def test_the_other_inputs_of_a_detector(picture: Path) -> None:
    config = read_deploy_yaml(
        written(picture.parent, *CASES["detection keeps the ratio and is padded to a stride"][:2])
    )
    specs = (
        InputSpec("im_shape", (1, 2), "float32"),
        ANY,
        InputSpec("scale_factor", (1, 2), "float32"),
    )
    tensors = prepare(picture, specs, config).tensors
    assert list(tensors) == ["im_shape", "image", "scale_factor"]
    scale = min(64 / HIGH, 96 / WIDE)
    assert tensors["im_shape"].tolist() == [[round(HIGH * scale), round(WIDE * scale)]]
    assert tensors["scale_factor"][0] == pytest.approx([scale, scale])


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("infer_cfg.yml", detection({"type": "WarpAffine", "keep_res": True}), "WarpAffine"),
        ("infer_cfg.yml", detection({"type": "Resize", "target_size": 64, "tilt": 3}), "tilt"),
        ("inference.yml", ops({"DecodeImage": {"img_mode": "GRAY"}}), "GRAY"),
        ("inference.yml", ops({"Mosaic": None}), "Mosaic"),
    ],
)
def test_what_segdiff_does_not_apply_is_said_and_assumed(
    file: str, content: Any, told: str, picture: Path
) -> None:
    config = read_deploy_yaml(written(picture.parent, file, content))
    prepared = prepare(picture, (InputSpec("x", (1, 3, 64, 96), "float32"),), config)
    assert prepared.assumed is not None
    assert told in prepared.assumed and str(config.path) in prepared.assumed


@pytest.mark.parametrize(
    "content",
    [
        detection({"type": "Pad", "size": [8, 8]}),
        detection({"type": "Resize", "target_size": [0, 0], "keep_ratio": False}),
        detection({"type": "Resize", "target_size": "large"}),
        ops({"ResizeImage": {"size": None}}),
        ops({"CropImage": {"size": 4096}}),
        ops({"Resize": {"target_size": 64, "interp": "SOMEHOW"}}),
        ops({"RecResizeImg": {"image_shape": 48}}),
        ops({"NormalizeImage": {"mean": [1, 2]}}, DECODE),
    ],
)
def test_parameters_that_make_no_sense_name_the_file(content: Any, picture: Path) -> None:
    config = read_deploy_yaml(written(picture.parent, "inference.yml", content))
    with pytest.raises(InputError, match=r"inference\.yml"):
        prepare(picture, (ANY,), config)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"Preprocess": 3}, "not a list"),
        ({"Preprocess": [{"target_size": 3}]}, "has no type"),
        (ops({"Resize": 3}), "not a mapping"),
        (ops({"Resize": {}, "Normalize": {}}), "not written as a name"),
    ],
)
def test_lists_that_are_none_name_the_file(content: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told) as caught:
        read_deploy_yaml(written(tmp_path, "inference.yml", content))
    assert "inference.yml" in str(caught.value)


# --- beside a model


def small(folder: Path) -> Path:
    net = Net((1, 3, 64, 96), name="image")
    folder.mkdir(exist_ok=True)
    return save(
        net.model(net.conv(net.node("Relu", net.conv("image", (3, 4))), (4, 2))), folder / "model.onnx"
    )


@pytest.mark.parametrize("name", ["inference.yml", "infer_cfg.yml", "inference.json"])
def test_the_config_beside_a_model_is_found(name: str, tmp_path: Path) -> None:
    small(tmp_path / "export")
    (tmp_path / "export" / name).write_text("{}")
    assert find(tmp_path / "export" / "model.onnx").deploy_yaml == tmp_path / "export" / name
    (tmp_path / "export" / "deploy.yaml").write_text("Deploy: {}")
    assert find(tmp_path / "export" / "model.onnx").deploy_yaml == tmp_path / "export" / "deploy.yaml"


def test_a_program_of_paddle_3_is_no_config(tmp_path: Path) -> None:
    (tmp_path / "inference.json").write_text('{"base_code": {"magic": "pir", "version": 1}, "program": {}}')
    (tmp_path / "inference.yml").write_text("Global: {}")
    files = find(tmp_path)
    assert (files.program.name, files.deploy_yaml) == ("inference.json", tmp_path / "inference.yml")
    (tmp_path / "inference.yml").unlink()
    assert find(tmp_path).deploy_yaml is None


SCRIPT = """
import cv2
import numpy as np

def preprocess(path):
    picture = cv2.imread(path){turn}
    picture = cv2.resize(picture, (96, 64)).astype(np.float32) / 255
    mean, std = np.array([.485, .456, .406], "f4"), np.array([.229, .224, .225], "f4")
    return ((picture - mean) / std).transpose(2, 0, 1)[None]
"""


@pytest.mark.parametrize(
    ("config", "turn", "verdict"),
    [
        ("paddlex segmentation", "[..., ::-1]", "agrees"),
        ("paddlex segmentation", "", "diverges"),
        (None, "", "agrees"),
        (None, "[..., ::-1]", "agrees"),
    ],
)
def test_an_accusation_needs_a_config(config: str | None, turn: str, verdict: str, picture: Path) -> None:
    folder = picture.parent
    ours, theirs = small(folder / "ours"), small(folder / "theirs")
    if config is not None:
        written(folder / "ours", *CASES[config][:2])
    (folder / "infer.py").write_text(SCRIPT.format(turn=turn))
    report = segdiff.locate(
        ours, theirs, picture, candidate_input=f"{folder / 'infer.py'}:preprocess", timeout=60, deployed=False
    )
    assert report.verdict == verdict
    told = report.to_dict()["input"]
    assert told["assumed"] is (config is None)
    assert told["same"] is (config is not None and verdict == "agrees")
    assert [cause["kind"] for cause in told["causes"]] == ["input.channel_order"] * (verdict == "diverges")
    assert bool(told["differences"]) is (config is None)
    assert ("input" in report.homes) is (verdict == "diverges")
    if config is None:
        assert "nothing beside the models says which is right" in report.sentence
        assert "PaddleSeg's defaults were assumed" in (report.assumed or "")


def test_evaluate_goes_the_way_back(picture: Path) -> None:
    """The mask returns to the picture's size through the operators of the config."""
    folder = picture.parent
    model = small(folder / "export")
    written(folder / "export", *CASES["paddlex segmentation"][:2])
    (folder / "labels").mkdir()
    label = np.random.default_rng(0).integers(0, 2, (HIGH, WIDE)).astype(np.uint8)
    cv2.imwrite(str(folder / "labels" / "street.png"), label)
    report = segdiff.evaluate(model, model, picture, labels=folder / "labels", timeout=60)
    assert (report.verdict, report.images, report.labelled) == ("agrees", 1, 1)
    assert not any("assumed" in remark for remark in report.remarks)
