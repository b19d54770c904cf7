from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from segdiff.core.errors import InputError
from segdiff.inputs import DeployConfig, InputSpec, Prepared, prepare, read_deploy_yaml
from tests.inputs.pictures import noise, save, write

FREE = InputSpec("x", (None, 3, -1, -1), "float32")
FIXED = InputSpec("x", (1, 3, 64, 96), "float32")
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SEAFORMER = Path(__file__).parents[3] / "shared" / "seaformer_case"

Mapping = dict[str, Any]


def config(*transforms: tuple[str, Mapping], **rest: Any) -> DeployConfig:
    return DeployConfig(Path("deploy.yaml"), transforms=transforms, **rest)


def only(prepared: Prepared) -> np.ndarray[Any, Any]:
    (tensor,) = prepared.tensors.values()
    assert tensor.flags.c_contiguous
    return tensor


def by_hand(pixels: np.ndarray[Any, Any], size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """(pixels / 255 - 0.5) / 0.5 in RGB; every step is exact enough to be the same in float32."""
    resized = cv2.resize(np.ascontiguousarray(pixels[..., ::-1]).astype(np.float32), size)
    scaled = (resized / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    return scaled.transpose(2, 0, 1)[None]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return save(tmp_path / "street.png", noise(71, 123))


def test_without_a_config_to_the_models_own_size(picture: Path) -> None:
    prepared = prepare(str(picture), (FIXED,), None)
    assert np.array_equal(only(prepared), by_hand(noise(71, 123), (96, 64)))
    assert prepared.image is not None
    assert np.array_equal(prepared.image, noise(71, 123))
    assert prepared.how[0] == (
        f"Read {picture} with OpenCV {cv2.__version__} as BGR, 71x123 pixels (height x width)."
    )
    assert prepared.how[1] == (
        "No config that says how to prepare the picture lies beside the models, so PaddleSeg's defaults were "
        "assumed: RGB, resized to 64x96 (height x width; the model's own size), divided by 255, mean 0.5, "
        "std 0.5."
    )
    assert prepared.how[-1] == "Laid it out as (1, 3, 64, 96) float32 for input 'x'."


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((None, 3, None, None), (128, 64)),
        ((1, 3, 50, -1), (128, 50)),
        ((1, 3, -1, 50), (50, 64)),
        (None, (128, 64)),
    ],
)
def test_without_a_config_and_with_dynamic_sizes(
    picture: Path, shape: tuple[int | None, ...] | None, size: tuple[int, int]
) -> None:
    prepared = prepare(picture, (InputSpec("x", shape, "float32"),), None)
    assert np.array_equal(only(prepared), by_hand(noise(71, 123), size))
    assert "nothing states the size, so the picture's own, rounded to a multiple of 32" in prepared.how[1]


def test_a_config_without_transforms_still_states_the_size(picture: Path) -> None:
    silent = DeployConfig(Path("deploy.yaml"), input_shape=(1, 3, 48, 80))
    prepared = prepare(picture, (FREE,), silent)
    assert np.array_equal(only(prepared), by_hand(noise(71, 123), (80, 48)))
    assert "deploy.yaml lists no transforms" in prepared.how[1]
    assert "the config's input_shape" in prepared.how[1]


