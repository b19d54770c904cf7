"""Bit for bit the same as PaddleSeg's own ``Compose``; skipped where paddleseg is not installed."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdiff.core.errors import InputError
from segdiff.inputs import TRANSFORMS, DeployConfig, InputSpec, prepare, read_deploy_yaml
from segdiff.inputs.transforms import RANDOM
from tests.inputs.pictures import noise, save

pytest.importorskip("paddleseg")

import paddleseg.transforms as theirs
from paddleseg.cvlibs import manager
from paddleseg.deploy.infer import DeployConfig as TheirDeployConfig

SEAFORMER = Path(__file__).parents[3] / "shared" / "seaformer_case"
SIZES = [(71, 123), (123, 71), (64, 64), (1, 7), (333, 517)]
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
Step = tuple[str, dict[str, Any]]

RESIZES: list[Step] = [
    ("Resize", {"target_size": [w, h], "interp": interp})
    for w, h in [(64, 48), (97, 201), (640, 480)]
    for interp in ["NEAREST", "LINEAR", "CUBIC", "AREA", "LANCZOS4"]
]
SINGLES: list[Step] = [
    *RESIZES,
    ("Resize", {}),
    ("Resize", {"target_size": [97, 65], "keep_ratio": True}),
    ("Resize", {"target_size": [65, 97], "keep_ratio": True, "interp": "CUBIC"}),
    ("Resize", {"target_size": [97, 65], "keep_ratio": True, "size_divisor": 32}),
    ("Resize", {"target_size": (97, 65), "size_divisor": 7, "interp": "AREA"}),
    *(("ResizeByLong", {"long_size": size}) for size in (33, 96, 517, 640)),
    *(("ResizeByShort", {"short_size": size}) for size in (5, 33, 96)),
    ("ResizeByShort", {"short_size": [33]}),
    ("ResizeByShort", {"short_size": 96, "max_size": 130}),
    ("LimitLong", {}),
    ("LimitLong", {"max_long": 100}),
    ("LimitLong", {"min_long": 201}),
    ("LimitLong", {"max_long": 201, "min_long": 90}),
    ("ResizeRangeScaling", {"min_value": 77, "max_value": 77}),
    ("ResizeStepScaling", {"min_scale_factor": 1.37, "max_scale_factor": 1.37}),
    ("Normalize", {}),
    ("Normalize", IMAGENET),
    ("Normalize", {"mean": [0, 0, 0], "std": [1, 1, 1]}),
    ("Normalize", {"mean": (0.1,), "std": [0.3]}),
    ("Padding", {"target_size": [600, 400]}),
    ("Padding", {"target_size": [600, 400], "im_padding_value": 0.3, "label_padding_value": 1}),
    ("PaddingByAspectRatio", {}),
    ("PaddingByAspectRatio", {"aspect_ratio": 1.7, "im_padding_value": 3}),
    ("PaddingByAspectRatio", {"aspect_ratio": 0.4}),
    ("ScalePadding", {}),
    ("ScalePadding", {"target_size": [65, 97], "im_padding_value": 10}),
    ("GenerateInstanceTargets", {"num_classes": 2}),
]
CHAINS: list[list[Step]] = [
    [],
    [("Resize", {"target_size": [97, 65]}), ("Normalize", IMAGENET)],
    [("Normalize", IMAGENET), ("Resize", {"target_size": [97, 65], "interp": "CUBIC"})],
    [("ResizeByLong", {"long_size": 96}), ("Padding", {"target_size": [96, 96]}), ("Normalize", IMAGENET)],
    [("PaddingByAspectRatio", {}), ("Resize", {"target_size": [96, 96]}), ("Normalize", {})],
    [
        ("ResizeByShort", {"short_size": 50, "max_size": 99}),
        ("LimitLong", {"max_long": 60}),
        ("Normalize", {}),
    ],
    [("ScalePadding", {"target_size": [50, 70]}), ("Resize", {"target_size": [33, 44]}), ("Normalize", {})],
    [("ScalePadding", {"target_size": [50, 70]}), ("Padding", {"target_size": [70, 80]})],
]


def compose(steps: list[Step], image: Any, channels: int = 3) -> np.ndarray[Any, Any]:
    built = [manager.TRANSFORMS[name](**params) for name, params in steps]
    chain = theirs.Compose(built, img_channels=channels)
    tensor: np.ndarray[Any, Any] = chain({"img": image, "gt_fields": []})["img"][None]
    return tensor


def ours(steps: list[Step], image: Any, channels: int = 3) -> np.ndarray[Any, Any]:
    spec = InputSpec("x", (None, channels, None, None), "float32")
    config = DeployConfig(Path("deploy.yaml"), transforms=tuple(steps))
    return prepare(image, (spec,), config).tensors["x"]


def show(steps: Step | list[Step]) -> str:
    if isinstance(steps, tuple):
        steps = [steps]
    return "+".join(f"{name}-{'-'.join(map(str, params.values()))}" for name, params in steps) or "nothing"


def check(steps: list[Step], path: Path, channels: int) -> None:
    try:
        expected = compose(steps, str(path), channels)
    except Exception:
        with pytest.raises(InputError):
            ours(steps, path, channels)
        return
    got = ours(steps, path, channels)
    assert got.shape == expected.shape
    assert got.dtype == np.float32
    assert np.array_equal(got.view(np.uint32), expected.astype(np.float32).view(np.uint32))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = {}
    for number, (h, w) in enumerate(SIZES):
        suffix = ".jpg" if number % 2 else ".png"
        paths[h, w] = save(folder / f"{h}x{w}{suffix}", noise(h, w, seed=number))
    return paths


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("step", SINGLES, ids=show)
@pytest.mark.parametrize("channels", [1, 3])
def test_single(
    pictures: dict[tuple[int, int], Path], step: Step, size: tuple[int, int], channels: int
) -> None:
    check([step], pictures[size], channels)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("steps", CHAINS, ids=show)
@pytest.mark.parametrize("channels", [1, 3])
def test_chain(
    pictures: dict[tuple[int, int], Path], steps: list[Step], size: tuple[int, int], channels: int
) -> None:
    check(steps, pictures[size], channels)


def test_drawn_sizes_and_parameters(tmp_path: Path) -> None:
    draw = random.Random(7)
    for number in range(60):
        path = save(
            tmp_path / f"{number}.png", noise(draw.randint(1, 300), draw.randint(1, 300), seed=number)
        )
        width, height = draw.randint(1, 300), draw.randint(1, 300)
        keep, divisor = draw.random() < 0.5, draw.choice([None, 8, 32])
        resize = {"target_size": [width, height], "keep_ratio": keep, "size_divisor": divisor}
        moments = {"mean": [draw.random() for _ in range(3)], "std": [0.1 + draw.random() for _ in range(3)]}
        check([("Resize", resize), ("Normalize", moments)], path, 3)
        check([("ResizeByShort", {"short_size": width, "max_size": height}), ("Normalize", moments)], path, 3)


def test_a_float32_array_is_what_compose_makes_of_a_file() -> None:
    steps: list[Step] = [("Resize", {"target_size": [97, 65]}), ("Normalize", IMAGENET)]
    pixels = noise(71, 123)
    assert np.array_equal(ours(steps, pixels), compose(steps, pixels.astype(np.float32)))
    assert not np.array_equal(
        ours(steps, pixels), compose(steps, pixels)
    )  # left uint8, resized with rounding


def test_every_transform_of_the_package_is_known() -> None:
    package = set(manager.TRANSFORMS.components_dict) - {"Compose"}
    assert package == set(TRANSFORMS) | RANDOM


def test_the_seaformer_case() -> None:
    if not SEAFORMER.is_dir():
        pytest.skip("the SeaFormer case is not here")
    path = SEAFORMER / "model" / "deploy" / "deploy.yaml"
    spec = InputSpec("x", (1, 3, 480, 640), "float32")
    for image in sorted((SEAFORMER / "images" / "test").glob("*.jpg")):
        expected = TheirDeployConfig(os.fspath(path)).transforms({"img": os.fspath(image)})["img"][None]
        got = prepare(image, (spec,), read_deploy_yaml(path)).tensors["x"]
        assert np.array_equal(got.view(np.uint32), np.ascontiguousarray(expected).view(np.uint32))
