"""What Paddle's output hook says -> the value of the graph."""

from __future__ import annotations

import numpy as np

from segdiff.core.graph import Graph
from segdiff.engines.lists import undelivered
from segdiff.engines.names import (
    InstructionNamer,
    VariableNamer,
    has_blocks,
    namer_for,
    outer_scope,
)
from tests.models import hand_made

ONE = np.ones(1, np.float32)


def pdmodel() -> Graph:
    """A variable written twice, and one that is a parameter before it is written."""
    return hand_made(
        [
            ("conv2d", ["x", "w"], ["h"]),
            ("batch_norm", ["h", "mean"], ["n", "mean@1"]),
            ("relu", ["n"], ["n@1"]),
            ("relu", ["n@1"], ["n@2"]),
        ],
        outputs=["n@2"],
        parameters={"w": ONE, "mean": ONE},
    )


def pir() -> Graph:
    """An op of several results, and a list that is split again."""
    return hand_made(
        [
            ("conv2d", ["x", "w"], ["conv2d.0.0"]),
            ("batch_norm", ["conv2d.0.0"], [f"batch_norm.0.{n}" for n in range(3)]),
            ("relu", ["batch_norm.0.0"], ["relu.0.0"]),
            ("split_with_num", ["relu.0.0"], ["split_with_num.0.0"]),
            ("builtin.split", ["split_with_num.0.0"], ["split.0.0", "split.0.1"]),
            ("builtin.combine", ["split.0.0", "split.0.1"], ["combine.0.0"]),
            ("concat", ["combine.0.0"], ["concat.0.0"]),
            ("argmax", ["concat.0.0"], ["argmax.0.0"]),
        ],
        outputs=["concat.0.0", "argmax.0.0"],
        parameters={"w": ONE},
        format="pir",
    )


def test_the_format_decides() -> None:
    assert isinstance(namer_for(pdmodel()), VariableNamer)
    assert isinstance(namer_for(pir()), InstructionNamer)


# --- .pdmodel


def test_a_variable_is_named_by_how_often_it_was_written() -> None:
    namer = VariableNamer(pdmodel())
    said = [("conv2d", "h"), ("batch_norm", "n"), ("batch_norm", "mean"), ("relu", "n"), ("relu", "n")]
    assert [namer(*words) for words in said] == ["h", "n", "mean@1", "n@1", "n@2"]


def test_a_graph_input_that_is_overwritten_is_its_second_version() -> None:
    namer = VariableNamer(hand_made([("relu", ["x"], ["x@1"])], outputs=["x@1"]))
    assert namer("relu", "x") == "x@1"


def test_each_run_counts_anew() -> None:
    assert [VariableNamer(pdmodel())("batch_norm", "n") for _ in range(2)] == ["n", "n"]


# --- PIR


def test_an_instruction_is_found_by_its_number() -> None:
    namer = InstructionNamer(pir())
    assert namer("pd_op.conv2d:0", "0x1_inner_var_7") == "conv2d.0.0"
    assert namer("pd_op.relu:2", "0x1_inner_var_11") == "relu.0.0"


def test_outputs_of_one_op_are_told_by_the_variables_number() -> None:
    namer = InstructionNamer(pir())
    namer("pd_op.conv2d:0", "0x1_inner_var_7")  # variable 7 is result 0 of the program
    said = [namer("pd_op.batch_norm:1", f"0x1_inner_var_{number}") for number in (8, 9, 10, 11)]
    assert said == ["batch_norm.0.0", "batch_norm.0.1", "batch_norm.0.2", None]


def test_a_program_may_begin_with_an_op_of_several_outputs() -> None:
    ops = [("instance_norm", ["x"], ["n.0.0", "n.0.1"]), ("relu", ["n.0.0"], ["relu.0.0"])]
    namer = InstructionNamer(hand_made(ops, outputs=["relu.0.0"], format="pir"))
    said = [namer("pd_op.instance_norm:0", f"0x1_inner_var_{number}") for number in (3, 4, 5)]
    assert said == ["n.0.0", "n.0.1", None]


def test_an_operator_that_works_in_place_has_another_type() -> None:
    assert InstructionNamer(pir())("pd_op.relu_:2", "0x1_inner_var_11") == "relu.0.0"