def test_with_a_config_in_its_order(picture: Path) -> None:
    both = config(("Resize", {"target_size": [96, 64]}), ("Normalize", {"mean": MEAN, "std": STD}))
    prepared = prepare(picture, (FIXED,), both)
    resized = cv2.resize(noise(71, 123)[..., ::-1].astype(np.float32), (96, 64))
    expected = ((resized / 255 - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)[None]
    np.testing.assert_allclose(only(prepared), expected, rtol=1e-5, atol=1e-6)
    assert prepared.how[1:3] == (
        "Applied the transforms of deploy.yaml as PaddleSeg 2.8.0 does.",
        "Turned it to float32 and BGR into RGB.",
    )
    assert sum(sentence.startswith("Applied ") for sentence in prepared.how) == 3


def test_no_transforms_leave_the_values(picture: Path) -> None:
    raw = only(prepare(picture, (FREE,), config()))
    assert np.array_equal(raw[0].transpose(1, 2, 0), noise(71, 123)[..., ::-1])


@pytest.mark.parametrize("settings", [None, config(("ResizeByShort", {"short_size": 40}), ("Normalize", {}))])
def test_array_and_file_give_the_same_tensor(
    tmp_path: Path, picture: Path, settings: DeployConfig | None
) -> None:
    np.save(tmp_path / "pixels.npy", noise(71, 123))
    from_file = only(prepare(picture, (FREE,), settings))
    assert np.array_equal(only(prepare(noise(71, 123), (FREE,), settings)), from_file)
    assert np.array_equal(only(prepare(tmp_path / "pixels.npy", (FREE,), settings)), from_file)


def test_a_grey_model(picture: Path, tmp_path: Path) -> None:
    spec = InputSpec("x", (1, 1, 64, 96), "float32")
    grey = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    prepared = prepare(picture, (spec,), None)
    expected = (cv2.resize(grey.astype(np.float32), (96, 64)) / np.float32(255) - np.float32(0.5)) * 2
    assert np.array_equal(only(prepared)[0, 0], expected)
    assert "grey" in prepared.how[0]
    assert prepared.image is not None
    assert prepared.image.shape == (71, 123, 3)
    assert np.array_equal(only(prepare(grey, (spec,), None)), only(prepared))
    one = config(("Resize", {"target_size": [96, 64]}), ("Normalize", {}), img_channels=1)
    assert np.array_equal(only(prepare(picture, (spec,), one)), only(prepared))


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_float_models(picture: Path, dtype: str) -> None:
    prepared = prepare(picture, (InputSpec("x", (1, 3, 64, 96), dtype),), None)
    assert only(prepared).dtype == dtype
    assert prepared.how[-1] == f"Laid it out as (1, 3, 64, 96) {dtype} for input 'x', cast from float32."


def test_a_uint8_model_takes_whole_numbers_only(picture: Path) -> None:
    spec = InputSpec("x", (None, 3, None, None), "uint8")
    assert np.array_equal(
        only(prepare(picture, (spec,), config()))[0].transpose(1, 2, 0), noise(71, 123)[..., ::-1]
    )
    with pytest.raises(InputError, match=r"wants uint8, but the preprocessed picture has values"):
        prepare(picture, (spec,), None)


def test_ready_tensors(tmp_path: Path) -> None:
    ready = np.random.default_rng(1).normal(size=(1, 3, 64, 96)).astype(np.float32)
    np.save(tmp_path / "x.npy", ready)
    np.savez(tmp_path / "x.npz", x=ready)
    for given in (ready, ready.astype(np.float64), tmp_path / "x.npy", tmp_path / "x.npz", {"x": ready}):
        prepared = prepare(given, (FIXED,), config(("Normalize", {})))
        assert np.array_equal(only(prepared), ready)
        assert prepared.image is None
        assert prepared.how[-1] == (
            "The transforms of deploy.yaml were not applied, because ready tensors were given."
        )
    batch = np.zeros((4, 6, 5, 7), np.float32)
    assert only(prepare(batch, (InputSpec("x", (-1, 6, None, None), "float32"),), None)).shape == batch.shape
    frame = np.zeros((5, 7, 3), np.uint8)
    assert only(prepare(frame, (InputSpec("x", (None, None, 3), "uint8"),), None)).shape == frame.shape


def test_inputs_of_detection_models(picture: Path) -> None:
    specs = (
        InputSpec("im_shape", (None, 2), "float32"),
        InputSpec("image", (None, 3, 64, 128), "float32"),
        InputSpec("scale_factor", (1, 2), "float32"),
    )
    steps = config(
        ("ResizeByLong", {"long_size": 96}), ("Padding", {"target_size": [128, 64]}), ("Normalize", {})
    )
    prepared = prepare(picture, specs, steps)
    assert list(prepared.tensors) == ["im_shape", "image", "scale_factor"]
    assert prepared.tensors["im_shape"].tolist() == [[55, 96]]
    assert np.array_equal(prepared.tensors["scale_factor"], np.float32([[55 / 71, 96 / 123]]))
    assert "Set 'im_shape' to [55.0, 96.0] (height, width), as PaddleDetection does." in prepared.how
    with pytest.raises(InputError, match=r"cannot fill 3 inputs.*'im_shape'.*Give a dict"):
        prepare(np.zeros((1, 3, 64, 128), np.float32), specs, None)


def test_one_image_for_two_unknown_inputs(picture: Path) -> None:
    specs = (FREE, InputSpec("y", (1, 8), "int64"))
    with pytest.raises(
        InputError, match=r"cannot fill the model's 2 inputs.*'y' \(1, 8\) int64.*Give a dict"
    ):
        prepare(picture, specs, None)
    with pytest.raises(InputError, match="missing: 'y'"):
        prepare({"x": np.zeros((1, 3, 4, 4), np.float32)}, specs, None)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (1, 3, 480, 640),
            r"(1, 3, 64, 96), but input 'x' wants (1, 3, 480, 640). Let the transforms of deploy.yaml",
        ),
        ((1, 3, 480, 640), "target_size: [640, 480]"),
        ((1, 3, None, 640), "target_size: [640, 64]"),
        ((4, 3, 64, 96), "fixed batch of 4"),
        ((1, 1, 64, 96), "number of channels differs"),
        ((1, 4, 64, 96), "wants 4 channels, and a picture has 1 or 3"),
        ((1, 64, 96, 3), "wants 64 channels (its channels seem to be last)"),
        ((3, 64, 96), "not of the form (N, C, H, W)"),
    ],
)
def test_what_does_not_fit_the_model(picture: Path, shape: tuple[int | None, ...], message: str) -> None:
    steps = config(("Resize", {"target_size": [96, 64]}), img_channels=3 if shape[1] == 1 else None)
    with pytest.raises(InputError, match=re.escape(message)):
        prepare(picture, (InputSpec("x", shape, "float32"),), steps)


