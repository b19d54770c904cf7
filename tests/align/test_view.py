"""What of a graph computes, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segdiff.align.view import View, in_onnx_order, view_of
from segdiff.core.graph import Op
from tests.models import Net, graph_of, hand_made, if_network, segmenter

ONE = np.ones(3, np.float32)


def types(view: View) -> list[str]:
    return [op.type for op in view.ops]


def test_ops_on_constants_are_parameters_of_whoever_reads_them() -> None:
    view = view_of(
        hand_made(
            [("Transpose", ["w"], ["wt"]), ("Mul", ["wt", "s"], ["ws"]), ("MatMul", ["x", "ws"], ["y"])],
            outputs=["y"],
            parameters={"w": ONE, "s": ONE},
        )
    )
    assert types(view) == ["MatMul"]
    assert set(view.parameters_of[2]) == {"w", "s"}
    assert view.reads[2] == ("x",)


def test_arithmetic_on_shapes_is_left_out() -> None:
    view = view_of(
        hand_made(
            [
                ("Shape", ["x"], ["s"]),
                ("Slice", ["s", "two"], ["hw"]),
                ("Concat", ["two", "hw"], ["size"]),
                ("Resize", ["x", "size"], ["y"]),
            ],
            outputs=["y"],
            parameters={"two": ONE},
        )
    )
    assert types(view) == ["Resize"]
    assert view.reads[3] == ("x",)
    assert view.shape_values == {"s", "hw", "size"}


def test_ops_that_hand_a_tensor_on_are_resolved_through_a_chain() -> None:
    view = view_of(
        hand_made(
            [
                ("Identity", ["x"], ["a"]),
                ("Identity", ["a"], ["b"]),
                ("Relu", ["b"], ["r"]),
                ("Identity", ["r"], ["y"]),
            ],
            outputs=["y"],
        )
    )
    assert types(view) == ["Relu"]
    assert view.reads[2] == ("x",)
    assert view.source("b") == "x"
    assert view.outputs == ("r",)
    assert view.values == ("x", "r")


def test_ops_whose_result_nobody_reads_are_left_out() -> None:
    view = view_of(
        hand_made(
            [("Relu", ["x"], ["y"]), ("Exp", ["x"], ["dead"]), ("Log", ["dead"], ["deader"])], outputs=["y"]
        )
    )
    assert types(view) == ["Relu"]


def test_random_numbers_are_no_constant() -> None:
    view = view_of(hand_made([("RandomUniform", [], ["r"]), ("Add", ["x", "r"], ["y"])], outputs=["y"]))
    assert types(view) == ["RandomUniform", "Add"]
    assert view.reads[1] == ("x", "r")


def test_pirs_lists_are_taken_apart() -> None:
    view = view_of(
        hand_made(
            [
                ("split_with_num", ["x", "two"], ["list"]),
                ("builtin.split", ["list"], ["a", "b"]),
                ("relu", ["a"], ["r"]),
                ("builtin.combine", ["b", "r"], ["back"]),
                ("concat", ["back", "one"], ["y"]),
            ],
            outputs=["y"],
            parameters={"two": ONE, "one": ONE},
            format="pir",
        )
    )
    assert types(view) == ["split_with_num", "relu", "concat"]
    assert view.ops[0].outputs == ("a", "b")
    assert view.reads[4] == ("b", "r")
    assert view.values == ("x", "a", "b", "r", "y")
    assert view.producer["b"].type == "split_with_num"


def test_a_parameter_in_a_list_is_a_parameter_of_the_op() -> None:
    view = view_of(
        hand_made(
            [("builtin.combine", ["x", "w"], ["list"]), ("concat", ["list"], ["y"])],
            outputs=["y"],
            parameters={"w": ONE},
            format="pir",
        )
    )
    assert view.reads[1] == ("x",)
    assert view.parameters_of[1] == ("w",)


def test_paddles_alphabetical_slots_become_onnxs_order() -> None:
    conv = Op(0, "conv2d", "c", ("b", "w", "x"), ("Bias", "Filter", "Input"), ("y",), {})
    assert in_onnx_order(conv) == ("x", "w", "b")
    where = Op(0, "where", "w", ("c", "a", "b"), ("Condition", "X", "Y"), ("y",), {})
    assert in_onnx_order(where) == ("c", "a", "b")
    concat = Op(0, "concat", "c", ("a", "b", "c"), ("X", "X", "X"), ("y",), {})
    assert in_onnx_order(concat) == ("a", "b", "c")


def test_a_real_file_keeps_its_computing_ops_only(tmp_path: Path) -> None:
    view = view_of(graph_of(segmenter(), tmp_path))
    found = types(view)
    assert "Shape" not in found
    assert "Slice" not in found
    assert found.count("Concat") == 1
    assert found.count("MatMul") == 5
    assert found.count("Reshape") == 2
    assert view.values[0] == "x"
    assert set(view.outputs) <= set(view.values)


def test_what_a_branch_captures_is_read_by_the_if(tmp_path: Path) -> None:
    view = view_of(graph_of(if_network(), tmp_path))
    choice = next(op for op in view.ops if op.type == "If")
    conv = next(op for op in view.ops if op.type == "Conv")
    assert conv.outputs[0] in view.reads[choice.index]
    assert len(view.parameters_of[choice.index]) == 1


def test_split_outputs_are_values_each(tmp_path: Path) -> None:
    net = Net()
    net.node("Split", "x", net.constant([1, 2], np.int64), outputs=["one", "two"], axis=1)
    view = view_of(graph_of(net.model(net.node("Concat", "two", "one", axis=1)), tmp_path))
    assert view.values[:3] == ("x", "one", "two")
    assert view.reads[1] == ("two", "one")
