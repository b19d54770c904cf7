"""Maps of classes and of errors, at the size of a picture."""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.core.pictured import class_map, error_map, matches, nearest, pooled, thumbnail_size

SIZE = 16, 24
RANDOM = np.random.default_rng(0)


def test_logits_are_classes_by_their_largest_channel() -> None:
    logits = RANDOM.standard_normal((1, 5, 8, 12))
    found = class_map(logits, SIZE)
    assert found is not None and found.dtype == np.uint8
    assert np.array_equal(found, logits[0].argmax(axis=0))


@pytest.mark.parametrize("shape", [(1, 16, 24), (1, 1, 16, 24), (16, 24), (2, 16, 24)])
def test_integers_are_classes_already(shape: tuple[int, ...]) -> None:
    classes = RANDOM.integers(0, 300, shape)
    found = class_map(classes, SIZE)
    assert found is not None and found.dtype == np.uint16
    assert np.array_equal(found, classes.reshape(-1, *SIZE)[0])


def test_one_channel_of_probabilities_is_cut_at_one_half() -> None:
    odds = RANDOM.random((1, 1, *SIZE)).astype(np.float32)
    found = class_map(odds, SIZE)
    assert found is not None and np.array_equal(found, odds[0, 0] > 0.5)
    assert class_map(odds * 4 - 2, SIZE) is None


@pytest.mark.parametrize("shape", [(1, 1000), (1, 5, 1, 1), (1, 40, 97), (1, 5, 24, 16), (1, 0, 16, 24), ()])
def test_what_is_no_map_of_the_picture_has_no_mask(shape: tuple[int, ...]) -> None:
    assert class_map(np.zeros(shape, np.float32), SIZE) is None


def test_a_map_may_be_rounded_by_strided_layers() -> None:
    assert matches((7, 13), (100, 200)) and matches((4, 7), (100, 200))
    assert not matches((7, 7), (100, 200)) and not matches((1, 2), (100, 200))


@pytest.mark.parametrize(
    ("shape", "turned"),
    [((1, 5, 8, 12), None), ((1, 8, 12, 5), (0, 3, 1, 2)), ((1, 96, 5), None), ((1, 8, 12), None)],
)
def test_the_error_is_the_largest_over_the_channels(shape: tuple[int, ...], turned: object) -> None:
    truth = RANDOM.standard_normal(shape).astype(np.float32)
    got = truth.copy()
    got.reshape(-1)[7] += 2.0
    found = error_map(truth, got, SIZE)
    assert found is not None and found.shape == (8, 12)
    assert found.max() == pytest.approx(2.0) and (found > 0).sum() == 1


def test_numbers_that_are_none_count_as_infinite_unless_both_sides_have_them() -> None:
    truth, got = np.zeros((1, 1, 8, 12), np.float32), np.zeros((1, 1, 8, 12), np.float32)
    truth[0, 0, 0, 0] = got[0, 0, 0, 0] = np.nan
    got[0, 0, 1, 1] = np.nan
    found = error_map(truth, got, SIZE)
    assert found is not None and found[0, 0] == 0 and np.isinf(found[1, 1])


def test_a_vector_has_no_error_over_the_picture() -> None:
    assert error_map(np.zeros((1, 1000)), np.ones((1, 1000)), SIZE) is None
    assert error_map(np.zeros((1, 4, 8, 12)), np.ones((1, 3)), SIZE) is None


def test_shrinking_an_error_keeps_its_peaks() -> None:
    plane = np.zeros((100, 200), np.float32)
    plane[37, 91] = 5.0
    assert pooled(plane, (10, 20)).max() == 5.0
    assert pooled(plane, (200, 400)).sum() == 4 * 5.0


def test_thumbnails() -> None:
    assert thumbnail_size((1024, 2048)) == (256, 512) and thumbnail_size((16, 24)) == (16, 24)
    assert np.array_equal(nearest(np.arange(4).reshape(2, 2), (4, 4))[::2, ::2], [[0, 1], [2, 3]])
