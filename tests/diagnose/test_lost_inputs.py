"""An operand that the candidate dropped is put back, though its segment does not read that tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

import segdiff
from tests.models import Net, save


def recurrent(op_type: str, gates: int, lengths: bool) -> ModelProto:
    """A recurrent layer whose sequences end early, or do not."""
    net = Net((6, 3, 4), seed=5, opset=13)
    net.inputs.append(helper.make_tensor_value_info("n", TensorProto.INT32, [3]))
    weights = [net.weight(1, gates * 5, 4), net.weight(1, gates * 5, 5)]
    more = ["", "n"] if lengths else []
    x = net.node("Tanh", "x")
    y = net.node(op_type, x, *weights, *more, hidden_size=5)
    return net.model(net.node("Squeeze", y, net.constant([1], np.int64)))


@pytest.mark.parametrize(("op_type", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_lost_lengths_are_the_cause_and_are_put_back(op_type: str, gates: int, tmp_path: Path) -> None:
    ours = save(recurrent(op_type, gates, True), tmp_path / "ours.onnx")
    theirs = save(recurrent(op_type, gates, False), tmp_path / "theirs.onnx")
    x = np.random.default_rng(1).standard_normal((6, 3, 4)).astype(np.float32)
    feeds = {"x": x, "n": np.array([6, 2, 4], np.int32)}
    report = segdiff.locate(ours, theirs, feeds, threads=1, deployed=False)
    assert report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("recurrent.sequence_lens", True)
    effect = report.first.effect
    assert effect is not None and effect.final_error_removed is not None and effect.final_error_removed > 0.99
    report.repair(tmp_path / "fixed.onnx")
    fixed = segdiff.locate(ours, tmp_path / "fixed.onnx", feeds, threads=1, deployed=False)
    assert fixed.verdict == "agrees"
