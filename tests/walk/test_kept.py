"""What is kept for the proofs stays within its room; the reference's tensors go before the candidate's."""

from __future__ import annotations

import numpy as np

from segdiff.engines import Tensor
from segdiff.walk.kept import Kept


def tensors(**sizes: int) -> dict[str, Tensor]:
    return {name: Tensor(np.zeros(size, np.uint8)) for name, size in sizes.items()}


def test_what_fits_is_held_once() -> None:
    kept, live = Kept(room=10), tensors(a=4, b=5, c=3)
    kept.hold(["a", "b", "a", "c", "gone"], live)
    assert list(kept.held) == ["a", "b"] and kept.room == 1


def test_the_candidates_own_take_half_of_the_room_at_most() -> None:
    kept = Kept(room=10)
    kept.start_from(tensors(a=3, b=3))
    assert not kept.frontier and kept.room == 10
    kept.start_from(tensors(a=3, b=2))
    assert set(kept.frontier) == {"a", "b"} and kept.room == 5


def test_they_make_way_for_the_references() -> None:
    kept = Kept(room=10)
    kept.start_from(tensors(own=4))
    kept.hold(["a"], tensors(a=6))
    assert kept.frontier and kept.room == 0
    kept.hold(["b"], tensors(b=4))
    assert not kept.frontier and set(kept.held) == {"a", "b"} and kept.room == 0
    kept.hold(["c"], tensors(c=1))
    assert "c" not in kept.held
