"""On a white page two right sums differ by more than any last bit; what is left of a difference shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

import segdiff
from segdiff.core.graph import Array
from tests.models import Net, image, save

SHAPE = (1, 3, 96, 160)


def spread(mean: str, epsilon: float = 1e-5) -> ModelProto:
    """x / sqrt(variance + epsilon), the mean of all pixels written in one of four ways."""
    net = Net(SHAPE, seed=2, opset=18)
    deep = net.node("Relu", net.conv("x", (3, 8)))

    def mean_of(value: str) -> str:
        if mean == "pool":
            return net.node("GlobalAveragePool", value)
        if mean == "rows":  # row by row, then column by column: an order of its own
            first = net.node("ReduceMean", value, net.constant([3], np.int64))
            return net.node("ReduceMean", first, net.constant([2], np.int64))
        if mean == "turned":  # as with channels last
            last = net.node("Transpose", value, perm=[0, 2, 3, 1])
            found = net.node("ReduceMean", last, net.constant([1, 2], np.int64))
            return net.node("Transpose", found, perm=[0, 3, 1, 2])
        return net.node("ReduceMean", value, net.constant([2, 3], np.int64))

    centred = net.node("Sub", deep, mean_of(deep))
    variance = net.node("Add", mean_of(net.node("Mul", centred, centred)), net.constant(epsilon))
    return net.model(net.node("Div", centred, net.node("Sqrt", variance)))


def plain(share: float) -> Array:
    """One brightness all over, but for a few pixels."""
    specks = np.random.default_rng(6).random(SHAPE[2:]) < 0.001
    return np.where(specks, np.float32(-1), np.float32(share)) * np.ones(SHAPE, np.float32)


@pytest.mark.parametrize("ways", [("rows", "pool"), ("turned", "reduce"), ("reduce", "turned")])
@pytest.mark.parametrize("share", [1.0, 0.7])
def test_right_variances_agree_on_a_plain_page(ways: tuple[str, str], share: float, tmp_path: Path) -> None:
    files = [save(spread(way), tmp_path / f"{place}.onnx") for place, way in enumerate(ways)]
    report = segdiff.locate(*files, plain(share), threads=1, deployed=False)
    assert report.verdict == "agrees", report.sentence


def test_an_epsilon_is_found_on_a_textured_page(tmp_path: Path) -> None:
    ours, theirs = spread("reduce"), spread("reduce", 1e-3)
    files = [save(ours, tmp_path / "ours.onnx"), save(theirs, tmp_path / "theirs.onnx")]
    report = segdiff.locate(*files, image(SHAPE), threads=1, deployed=False)
    assert report.verdict == "diverges" and report.first is not None and report.first.cause is not None
    assert report.first.cause.proven
