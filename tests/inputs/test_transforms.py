"""The transforms by hand-computed values; bit for bit against PaddleSeg in test_against_paddleseg.py."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from segdiff.core.errors import InputError
from segdiff.inputs import transforms as t
from segdiff.inputs.transforms import RANDOM, TRANSFORMS, apply_transforms
from tests.inputs.pictures import noise


def picture(height: int, width: int, channels: int = 3) -> t.Picture:
    return noise(height, width, channels).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "params", "size"),
    [
        ("Resize", {}, (512, 512)),
        ("Resize", {"target_size": [64, 48]}, (48, 64)),
        ("Resize", {"target_size": [64, 64], "keep_ratio": True}, (37, 64)),
        ("Resize", {"target_size": [48, 64], "keep_ratio": True}, (37, 64)),  # either way round
        ("Resize", {"target_size": [64, 64], "keep_ratio": True, "size_divisor": 32}, (64, 64)),
        ("Resize", {"target_size": [65, 33], "size_divisor": 32}, (64, 96)),
        ("ResizeByLong", {"long_size": 50}, (29, 50)),
        ("ResizeByShort", {"short_size": 50}, (50, 87)),
        ("ResizeByShort", {"short_size": [50]}, (50, 87)),
        ("ResizeByShort", {"short_size": 50, "max_size": 60}, (34, 59)),
        ("LimitLong", {"max_long": 50}, (29, 50)),
        ("LimitLong", {"min_long": 200}, (115, 200)),
        ("LimitLong", {"max_long": 200, "min_long": 50}, (71, 123)),
        ("LimitLong", {}, (71, 123)),
        ("ResizeRangeScaling", {"min_value": 50, "max_value": 50}, (29, 50)),
        ("ResizeStepScaling", {"min_scale_factor": 0.5, "max_scale_factor": 0.5}, (36, 62)),
        ("Padding", {"target_size": [130, 80]}, (80, 130)),
        ("PaddingByAspectRatio", {}, (123, 123)),
        ("PaddingByAspectRatio", {"aspect_ratio": 2}, (71, 142)),
        ("ScalePadding", {"target_size": [40, 30]}, (30, 40)),
        ("GenerateInstanceTargets", {"num_classes": 3}, (71, 123)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes(name: str, params: dict[str, Any], size: tuple[int, int], channels: int) -> None:
    applied = apply_transforms(picture(71, 123, channels), [(name, params)], "deploy.yaml")
    assert applied.image.shape[:2] == size
    assert applied.image.ndim == (3 if channels == 3 else 2)
    assert applied.image.dtype == (np.uint8 if name == "ScalePadding" else np.float32)


def test_every_transform_leaves_its_argument_alone() -> None:
    needed = {
        "ResizeByLong": {"long_size": 9},
        "ResizeByShort": {"short_size": 9},
        "Padding": {"target_size": [90, 90]},
        "ResizeRangeScaling": {"min_value": 9, "max_value": 9},
        "ResizeStepScaling": {"min_scale_factor": 1, "max_scale_factor": 1},
        "GenerateInstanceTargets": {"num_classes": 2},
    }
    image = picture(40, 50)
    before = image.copy()
    for name, function in TRANSFORMS.items():
        function(image, **needed.get(name, {}))
        assert np.array_equal(image, before), name


def test_normalize_rounds_to_float32_after_each_step() -> None:
    image = picture(5, 7)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    scaled = image / np.float32(255)
    centred = (scaled.astype(np.float64) - mean).astype(np.float32)
    expected = (centred.astype(np.float64) / std).astype(np.float32)
    assert np.array_equal(t.normalize(image, mean=mean, std=std), expected)


def test_resize_works_on_float32_and_not_on_uint8() -> None:
    pixels = noise(71, 123)
    resized = t.resize(pixels.astype(np.float32), target_size=[64, 48])
    assert np.array_equal(resized, cv2.resize(pixels.astype(np.float32), (64, 48)))
    assert not np.array_equal(resized, cv2.resize(pixels, (64, 48)).astype(np.float32))


def test_padding_goes_to_the_right_and_the_bottom() -> None:
    padded = t.padding(picture(4, 6), target_size=[8, 5], im_padding_value=7)
    assert np.array_equal(padded[:4, :6], picture(4, 6))
    assert np.all(padded[4:] == 7)
    assert np.all(padded[:, 6:] == 7)


def test_sentences_give_parameters_defaults_and_sizes() -> None:
    steps = [("Resize", {"target_size": [64, 48]}), ("Normalize", {"mean": [0.5], "std": [0.25]})]
    how = apply_transforms(picture(71, 123), steps, "deploy.yaml").how
    assert how == (
        "Applied Resize(target_size=[64, 48]) with PaddleSeg's defaults keep_ratio=False, size_divisor=None, "
        "interp='LINEAR': 71x123 to 48x64 pixels (height x width).",
        "Applied Normalize(mean=[0.5], std=[0.25]).",
    )


def test_content_is_the_size_before_any_padding() -> None:
    steps = [("ResizeByLong", {"long_size": 50}), ("Padding", {"target_size": [50, 50]}), ("Normalize", {})]
    assert apply_transforms(picture(71, 123), steps, "deploy.yaml").content == (29, 50)


@pytest.mark.parametrize("name", sorted(RANDOM))
def test_random_transforms_are_named_and_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"deploy.yaml: the transform {name} is random"):
        apply_transforms(picture(8, 8), [(name, {})], "deploy.yaml")


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("ResizeToIntMult", {}, "ResizeToIntMult is unknown"),
        ("Resize", {"targetsize": [8, 8]}, "Resize has no parameter targetsize"),
        ("ResizeByLong", {}, "ResizeByLong needs the parameter long_size"),
        ("Resize", {"interp": "RANDOM"}, "Resize.*RANDOM draws"),
        ("Resize", {"interp": "BILINEAR"}, "Resize.*interp is one of NEAREST"),
        ("Resize", {"target_size": 8}, "Resize.*target_size is a list of two"),
        ("Resize", {"target_size": "88"}, "Resize.*target_size is a list of two"),
        ("Resize", {"target_size": ["8", "8"]}, "Resize"),
        ("Resize", {"target_size": [8.5, 8]}, "Resize"),
        ("Resize", {"target_size": [0, 8]}, "Resize.*no pixels"),
        ("Resize", {"target_size": [-8, 8]}, "Resize.*no pixels"),
        ("Resize", {"target_size": [200_000, 200_000]}, "Resize.*more than the"),
        ("Resize", {"size_divisor": 1.5}, "Resize.*size_divisor is a whole number"),
        ("ResizeByLong", {"long_size": 10**9}, "ResizeByLong.*more than the"),
        ("ResizeByLong", {"long_size": float("nan")}, "ResizeByLong"),
        ("ResizeByLong", {"long_size": float("inf")}, "ResizeByLong"),
        ("ResizeByLong", {"long_size": None}, "ResizeByLong"),
        ("ResizeByShort", {"short_size": [8, 9]}, "ResizeByShort.*draws one at random"),
        ("LimitLong", {"max_long": 8, "min_long": 9}, "LimitLong.*min_long is larger"),
        ("LimitLong", {"max_long": 8.0}, "LimitLong.*whole numbers"),
        ("ResizeRangeScaling", {}, "ResizeRangeScaling.*random"),
        ("ResizeStepScaling", {}, "ResizeStepScaling.*random"),
        ("Normalize", {"std": [0.5, 0, 0.5]}, "Normalize.*std has a zero"),
        ("Normalize", {"mean": [0.5, 0.5]}, "Normalize.*mean is a list of 1 or 3"),
        ("Normalize", {"mean": 0.5}, "Normalize.*mean is a list"),
        ("Normalize", {"mean": ["a"]}, "Normalize"),
        ("Padding", {"target_size": [4, 4]}, "Padding.*larger than"),
        ("Padding", {"target_size": [10**6, 10**6]}, "Padding.*more than the"),
        ("Padding", {"target_size": [20, 20], "im_padding_value": [1, 2, 3]}, "Padding"),
        ("PaddingByAspectRatio", {"aspect_ratio": 0}, "PaddingByAspectRatio"),
        ("PaddingByAspectRatio", {"aspect_ratio": 1e-9}, "PaddingByAspectRatio.*more than the"),
    ],
)
def test_unusable_transforms_are_input_errors(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        apply_transforms(picture(8, 12), [(name, params)], "deploy.yaml")
    assert str(caught.value).startswith("deploy.yaml: ")
    assert "\n" not in str(caught.value)
