"""What a report shows of its run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import segdiff
from segdiff.core.answer import Report
from segdiff.finding import pictures
from segdiff.report.page.page import page
from tests import models
from tests.models import Net, segmenter, with_attribute

Pair = Callable[..., Report]


@pytest.fixture
def locate(tmp_path: Path) -> Pair:
    """``segdiff.locate`` on two models, written to files."""

    def run(ours: Any, theirs: Any, given: Any = None) -> Report:
        files = [models.save(m, tmp_path / f"{n}.onnx") for n, m in enumerate((ours, theirs))]
        return segdiff.locate(*files, models.image() if given is None else given, timeout=60)

    return run


def faulty() -> Any:
    return with_attribute(segmenter(), "LeakyRelu", alpha=0.9)


def test_masks_and_heat_of_a_fault(locate: Pair) -> None:
    report = locate(segmenter(), faulty())
    shown, first = report.pictures, report.first
    assert shown is not None and first is not None and first.pair.isolated is not None
    assert shown.image.shape == (16, 24, 3) and shown.image.dtype == np.uint8
    assert set(shown.masks) == {"reference", "candidate", "repaired"} and shown.by_repair
    changed = report.outputs[0].mask_changed
    assert changed and np.mean(shown.masks["reference"] != shown.masks["candidate"]) == pytest.approx(changed)
    assert np.array_equal(shown.masks["reference"], shown.masks["repaired"])
    assert shown.heat is not None and shown.heat.shape == (16, 24) and shown.heat.dtype == np.float32
    assert shown.heat.max() == pytest.approx(first.pair.isolated.metrics.max_abs, rel=1e-4)
    assert shown.heat_value == first.pair.reference and shown.missing == {}


def test_a_healthy_model_has_masks_and_no_run_more(locate: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = locate(segmenter(), segmenter()).pictures
    assert shown is not None and set(shown.masks) == {"reference", "candidate"}
    assert shown.heat is None and not shown.by_repair
    assert set(shown.missing) == {"repaired", "heat"}


def test_what_the_candidate_makes_of_its_own_input_is_seen(locate: Pair, tmp_path: Path) -> None:
    np.save(tmp_path / "own.npy", models.image()[:, ::-1])
    files = [models.save(segmenter(), tmp_path / f"{n}.onnx") for n in "ab"]
    report = segdiff.locate(*files, models.image(), candidate_input=tmp_path / "own.npy", timeout=60)
    shown = report.pictures
    assert shown is not None and set(shown.masks) == {"reference", "candidate", "fed"}
    assert np.array_equal(shown.masks["reference"], shown.masks["candidate"])
    assert report.as_fed is not None
    changed = report.as_fed.outputs[0].mask_changed
    assert changed and np.mean(shown.masks["reference"] != shown.masks["fed"]) == pytest.approx(changed)
    assert "on its own input" in page(report)


def test_a_tensor_that_is_no_picture_has_none(locate: Pair) -> None:
    net = Net((1, 8))
    vector = net.model(net.node("Relu", net.node("MatMul", "x", net.weight(8, 8))))
    assert locate(vector, vector, models.image((1, 8))).pictures is None


def test_outputs_that_are_no_masks_are_told(locate: Pair) -> None:
    net = Net()
    pooled = net.model(net.node("GlobalAveragePool", net.conv("x", (3, 5))))
    shown = locate(pooled, pooled).pictures
    assert shown is not None and not shown.masks and "masks" in shown.missing


def test_what_goes_wrong_is_a_reason_and_no_failure(locate: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("no such axis")

    monkeypatch.setattr(pictures, "seen", broken)
    report = locate(segmenter(), faulty())
    assert report.verdict == "diverges" and report.pictures is None
    assert any(re.search("pictures could not be made.*no such axis", remark) for remark in report.remarks)


def scene() -> Any:
    """BGR, with a red left half and a blue right half over noise."""
    picture = np.random.default_rng(0).integers(0, 60, (64, 96, 3), np.uint8)
    picture[:, :48, 2] += 150
    picture[:, 48:, 0] += 150
    return cv2.GaussianBlur(picture, (5, 5), 0)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("known", [True, False])
def test_a_picture_is_seen_in_its_own_colours(order: str, known: bool) -> None:
    picture = scene()
    planes = (picture[..., ::-1] if order == "rgb" else picture).astype(np.float32) / 255
    if known:
        planes = (planes - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    elif order == "bgr":
        return  # without the picture nobody can tell
    got = pictures.seen(np.moveaxis(planes, 2, 0), picture if known else None)
    assert got.shape == picture.shape and got.dtype == np.uint8
    assert np.abs(got.astype(int) - picture[..., ::-1]).mean() < 4
