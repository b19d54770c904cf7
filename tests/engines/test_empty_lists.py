"""A list of nothing is a setting like any other: paddle2onnx 1.1.0 sums over all axes with ``axes=[]``."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import AttributeProto, ModelProto

import segdiff
from tests.models import Net, find_node, image, save


def summed() -> ModelProto:
    net = Net(opset=11)
    x = net.conv("x", (3, 4))
    total = net.node("ReduceSum", x, axes=[1], keepdims=1)
    model = net.model(net.node("Mul", x, net.node("Sigmoid", total)))
    (axes,) = [a for a in find_node(model, "ReduceSum").attribute if a.name == "axes"]
    del axes.ints[:]
    assert axes.type == AttributeProto.INTS
    return model


@pytest.mark.parametrize("healthy", [False, True])
def test_a_model_with_empty_lists_is_judged(healthy: bool, tmp_path: Path) -> None:
    model = summed()
    other = ModelProto.FromString(model.SerializeToString())
    if not healthy:
        find_node(other, "Sigmoid").op_type = "Tanh"
    files = [save(each, tmp_path / f"{name}.onnx") for name, each in (("ours", model), ("theirs", other))]
    report = segdiff.locate(*files, image(), timeout=60)
    assert report.verdict == ("agrees" if healthy else "diverges"), report.sentence
