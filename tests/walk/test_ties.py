"""On a plain page nearly all elements are equal: which of them a TopK picks is nobody's fault."""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.core.graph import Op
from segdiff.walk.ties import picks_equal

DATA = np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 2.0]])


@pytest.mark.parametrize(("theirs", "equal"), [([2, 2], True), ([0, 2], False), ([7, 2], False)])
def test_places_are_compared_by_what_stands_there(theirs: list[int], equal: bool) -> None:
    op = Op(0, "ArgMax", "", ("x",), ("0",), ("y",), {"axis": 1, "keepdims": 0})
    assert picks_equal(op, DATA, np.array([1, 0]), np.array(theirs)) is equal


def test_each_place_of_a_topk_counts() -> None:
    op = Op(0, "TopK", "", ("x", "k"), ("0", "1"), ("v", "i"), {})
    ours = np.array([[1, 2], [0, 2]])
    assert picks_equal(op, DATA, ours, ours[:, ::-1])
    assert not picks_equal(op, DATA, ours, np.array([[1, 0], [0, 2]]))
    assert not picks_equal(op, DATA, ours, ours[:, :1])
