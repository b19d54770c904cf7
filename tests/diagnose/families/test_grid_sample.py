"""GridSample: aligned corners, what lies outside, how neighbours are mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from tests.diagnose.in_process import cause, outputs_of, paddle_op, planted
from tests.models import Net, image

SHAPE = (1, 3, 8, 12)
GRID = np.random.default_rng(0).uniform(-1.3, 1.3, (1, 5, 6, 2)).astype(np.float32)


def sampled(opset: int = 16, **settings: object) -> ModelProto:
    net = Net(SHAPE, opset=opset)
    return net.model(net.node("GridSample", "x", net.constant(GRID), **{"align_corners": 1, **settings}))


@pytest.mark.parametrize(
    "kind", ["grid_sample.align_corners", "grid_sample.padding_mode", "grid_sample.mode"]
)
@pytest.mark.parametrize("opset", [16, 20])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_fault_is_named_and_proven(kind: str, opset: int, seed: int, tmp_path: Path) -> None:
    found = planted(sampled(opset), kind, {"x": image(SHAPE)}, tmp_path, seed)
    assert (found.kind, found.proven) == (kind, True)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("opset", [16, 20])
def test_paddle_asks(padding: str, opset: int, tmp_path: Path) -> None:
    x = {"x": image(SHAPE)}
    attributes = {"align_corners": False, "mode": "bilinear", "padding_mode": padding}
    reference = paddle_op("grid_sampler", {"X": None, "Grid": GRID}, attributes)
    healthy = sampled(opset, padding_mode=padding, align_corners=0)
    faulty = sampled(opset, padding_mode="border" if padding == "zeros" else "zeros", align_corners=0)
    out = faulty.graph.output[0].name
    truth = next(iter(outputs_of(healthy, x).values()))
    found = cause(reference, faulty, x, {out: truth}, tmp_path)
    assert (found.kind, found.proven) == ("grid_sample.padding_mode", True)
    assert found.hypothesis is not None and found.hypothesis.expected


def test_another_grid_is_no_setting(tmp_path: Path) -> None:
    x = {"x": image(SHAPE)}
    healthy = sampled()
    out = healthy.graph.output[0].name
    reference = paddle_op("grid_sampler", {"X": None, "Grid": GRID}, {"align_corners": True})
    truth = outputs_of(healthy, x)[out][..., ::-1].copy()
    assert not cause(reference, healthy, x, {out: truth}, tmp_path).proven
