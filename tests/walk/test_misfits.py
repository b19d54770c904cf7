"""Pairs of another shape: which are a finding, and which only tell that they were paired wrongly?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

import segdiff
from tests.models import Array, Net, save

STEPS, BATCH, SIZE, HIDDEN = 6, 2, 5, 4
FEED = np.random.default_rng(4).standard_normal((STEPS, BATCH, SIZE)).astype(np.float32)


def weights(scale: float = 1.0) -> dict[str, Array]:
    draw = np.random.default_rng(6).standard_normal
    found = {"W": (2, 4 * HIDDEN, SIZE), "R": (2, 4 * HIDDEN, HIDDEN), "B": (2, 8 * HIDDEN)}
    made = {name: draw(shape).astype(np.float32) for name, shape in found.items()}
    made["R"][1] *= np.float32(scale)
    return made


def whole() -> ModelProto:
    """Both directions in one node; its last state goes into the second output."""
    net, held = Net((STEPS, BATCH, SIZE)), weights()
    operands = [net.constant(held[name], name=name) for name in "WRB"]
    ends, more = ("y", "last"), {"hidden_size": HIDDEN, "direction": "bidirectional"}
    y, last = net.node("LSTM", net.node("Tanh", "x"), *operands, outputs=ends, **more), ends[1]
    rows = net.node("Transpose", y, perm=[0, 2, 1, 3])
    joined = net.node("Reshape", rows, net.constant([STEPS, BATCH, 2 * HIDDEN], np.int64))
    return headed(net, joined, net.node("Gather", last, net.constant(1, np.int64), axis=0))


def headed(net: Net, rows: str, last: str) -> ModelProto:
    """The end of both networks."""
    weight = np.random.default_rng(8).standard_normal((2 * HIDDEN, 3))
    return net.model(net.node("Sigmoid", net.node("MatMul", rows, net.constant(weight))), last)


def apart(scale: float = 1.0) -> ModelProto:
    """A node for each direction."""
    net, held = Net((STEPS, BATCH, SIZE)), weights(scale)
    parts, last, first = [], "", net.node("Tanh", "x")
    for side, direction in enumerate(("forward", "reverse")):
        operands = [net.constant(held[name][side : side + 1], name=f"{name}{side}") for name in "WRB"]
        last = f"last{side}"
        ends, more = (f"y{side}", last), {"hidden_size": HIDDEN, "direction": direction}
        y = net.node("LSTM", first, *operands, outputs=ends, **more)
        rows = net.node("Transpose", y, perm=[0, 2, 1, 3])
        parts.append(net.node("Reshape", rows, net.constant([STEPS, BATCH, HIDDEN], np.int64)))
    joined = net.node("Concat", *parts, axis=2)
    return headed(net, joined, net.node("Gather", last, net.constant(0, np.int64), axis=0))


def located(reference: ModelProto, candidate: ModelProto, folder: Path, feed: Array = FEED) -> segdiff.Report:
    files = save(reference, folder / "ours.onnx"), save(candidate, folder / "theirs.onnx")
    return segdiff.locate(*files, feed, threads=1, deployed=False)


def test_one_node_for_two_directions_or_one_for_each(tmp_path: Path) -> None:
    report = located(whole(), apart(), tmp_path)
    assert report.verdict == "agrees", report.sentence


def test_a_fault_in_one_of_them_is_told(tmp_path: Path) -> None:
    report = located(whole(), apart(scale=1.5), tmp_path)
    assert report.verdict == "diverges" and report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("parameter.scale", True)


def product(flat: bool, scale: float = 1.0) -> ModelProto:
    """A reshape in front of a matrix product: of rows of words, or of one long list of them."""
    net = Net((STEPS, BATCH, SIZE))
    weight = np.random.default_rng(7).standard_normal((SIZE, 3)).astype(np.float32) * np.float32(scale)
    held = net.constant(weight, name="weight")
    bias = net.constant(np.zeros(3), name="bias")
    turned = net.node("Transpose", "x", perm=[1, 0, 2])
    if not flat:
        rows = net.node("Reshape", turned, net.constant([3, 4, SIZE], np.int64))
        return net.model(net.node("Add", net.node("MatMul", rows, held), bias))
    rows = net.node("Reshape", turned, net.constant([STEPS * BATCH, SIZE], np.int64))
    made = net.node("Gemm", rows, held, bias)
    return net.model(net.node("Reshape", made, net.constant([3, 4, 3], np.int64)))


@pytest.mark.parametrize("turn", [False, True])
def test_a_product_of_rows_is_one_of_a_long_list(turn: bool, tmp_path: Path) -> None:
    report = located(product(flat=turn), product(flat=not turn), tmp_path)
    assert report.verdict == "agrees", report.sentence


def test_its_weight_is_still_judged(tmp_path: Path) -> None:
    report = located(product(flat=False), product(flat=True, scale=1.25), tmp_path)
    assert report.verdict == "diverges" and report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("parameter.scale", True)
