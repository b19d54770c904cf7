"""Labels of 0 and 255 alone: both readings are scored, and the report says which was taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import segdiff
from segdiff.score.areas import areas, scores
from tests.models import Net, save

Array = np.ndarray[Any, Any]
SHAPE = (16, 24)


def folder(root: Path, name: str, masks: list[Array]) -> Path:
    (root / name).mkdir()
    for number, mask in enumerate(masks):
        cv2.imwrite(str(root / name / f"{number}.png"), mask.astype(np.uint8))
    return root / name


def truth() -> list[Array]:
    return [np.random.default_rng(seed).integers(0, 2, SHAPE) for seed in range(3)]


def wrong(masks: list[Array], share: float, seed: int) -> list[Array]:
    random = np.random.default_rng(seed)
    return [np.where(random.random(SHAPE) < share, 1 - mask, mask) for mask in masks]


def miou(masks: list[Array], labels: list[Array]) -> float:
    pairs = zip(masks, labels, strict=True)
    found = [areas(m.astype(np.uint8), label.astype(np.uint8), 2, 255) for m, label in pairs]
    return scores(sum(found[1:], found[0])).miou


def scored(root: Path, **options: Any) -> segdiff.ScoreReport:
    labels = truth()
    return segdiff.score(
        folder(root, "labels", [255 * label for label in labels]),
        folder(root, "ours", wrong(labels, 0.1, 7)),
        folder(root, "theirs", wrong(labels, 0.3, 8)),
        candidate_protocol="dataset",
        **options,
    )


@pytest.mark.parametrize(("encoding", "taken"), [(None, "class"), ("binary", "class"), ("index", "ignored")])
def test_both_readings_are_told(encoding: str | None, taken: str, tmp_path: Path) -> None:
    report = scored(tmp_path, label_encoding=encoding)
    labels = truth()
    sides = wrong(labels, 0.1, 7), wrong(labels, 0.3, 8)
    ignoring = [255 * label for label in labels]
    readings = {
        "class": [miou(side, labels) for side in sides],
        "ignored": [miou(side, ignoring) for side in sides],
    }
    other = "ignored" if taken == "class" else "class"
    found = report.to_dict()["labels"]
    assert (found["reading"], found["other"]["reading"]) == (taken, other)
    assert [found["reference"], found["candidate"]] == pytest.approx(readings[taken])
    assert [found["other"]["reference"], found["other"]["candidate"]] == pytest.approx(readings[other])
    assert "255 was read as" in report.remarks[0] and "ignore_index" in report.remarks[0]
    assert found["fits"] is None


@pytest.mark.parametrize("printed", ["class", "ignored"])
def test_a_printed_score_tells_which_reading_was_meant(printed: str, tmp_path: Path) -> None:
    labels = truth()
    meant = labels if printed == "class" else [255 * label for label in labels]
    score = round(100 * miou(wrong(labels, 0.1, 7), meant), 2)
    report = scored(tmp_path, reference_score=score)
    assert report.labels is not None and report.labels.fits == printed


def test_more_classes_than_two_make_255_the_ignore_index(tmp_path: Path) -> None:
    labels = truth()
    masks = [np.where(mask == 1, 5, mask) for mask in wrong(labels, 0.1, 7)]
    report = segdiff.score(
        folder(tmp_path, "labels", [255 * label for label in labels]),
        folder(tmp_path, "ours", masks),
        folder(tmp_path, "theirs", masks),
    )
    assert report.labels is not None and report.labels.taken == "ignored"
    assert (report.images, report.skipped) == (3, 0)


@pytest.mark.parametrize(
    ("values", "options"),
    [((0, 1), {}), ((0, 1, 255), {}), ((0, 255), {"ignore_index": None}), ((0, 255), {"ignore_index": 9})],
)
def test_no_doubt(values: tuple[int, ...], options: dict[str, Any], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = [random.choice(values, SHAPE) for _ in range(2)]
    masks = folder(tmp_path, "masks", truth()[:2])
    report = segdiff.score(folder(tmp_path, "labels", labels), masks, masks, **options)
    assert report.labels is None
    assert report.to_dict()["labels"] is None


@pytest.mark.parametrize(("channels", "taken"), [(2, "class"), (5, "ignored")])
def test_evaluate_reads_by_the_number_of_classes(channels: int, taken: str, tmp_path: Path) -> None:
    net = Net((1, 3, *SHAPE), name="x")
    model = save(net.model(net.conv("x", (3, channels))), tmp_path / "model.onnx")
    random = np.random.default_rng(5)
    folder(tmp_path, "images", [random.integers(0, 256, (*SHAPE, 3)) for _ in range(3)])
    folder(tmp_path, "labels", [255 * label for label in truth()])
    out = tmp_path / "report.json"
    for _ in range(2):  # the second time from what was kept
        report = segdiff.evaluate(
            model, model, tmp_path / "images", labels=tmp_path / "labels", out=out, timeout=60
        )
        assert report.labels is not None
        assert report.labels.taken == taken
        assert report.labels.scores != report.labels.other
        assert "ignore_index" in report.remarks[0]


def test_the_short_answer_tells_both_readings_whole(tmp_path: Path) -> None:
    from segdiff.report.short_score import _sureness

    notes = [text for name, text in _sureness(scored(tmp_path)) if name == "labels"]
    assert "255 was read as class 1" in notes[0] and "ignore_index" in notes[0], notes[0]
    assert "--label-encoding index" in notes[0]
