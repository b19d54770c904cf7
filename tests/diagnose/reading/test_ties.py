"""The same elements in another order, where the reference asks for none."""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.core.graph import Array
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.ties import in_no_order
from tests.models import hand_made

VALUES = np.array([[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]], np.float32)


def case(sorted_: bool, got: Array) -> Case:
    ours = hand_made([("topk", ["x"], ["v"], {"axis": -1, "sorted": sorted_})], outputs=["v"], format="pir")
    theirs = hand_made([("TopK", ["x"], ["v"], {})], outputs=["v"], format="onnx")
    return Case(
        reference=ours,
        candidate=theirs,
        reference_ops=ours.ops,
        ops=theirs.ops,
        nodes=theirs.ops,
        inputs=(("x", "x"),),
        outputs=(("v", "v"),),
        feeds={"x": VALUES},
        truth={"v": VALUES},
        got={"v": got},
        forms={},
    )


@pytest.mark.parametrize(
    ("sorted_", "got", "told"),
    [
        (False, VALUES[:, ::-1], True),
        (True, VALUES[:, ::-1], False),  # an order was asked for
        (False, VALUES[:, ::-1] + 1, False),  # other elements
        (False, VALUES[::-1], False),  # of other rows
    ],
)
def test_an_order_that_nobody_asked_for(sorted_: bool, got: Array, told: bool) -> None:
    assert (in_no_order(case(sorted_, got)) is not None) is told
