"""Which input is which, where converters write them in another order, under other names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

import segdiff
from tests import models
from tests.models import Net


def two_inputs(clicks: tuple[int, ...]) -> ModelProto:
    """A picture and a map of clicks, each through a convolution of its own, joined by a third."""
    net = Net((1, 3, 16, 24))
    net.inputs.append(helper.make_tensor_value_info("clicks", TensorProto.FLOAT, list(clicks)))
    side = net.conv("clicks", (clicks[1], 4))
    joined = net.node("Add", net.node("Relu", net.conv("x", (3, 4))), side)
    return net.model(net.conv(joined, (4, 5)))


def turned(model: ModelProto, names: dict[str, str]) -> ModelProto:
    """The same model with its inputs the other way round, and under other names."""
    found = models.copied(model)
    inputs = list(found.graph.input)[::-1]
    del found.graph.input[:]
    found.graph.input.extend(inputs)
    for item in found.graph.input:
        item.name = names.get(item.name, item.name)
    for node in found.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    return found


@pytest.mark.parametrize("clicks", [(1, 3, 16, 24), (1, 2, 1, 1)], ids=["same form", "other form"])
@pytest.mark.parametrize("names", [{}, {"x": "a", "clicks": "b"}], ids=["named", "unnamed"])
def test_inputs_in_another_order(clicks: tuple[int, ...], names: dict[str, str], tmp_path: Path) -> None:
    ours = two_inputs(clicks)
    files = tmp_path / "a.onnx", tmp_path / "b.onnx"
    onnx.save(ours, files[0])
    onnx.save(turned(ours, names), files[1])
    random = np.random.default_rng(1)
    feeds = {
        "x": random.normal(size=(1, 3, 16, 24)).astype(np.float32),
        "clicks": random.normal(size=clicks).astype(np.float32),
    }
    report = segdiff.locate(*files, feeds, threads=1)
    assert report.verdict == "agrees", report.sentence
    assert report.coverage == (1.0, 1.0)
