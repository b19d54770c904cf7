"""Every mistake of a preprocessing script, alone and in company, is named exactly and proven."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from segdiff.inputs import DeployConfig, InputSpec, Prepared, Transform, prepare, read_deploy_yaml
from segdiff.inputs.compare import InputComparison, compare_inputs
from segdiff.inputs.hypotheses import KINDS
from segdiff.inputs.pipeline import Pipeline, lower, render
from tests.inputs.scripts import HEIGHT, MEAN, MISTAKES, STD, WIDTH, Script, scene, script

SEAFORMER = Path(__file__).parents[3] / "shared" / "seaformer_case"
NORMALIZE: Transform = ("Normalize", {"mean": MEAN.tolist(), "std": STD.tolist()})
RESIZE: Transform = ("Resize", {"target_size": [WIDTH, HEIGHT]})
SINGLES = [(group, name) for group, names in MISTAKES.items() for name in names]
# A crop without a resize and the picture as it is leave no resize to be wrong.
UNRESIZED = {"not resized", "corner crop"}
# In float16 a picture divided by 255 twice is a handful of values; nothing can be told from them.
BLURRED = {"1/255 twice"}


def reference(*steps: Transform, size: tuple[int, int] = (90, 150), seed: int = 0) -> Prepared:
    config = DeployConfig(Path("deploy.yaml"), steps or (RESIZE, NORMALIZE))
    return prepare(scene(*size, seed), [InputSpec("x", (None, 3, None, None), "float32")], config)


def kinds(comparison: InputComparison) -> list[str]:
    return sorted(finding.kind for finding in comparison.findings)


def assert_proven(comparison: InputComparison, expected: set[str]) -> None:
    assert not comparison.same
    assert kinds(comparison) == sorted(expected)
    assert all(finding.proven for finding in comparison.findings), comparison.findings
    assert all(finding.kind in KINDS for finding in comparison.findings)


@pytest.mark.parametrize("mistake", SINGLES, ids=[" ".join(each) for each in SINGLES])
def test_single(mistake: tuple[str, str]) -> None:
    made, expected = script(mistake)
    assert_proven(compare_inputs(reference(), made(scene())), expected)


def combinations(count: int, size: int, seed: int) -> list[tuple[tuple[str, str], ...]]:
    """Random mistakes of different groups; not those that one smaller mistake explains as well."""
    rng = random.Random(seed)
    found: list[tuple[tuple[str, str], ...]] = []
    while len(found) < count:
        groups = rng.sample(sorted(MISTAKES), size)
        chosen = tuple((group, rng.choice(sorted(MISTAKES[group]))) for group in groups)
        names = dict(chosen)
        if "resize" in names and names.get("frame") in UNRESIZED:
            continue
        if "dtype" in names and names.get("scale") in BLURRED:
            continue
        if names.get("constants") == "others" and ("scale" in names or "order" in names):
            continue  # constants of no name, by other numbers or for other channels: one line either way
        if names.get("constants") == "no mean, no std" and names.get("order") == "normalised before the swap":
            continue  # nothing is normalised: no swap takes place
        if names.get("constants") == "a half" and names.get("order") == "normalised before the swap":
            continue  # the same constants for every channel
        if chosen not in found:
            found.append(chosen)
    return found


@pytest.mark.parametrize("mistakes", combinations(40, 2, seed=1) + combinations(40, 3, seed=2))
def test_combined(mistakes: tuple[tuple[str, str], ...]) -> None:
    made, expected = script(*mistakes)
    assert_proven(compare_inputs(reference(seed=3), made(scene(seed=3))), expected)


@pytest.mark.parametrize("size", [(90, 150), (150, 90), (48, 64), (31, 33), (200, 200)])
def test_same_within_rounding(size: tuple[int, int]) -> None:
    picture, ref = scene(*size), reference(size=size)
    in_float64 = Script(exact=True)(picture)
    reciprocal = cv2.resize(picture.astype(np.float32), (WIDTH, HEIGHT))[..., ::-1] * np.float32(1 / 255)
    reciprocal = ((reciprocal - MEAN.astype(np.float32)) * (1 / STD).astype(np.float32)).transpose(2, 0, 1)
    in_levels = Script(divisor=1.0, mean=MEAN * 255, std=STD * 255)(picture)
    normalised_first = (picture[..., ::-1] / 255.0 - MEAN) / STD
    normalised_first = cv2.resize(normalised_first, (WIDTH, HEIGHT)).transpose(2, 0, 1)
    for candidate in (
        in_float64,
        reciprocal[None],
        in_levels,
        normalised_first[None],
        in_levels.astype(float),
    ):
        comparison = compare_inputs(ref, candidate)
        assert comparison.same and not comparison.findings and comparison.metrics.rel_l2 < 1e-5


@pytest.mark.parametrize(
    "steps",
    [
        (RESIZE, NORMALIZE),
        (NORMALIZE, RESIZE),
        (("ResizeByLong", {"long_size": 60}), ("Padding", {"target_size": [64, 64]}), NORMALIZE),
        (("ResizeByLong", {"long_size": 60}), NORMALIZE, ("Padding", {"target_size": [64, 64]})),
        (("Resize", {"target_size": [64, 64], "keep_ratio": True, "size_divisor": 16}), NORMALIZE),
        (("ResizeByShort", {"short_size": 48}), ("PaddingByAspectRatio", {"aspect_ratio": 2}), NORMALIZE),
        (("LimitLong", {"max_long": 100}), NORMALIZE),
        (("ScalePadding", {"target_size": [64, 48]}), NORMALIZE),
        (("Resize", {"target_size": [64, 48], "interp": "CUBIC"}),),
        (NORMALIZE,),
    ],
)
def test_pipeline_is_the_reference_bit_for_bit(steps: tuple[Transform, ...]) -> None:
    ref = reference(*steps)
    assert ref.image is not None and ref.steps is not None
    rendered = render(Pipeline(lower(ref.steps, ref.image.shape[:2], 3)), ref.image)
    np.testing.assert_array_equal(rendered, ref.tensors["x"])
    assert compare_inputs(ref, rendered).same
    assert_proven(compare_inputs(ref, rendered[:, ::-1].copy()), {"input.channel_order"})


def test_stretched_where_the_reference_keeps_the_ratio() -> None:
    ref = reference(
        ("ResizeByLong", {"long_size": 64}), ("Padding", {"target_size": [WIDTH, HEIGHT]}), NORMALIZE
    )
    assert_proven(compare_inputs(ref, Script()(scene())), {"input.keep_ratio"})


def test_padded_with_another_value() -> None:
    def steps(value: float) -> tuple[Transform, ...]:
        padding = {"target_size": [64, 64], "im_padding_value": value}
        return ("ResizeByLong", {"long_size": 60}), ("Padding", padding), NORMALIZE

    comparison = compare_inputs(reference(*steps(127.5)), reference(*steps(0)).tensors["x"])
    assert_proven(comparison, {"input.padding"})
    assert "padded with 0 " in comparison.findings[0].text and "with 127.5" in comparison.findings[0].text


def test_without_normalize() -> None:
    """Pixels go in as they are, and the candidate divides them."""
    ref = reference(RESIZE)
    divided = Script(mean=0.0, std=1.0)(scene())
    assert_proven(compare_inputs(ref, divided), {"input.scale"})
    assert_proven(compare_inputs(ref, Script()(scene())), {"input.scale", "input.mean_std"})


def test_cut_to_whole_numbers() -> None:
    candidate = Script(divisor=1.0, mean=0.0, std=1.0)(scene()).astype(np.uint8)
    assert_proven(compare_inputs(reference(RESIZE), candidate), {"input.dtype"})
    assert_proven(
        compare_inputs(reference(), candidate.astype(np.float32)),
        {"input.dtype", "input.scale", "input.mean_std"},
    )


def test_grey() -> None:
    picture = scene()
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert_proven(compare_inputs(reference(), Script()(grey)), {"input.grey"})


def test_one_channel() -> None:
    picture = scene()[..., 0].copy()
    config = DeployConfig(
        Path("deploy.yaml"), (RESIZE, ("Normalize", {"mean": [0.4], "std": [0.2]})), img_channels=1
    )
    ref = prepare(picture, [InputSpec("x", (1, 1, None, None), "float32")], config)
    small = cv2.resize(picture, (WIDTH, HEIGHT)).astype(np.float32)[None, None]
    assert_proven(compare_inputs(ref, (small / 255 - 0.4) / 0.2), {"input.resize_dtype"})
    assert_proven(compare_inputs(ref, (small - 0.4) / 0.2), {"input.resize_dtype", "input.scale"})


def test_a_ready_tensor_as_reference() -> None:
    """Without a picture the hypotheses on layout, channels and constants are left."""
    tensor = reference().tensors["x"]
    spec = InputSpec("x", (1, 3, None, None), "float32")
    config = DeployConfig(Path("deploy.yaml"), (RESIZE, NORMALIZE))
    ref = prepare(tensor, [spec], config)
    assert compare_inputs(ref, tensor.copy(), config).same
    assert_proven(compare_inputs(ref, tensor[:, ::-1].copy(), config), {"input.channel_order"})
    assert_proven(compare_inputs(ref, tensor.transpose(0, 2, 3, 1), config), {"input.layout"})
    unscaled = Script(divisor=1.0)(scene())
    assert_proven(compare_inputs(ref, unscaled, config), {"input.scale"})
    assert_proven(compare_inputs(ref, tensor * 255), {"input.scale"})
    comparison = compare_inputs(ref, Script(as_uint8=True)(scene()), config)
    assert kinds(comparison) == ["input.unexplained"]


def test_noise_is_not_explained() -> None:
    noise = np.random.default_rng(0).normal(size=(1, 3, HEIGHT, WIDTH)).astype(np.float32)
    comparison = compare_inputs(reference(), noise)
    assert kinds(comparison) == ["input.unexplained"] and not comparison.proven
    assert "mean" in comparison.findings[0].text


def test_what_is_left_over_is_said_with_its_place() -> None:
    candidate = Script(bgr=True)(scene())
    candidate[0, 0, 5:12, 20:31] = 9.0
    found = {finding.kind: finding for finding in compare_inputs(reference(), candidate).findings}
    assert set(found) == {"input.channel_order", "input.unexplained"}
    assert not any(finding.proven for finding in found.values())
    assert "rows 5 to 11, columns 20 to 30, channels 0" in found["input.unexplained"].text


@pytest.mark.parametrize(
    "candidate",
    [
        np.zeros((1, 3, HEIGHT, WIDTH), np.float32),
        np.ones((1, 3, 1, 1), np.float32),
        np.zeros((7,), np.int64),
        np.float32(3.0).reshape(()),
        np.full((1, 3, HEIGHT, WIDTH), np.nan, np.float32),
        np.full((1, 3, HEIGHT, WIDTH), 3e38, np.float32),
        np.zeros((1, 4, HEIGHT, WIDTH), np.float32),
        np.zeros((2, 3, 2, HEIGHT, WIDTH), np.float32),
    ],
    ids=lambda array: f"{array.shape} {array.dtype}",
)
def test_hopeless_tensors_end_in_a_sentence(candidate: NDArray[Any]) -> None:
    comparison = compare_inputs(reference(), candidate)
    assert not comparison.same and "input.unexplained" in kinds(comparison)


def test_flat_and_grey_pictures_raise_no_false_alarm() -> None:
    spec = InputSpec("x", (1, 3, None, None), "float32")
    config = DeployConfig(Path("deploy.yaml"), (RESIZE, NORMALIZE))
    flat = np.full((90, 150, 3), 77, np.uint8)
    ref = prepare(flat, [spec], config)
    assert compare_inputs(ref, Script(as_uint8=True)(flat)).same
    assert_proven(compare_inputs(ref, Script(divisor=1.0)(flat)), {"input.scale"})
    grey = np.repeat(scene()[..., :1], 3, axis=2)
    ref = prepare(grey, [spec], config)
    assert_proven(compare_inputs(ref, Script(bgr=True, as_uint8=True)(grey)), {"input.resize_dtype"})


def test_the_docs_list_every_kind() -> None:
    text = (Path(__file__).parents[2] / "docs" / "input.md").read_text(encoding="utf-8")
    assert {line.split("`")[1] for line in text.splitlines() if line.startswith("| `input.")} == set(KINDS)


def test_further_inputs_are_left_alone() -> None:
    specs = [InputSpec("im_shape", (1, 2), "float32"), InputSpec("image", (1, 3, None, None), "float32")]
    config = DeployConfig(Path("deploy.yaml"), (RESIZE, NORMALIZE))
    ref = prepare(scene(), specs, config)
    assert_proven(compare_inputs(ref, Script(bgr=True)(scene())), {"input.channel_order"})


@pytest.mark.skipif(not SEAFORMER.is_dir(), reason="needs the reported case")
def test_the_reported_script() -> None:
    """PaddleSeg #3682: cv2.imread, resized as uint8 BGR, normalised with PaddleSeg's constants."""
    config = read_deploy_yaml(SEAFORMER / "model" / "deploy" / "deploy.yaml")
    for path in sorted((SEAFORMER / "images" / "test").iterdir())[:1]:
        image = cv2.resize(cv2.imread(str(path)), (640, 480)).astype(np.float32) / 255.0
        tensor = np.expand_dims(((image - MEAN) / STD).transpose(2, 0, 1), axis=0).astype(np.float32)
        ref = prepare(path, [InputSpec("x", (1, 3, 480, 640), "float32")], config)
        assert_proven(compare_inputs(ref, tensor), {"input.channel_order", "input.resize_dtype"})
