"""Small pictures of tensors of any shape."""

from __future__ import annotations

from base64 import b64decode

import cv2
import numpy as np
import pytest

from segdiff.report.thumbnails import CHANNELS, GAP, channels_of, grey, heat, limits, telling


def decoded(uri: str) -> np.ndarray:
    png = b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED))


SHAPES = [(1, 3, 5, 7), (2, 4), (9,), (1, 2, 3, 4, 5), (1, 300, 8, 8), (1, 2, 900, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_any_shape_is_small(shape: tuple[int, ...]) -> None:
    planes = channels_of(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    shown = planes[telling(planes)]
    assert len(shown) <= CHANNELS
    picture = decoded(grey(shown, limits(shown)))
    assert picture.shape[0] <= 96
    assert picture.shape[1] <= CHANNELS * (96 + GAP)


def test_the_channels_that_differ_most() -> None:
    planes = np.zeros((20, 4, 4), np.float32)
    other = planes.copy()
    other[[3, 17]] = 1
    other[11] = np.nan
    assert {3, 11, 17} <= set(telling(planes, other))


def test_black_and_white_are_the_limits_and_what_is_not_finite_stands_out() -> None:
    plane = np.array([[[0.0, 1.0], [np.nan, 2.0]]], np.float32)
    picture = decoded(grey(plane, limits(plane)))
    step = picture.shape[0] // 2
    assert picture[0, 0, :3].tolist() == [0, 0, 0]
    assert picture[step, step, :3].tolist() == [255, 255, 255]
    assert picture[step, 0, :3].tolist() == [255, 0, 255]
    error = np.array([[[0.0, 0.5], [0.25, 1.0]]], np.float32)
    shown = decoded(heat(error))[:, :, :3].astype(int)
    corners = [shown[y, x].sum() for y, x in ((0, 0), (-1, 0), (0, -1), (-1, -1))]
    assert corners == sorted(corners)  # brighter where the error is larger
    assert corners[0] < 60
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 4
