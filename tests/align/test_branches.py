"""A branch of a .pdmodel is one op, as in the other formats."""

from __future__ import annotations

from pathlib import Path

from segdiff.align import align
from segdiff.align.view import view_of
from segdiff.core.graph import Graph
from tests.models import hand_made


def branching() -> Graph:
    """What Paddle 2 writes for cond(greater, relu, sub)."""
    return hand_made(
        [
            ("conv2d", ["x"], ["h"]),
            ("greater_than", ["x"], ["c"]),
            ("conditional_block", ["h"], ["left", "scope"]),
            ("logical_not", ["c"], ["not_c"]),
            ("conditional_block", ["h"], ["right", "scope@1"]),
            ("cast", ["c"], ["m"]),
            ("select_input", ["m", "left", "right"], ["y"]),
        ],
        outputs=["y"],
    )


def test_selecting_reads_what_the_blocks_read() -> None:
    view = view_of(branching())
    assert [op.type for op in view.ops] == ["conv2d", "greater_than", "cast", "select_input"]
    assert view.reads[6] == ("m", "h")


def test_captured_values_come_in_any_order(tmp_path: Path) -> None:
    def made(order: tuple[int, ...]) -> Graph:
        ops = [("relu", ["x"], ["a"]), ("abs", ["x"], ["b"])]
        names = [("a", "b")[n] for n in order]
        return hand_made([*ops, ("if", names, ["y", "unread"]), ("tanh", ["y"], ["z"])], outputs=["z"])

    found = align(made((0, 1)), made((1, 0)))
    assert found.pairs == {"x": "x", "a": "a", "b": "b", "y": "y", "z": "z"}


def test_a_loop_pairs_what_is_read_of_what_it_carries() -> None:
    ours = hand_made(
        [("relu", ["x"], ["a"]), ("while", ["a"], ["v", "steps"]), ("tanh", ["v"], ["z"])], outputs=["z"]
    )
    theirs = hand_made(
        [("Relu", ["x"], ["a"]), ("Loop", ["a"], ["weight", "v"]), ("Tanh", ["v"], ["z"])],
        outputs=["z"],
        format="onnx",
    )
    assert align(ours, theirs).pairs == {"x": "x", "a": "a", "v": "v", "z": "z"}