def test_splitting_a_list_is_no_instruction() -> None:
    namer = InstructionNamer(pir())
    assert namer("pd_op.split_with_num:3", "0x1_inner_var_12") == "split_with_num.0.0"
    assert namer("builtin.combine:4", "0x1_inner_var_15") == "combine.0.0"
    assert namer("pd_op.concat:5", "0x1_inner_var_16") == "concat.0.0"


def test_outputs_of_the_model_are_named_by_their_column() -> None:
    namer = InstructionNamer(pir())
    assert namer("pd_op.concat:5", "fetch_name_0") == "concat.0.0"
    assert namer("pd_op.argmax:6", "fetch_name_1") == "argmax.0.0"


def test_what_cannot_be_told_is_not_guessed() -> None:
    namer = InstructionNamer(pir())
    assert namer("pd_op.relu:0", "0x1_inner_var_7") is None  # instruction 0 is a convolution
    assert namer("pd_op.relu:99", "0x1_inner_var_7") is None
    assert namer("pd_op.conv2d", "0x1_inner_var_7") is None
    assert namer("pd_op.conv2d:0", "conv.w_0") is None
    assert namer("pd_op.concat:5", "fetch_name_1") is None  # another op's column
    assert namer("pd_op.concat:5", "fetch_name_7") is None


def test_lists_and_their_parts_are_never_shown() -> None:
    unread = {"batch_norm.0.1", "batch_norm.0.2"}
    assert undelivered(pir()) == {"split_with_num.0.0", "split.0.0", "split.0.1", "combine.0.0"} | unread
    assert undelivered(pdmodel()) == frozenset()


# --- blocks inside a program

SCOPE, INSIDE, DEEPER = "0x5f1700000000000000001", "0x2a1700000000000000002", "0x7c1700000000000000003"


def branching() -> Graph:
    """A branch between two convolutions; its own first op is a convolution, too."""
    return hand_made(
        [
            ("conv2d", ["x", "w"], ["conv2d.0.0"]),
            ("if", ["conv2d.0.0"], ["if.0.0"]),
            ("sigmoid", ["if.0.0"], ["sigmoid.0.0"]),
        ],
        outputs=["sigmoid.0.0"],
        parameters={"w": ONE},
        format="pir",
    )


HEARD = [
    ("pd_op.conv2d:0", f"{SCOPE}_inner_var_5"),
    ("pd_op.conv2d:0", f"{INSIDE}_inner_var_16"),
    ("if_instruction:1", f"{SCOPE}_inner_var_6"),
    ("pd_op.sigmoid:2", "fetch_name_0"),
]


def test_a_value_inside_a_block_is_not_the_one_of_its_number_outside() -> None:
    scope = outer_scope(branching(), HEARD)
    namer = namer_for(branching(), scope)
    assert [namer(*words) for words in HEARD] == ["conv2d.0.0", None, "if.0.0", "sigmoid.0.0"]


def test_the_program_may_begin_inside_a_block() -> None:
    graph = hand_made([("if", ["x"], ["if.0.0"]), ("relu", ["if.0.0"], ["relu.0.0"])],
                      outputs=["relu.0.0"], format="pir")  # fmt: skip
    heard = [
        ("pd_op.conv2d:0", f"{DEEPER}_inner_var_9"),
        ("if_instruction:0", f"{INSIDE}_inner_var_8"),
        ("if_instruction:0", f"{SCOPE}_inner_var_1"),
        ("pd_op.relu:1", "fetch_name_0"),
    ]
    namer = namer_for(graph, outer_scope(graph, heard))
    assert [namer(*words) for words in heard] == [None, None, "if.0.0", "relu.0.0"]


def test_only_a_program_with_blocks_has_to_be_listened_to() -> None:
    assert has_blocks(branching())
    assert not has_blocks(pir())


def test_what_a_block_writes_is_shown_only_where_its_branch_is_taken() -> None:
    graph = hand_made(
        [
            ("conditional_block", ["c"], ["left", "scope"]),
            ("conditional_block", ["d"], ["right", "scope@1"]),
            ("select_input", ["m", "left", "right"], ["y"]),
        ],
        inputs=["c", "d", "m"],
        outputs=["y"],
    )
    assert undelivered(graph) == {"left", "right", "scope", "scope@1"}


def test_a_result_that_nothing_reads_is_not_shown() -> None:
    """``topk(x)[0]`` as the only output: Paddle's hook is silent of the indices."""
    graph = hand_made([("topk", ["x"], ["best", "where"])], outputs=["best"], format="pir")
    assert undelivered(graph) == {"where"}