def test_transforms_that_break_the_values(picture: Path) -> None:
    with pytest.raises(InputError, match="not finite"):
        prepare(picture, (FREE,), config(("Normalize", {"mean": [float("nan")]})))


def test_what_is_no_image(tmp_path: Path, picture: Path) -> None:
    with pytest.raises(InputError, match="Cannot use a int"):
        prepare(3, (FREE,), None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no inputs"):
        prepare(picture, (), None)
    with pytest.raises(InputError, match="does not exist"):
        prepare(tmp_path / "nowhere.jpg", (FREE,), None)
    with pytest.raises(InputError, match="only uint8 arrays are taken as pictures"):
        prepare(np.zeros((64, 96, 3), np.float32), (FREE,), None)


def test_the_seaformer_case() -> None:
    if not SEAFORMER.is_dir():
        pytest.skip("the SeaFormer case is not here")
    settings = read_deploy_yaml(SEAFORMER / "model" / "deploy" / "deploy.yaml")
    image = sorted((SEAFORMER / "images" / "test").glob("*.jpg"))[0]
    assert settings.input_shape == (1, 3, 480, 640)
    prepared = prepare(image, (InputSpec("x", settings.input_shape, "float32"),), settings)
    tensor = only(prepared)
    resized = cv2.resize(cv2.imread(str(image))[..., ::-1].astype(np.float32), (640, 480))
    expected = ((resized / 255 - MEAN) / STD).transpose(2, 0, 1)[None]
    np.testing.assert_allclose(tensor, expected, rtol=1e-5, atol=1e-6)


def test_a_training_config(tmp_path: Path, picture: Path) -> None:
    text = (
        "val_dataset: {type: Dataset, transforms: [{type: Resize, target_size: [96, 64]}, {type: Normalize}]}"
    )
    settings = read_deploy_yaml(write(tmp_path / "train.yml", text))
    assert np.array_equal(only(prepare(picture, (FIXED,), settings)), only(prepare(picture, (FIXED,), None)))
