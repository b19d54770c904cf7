"""Are the elements of a made batch different, and is another size what was said?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segdiff.inputs import DeployConfig, Prepared
from segdiff.inputs.several import batched, config_at, resized


def prepared(**tensors: np.ndarray) -> Prepared:
    return Prepared(tensors, (), None)


def test_no_two_elements_are_alike_and_the_first_is_the_image() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 8, 12)).astype(np.float32)
    made = batched(prepared(x=x), 8, ["x"]).tensors["x"]
    assert made.shape == (8, 3, 8, 12) and made.dtype == np.float32
    assert np.array_equal(made[0], x[0])
    assert all(not np.allclose(made[a], made[b]) for a in range(8) for b in range(a))
    means = made.mean((1, 2, 3))  # what is pooled over an element differs, too
    assert np.all(np.diff(means) < -1e-3)
    assert made.min() >= x.min() and made.max() <= x.max()


def test_given_elements_come_first() -> None:
    x = np.random.default_rng(0).uniform(0, 1, (2, 3, 4, 4)).astype(np.float16)
    made = batched(prepared(x=x), 5, ["x"]).tensors["x"]
    assert np.array_equal(made[:2], x) and made.dtype == np.float16
    assert not np.array_equal(made[2], x[0])
    assert batched(prepared(x=x), 1, ["x"]).tensors["x"].shape[0] == 1


def test_whole_numbers_keep_their_values() -> None:
    x = np.arange(12, dtype=np.int64)[None]
    made = batched(prepared(x=x), 3, ["x"]).tensors["x"]
    assert all(set(row) == set(range(12)) for row in made) and len({tuple(row) for row in made}) == 3


def test_sizes_of_pictures_are_repeated_as_they_are() -> None:
    x, shape = np.zeros((1, 3, 4, 4), np.float32), np.array([[4, 4]], np.float32)
    made = batched(prepared(x=x, im_shape=shape), 3, ["x", "im_shape"]).tensors["im_shape"]
    assert np.array_equal(made, np.repeat(shape, 3, 0))


def test_values_that_are_not_finite_stay() -> None:
    x = np.full((1, 3, 4, 4), np.inf, np.float32)
    assert np.isinf(batched(prepared(x=x), 2, ["x"]).tensors["x"]).all()


def test_another_size_is_linear_and_channels_may_be_last() -> None:
    x = np.broadcast_to(np.linspace(0, 1, 8, dtype=np.float32), (1, 3, 4, 8))
    first = resized(prepared(x=np.array(x)), (8, 16))
    last = resized(prepared(x=np.ascontiguousarray(np.moveaxis(x, 1, 3))), (8, 16))
    assert first.tensors["x"].shape == (1, 3, 8, 16) and last.tensors["x"].shape == (1, 8, 16, 3)
    assert np.array_equal(np.moveaxis(last.tensors["x"], 3, 1), first.tensors["x"])
    assert np.all(np.diff(first.tensors["x"][0, 0, 0]) >= 0) and "from 4x8 to 8x16 linearly" in first.how[0]


def test_what_is_of_the_size_already_is_not_touched() -> None:
    x = np.zeros((1, 3, 4, 8), np.float32)
    same = resized(prepared(x=x), (4, 8))
    assert same.tensors["x"] is x and same.how == ()


def test_sizes_that_paddledetection_feeds_follow() -> None:
    x = np.zeros((1, 3, 4, 8), np.float32)
    given = prepared(x=x, im_shape=np.array([[4, 8]], np.float32), scale_factor=np.ones((1, 2), np.float32))
    made = resized(given, (8, 32)).tensors
    assert made["im_shape"].tolist() == [[8, 32]] and made["scale_factor"].tolist() == [[2, 4]]


def test_one_resize_of_a_config_is_brought_to_the_size() -> None:
    config = DeployConfig(Path("deploy.yaml"), (("Resize", {"target_size": [9, 9]}), ("Normalize", {})))
    changed = config_at(config, (4, 8))
    assert changed and changed.transforms and changed.transforms[0][1]["target_size"] == [8, 4]
    twice = DeployConfig(Path("deploy.yaml"), (("Resize", {}), ("Resize", {})))
    assert config_at(twice, (4, 8)) is twice and config_at(None, (4, 8)) is None
