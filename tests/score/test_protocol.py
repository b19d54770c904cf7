"""Protocols, the table between two scores, and what saved masks cannot tell."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from segdiff.core.errors import InputError
from segdiff.score.areas import areas, scores
from segdiff.score.attribution import Passage, attributed, with_published
from segdiff.score.bounds import Bounds
from segdiff.score.protocol import (
    DATASET,
    EVALUATED,
    LABEL,
    Frame,
    Protocol,
    Tally,
    framed,
    per_image,
    protocol_of,
    steps_between,
)

PROTOCOLS = [DATASET, EVALUATED, per_image("linear"), per_image("nearest"), Protocol("image", LABEL)]


@pytest.mark.parametrize(("start", "end"), list(itertools.product(PROTOCOLS, repeat=2)))
def test_one_change_a_step_and_the_end_is_reached(start: Protocol, end: Protocol) -> None:
    path = (start, *steps_between(start, end))
    assert path[-1] == end
    for before, after in itertools.pairwise(path):
        assert (before.over != after.over) + (before.frame != after.frame) == 1


@pytest.mark.parametrize(("start", "end"), list(itertools.product(PROTOCOLS, repeat=2)))
def test_the_points_add_up_to_the_gap(start: Protocol, end: Protocol) -> None:
    rng = np.random.default_rng(len(str(start) + str(end)))
    table: dict[tuple[int, Protocol], float] = {}

    def lookup(side: int) -> object:
        return lambda protocol: table.setdefault((side, protocol), float(rng.random()))

    changes = [Passage("network", "network", "", lookup(1)), Passage("input", "input", "", lookup(2))]  # type: ignore[arg-type]
    found = attributed(lookup(0), changes, start, end)  # type: ignore[arg-type]
    assert found.start == table[0, start]
    assert found.end == table[2, end]
    assert sum(step.points for step in found.steps) == pytest.approx(found.gap, abs=1e-12)
    printed = with_published(found, 0.5, 0.25, None, None)
    assert (printed.start, printed.end) == (0.5, 0.25)
    assert sum(step.points for step in printed.steps) == pytest.approx(-0.25, abs=1e-12)


def test_per_image_means_leave_absent_classes_out() -> None:
    one = areas(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), 2)
    other = areas(np.array([[0, 0], [1, 1]], np.uint8), np.array([[0, 1], [1, 1]], np.uint8), 2)
    tally = Tally(2)
    tally.add(one)
    tally.add(other)
    found = tally.scores("image")
    assert found.miou == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2)
    assert found.class_iou == pytest.approx(((1 + 1 / 2) / 2, 2 / 3))
    assert tally.scores("dataset").miou == pytest.approx((5 / 6 + 2 / 3) / 2)


def test_an_image_without_a_labelled_pixel_counts_in_no_mean() -> None:
    tally = Tally(2)
    tally.add(areas(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8), 2))
    assert tally.images == 0
    assert np.isnan(tally.scores("image").miou)


def test_the_label_is_resized_as_cv2_does_it() -> None:
    rng = np.random.default_rng(0)
    mask, label = rng.integers(0, 3, (8, 10)).astype(np.uint8), rng.integers(0, 3, (20, 31)).astype(np.uint8)
    assert np.array_equal(framed(mask, label, Frame("mask", "linear"))[1], cv2.resize(label, (10, 8)))
    nearest = cv2.resize(label, (10, 8), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(framed(mask, label, Frame("mask", "nearest"))[1], nearest)
    larger = cv2.resize(mask, (31, 20), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(framed(mask, label, LABEL)[0], larger)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("classes", [2, 4])
def test_any_logits_score_within_the_bounds(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    logits = cv2.GaussianBlur(rng.standard_normal((24, 32, classes)).astype(np.float32), (0, 0), 3)
    logits *= rng.uniform(0.1, 10, (24, 32, 1)).astype(np.float32)
    size = [(57, 91), (24, 70), (48, 64), (15, 20)][seed % 4]
    label = rng.integers(0, classes, size).astype(np.uint8)
    label[:3] = 255
    mask = logits.argmax(2).astype(np.uint8)
    exact = cv2.resize(logits, size[::-1], interpolation=cv2.INTER_LINEAR).argmax(2).astype(np.uint8)
    bounds = Bounds.none(classes)
    bounds.add(mask, label, 255)
    low, high = bounds.miou()
    assert low - 1e-12 <= scores(areas(exact, label, classes)).miou <= high + 1e-12
    assert 0 < bounds.share < 1


@pytest.mark.parametrize("words", [("images", "linear"), ("dataset", "bicubic")])
def test_unknown_words_are_refused(words: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=words[0] if words[0] != "dataset" else words[1]):
        protocol_of(*words)
