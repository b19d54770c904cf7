"""A fault in the block of an If or a Loop: the operator inside is named, and its cause proven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

import segdiff
from segdiff.core.answer import Report
from tests.models import Net, branch, copied, image, save

CHANNELS = 4


def conv(net: Net, x: str, out: str, channels: int = CHANNELS) -> list:
    """A convolution and its ReLU, as nodes of a block."""
    weight = net.constant(net.random.standard_normal((CHANNELS, channels, 3, 3)) / 3, name=f"{out}.w")
    return [
        helper.make_node("Conv", [x, weight], [f"{out}.conv"], name=f"{out}:conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", [f"{out}.conv"], [out], name=f"{out}:relu"),
    ]


def condition(net: Net, x: str, bound: float) -> str:
    largest = net.node("ReduceMax", x, keepdims=0)
    return net.node("Greater", largest, net.constant(bound))


def branching(bound: float = 0.0) -> ModelProto:
    """A convolution outside; one of the same shape in either branch; what is captured is read again."""
    net = Net()
    y = net.conv("x", (3, CHANNELS))
    blocks = {
        "then_branch": branch("then", conv(net, y, "then")),
        "else_branch": branch("else", conv(net, y, "else")),
    }
    net.node("If", condition(net, "x", bound), outputs=["chosen"], **blocks)
    both = net.node("Add", "chosen", net.node("Sigmoid", y))
    return net.model(net.conv(both, (CHANNELS, 2), kernel=1))


def nested() -> ModelProto:
    """A branch in a branch, both with a convolution."""
    net = Net()
    y = net.conv("x", (3, CHANNELS))
    zero = condition(net, "x", 0.0)
    deep = {
        "then_branch": branch("deep", conv(net, "first", "deepest")),
        "else_branch": branch("flat", [helper.make_node("Neg", ["first"], ["negative"])]),
    }
    inner = [*conv(net, y, "first"), helper.make_node("If", [zero], ["inner"], name="inner:if", **deep)]
    blocks = {
        "then_branch": branch("then", [*inner, helper.make_node("Tanh", ["inner"], ["then"])]),
        "else_branch": branch("else", [helper.make_node("Abs", [y], ["else"])]),
    }
    net.node("If", zero, outputs=["chosen"], **blocks)
    return net.model(net.conv("chosen", (CHANNELS, 2), kernel=1))


def looping(times: int = 3) -> ModelProto:
    """A loop around a convolution and what is captured; from the second iteration on it clips, too."""
    net = Net()
    y = net.conv("x", (3, CHANNELS))
    one = net.constant(1, np.int64)
    late = helper.make_node("Greater", ["i", one], ["late"])
    bound = net.constant(0.5)
    clipped = [helper.make_node("Min", ["turned", bound], ["clipped"], name="clipped:min")]
    plain = [helper.make_node("Identity", ["turned"], ["plain"])]
    choice = helper.make_node(
        "If", ["late"], ["next"], name="late:if",
        then_branch=branch("late", clipped), else_branch=branch("early", plain),
    )  # fmt: skip
    nodes = [*conv(net, "v", "turned"), late, choice, helper.make_node("Identity", ["go"], ["on"])]
    net.node("Loop", net.constant(times, np.int64), "", y, outputs=["last"], body=body(nodes, "next"))
    return net.model(net.conv("last", (CHANNELS, 2), kernel=1))


def body(nodes: list, carried: str) -> GraphProto:
    info = helper.make_tensor_value_info
    return helper.make_graph(
        nodes,
        "body",
        [
            info("i", TensorProto.INT64, []),
            info("go", TensorProto.BOOL, []),
            info("v", TensorProto.FLOAT, None),
        ],
        [info("on", TensorProto.BOOL, []), info(carried, TensorProto.FLOAT, None)],
    )


def with_weight(model: ModelProto, name: str, factor: float) -> ModelProto:
    copy = copied(model)
    tensor = next(t for t in copy.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), name))
    return copy


def compared(right: ModelProto, wrong: ModelProto, folder: Path) -> Report:
    files = save(right, folder / "right.onnx"), save(wrong, folder / "wrong.onnx")
    return segdiff.locate(*files, image(), deployed=False)


@pytest.mark.parametrize("model", [branching(), branching(1e6), nested(), looping(), looping(0)])
def test_healthy_ones_agree(model: ModelProto, tmp_path: Path) -> None:
    assert compared(model, model, tmp_path).verdict == "agrees"


def test_the_operator_in_the_branch_is_named_and_mended(tmp_path: Path) -> None:
    right = branching()
    report = compared(right, with_weight(right, "then.w", 1.5), tmp_path)
    (found,) = report.origins
    assert [node.type for node in found.candidate_nodes] == ["If", "Conv"]
    assert [(each.op_type, each.block, each.iteration) for each in found.inside] == [
        ("If", "then_branch", None)
    ]
    assert found.cause and (found.cause.kind, found.cause.proven) == ("parameter.scale", True)
    assert "then.conv" in report.sentence
    assert report.to_dict()["first"]["inside"][0]["block"] == "then_branch"
    report.repair(tmp_path / "fixed.onnx")
    again = segdiff.locate(tmp_path / "right.onnx", tmp_path / "fixed.onnx", image(), deployed=False)
    assert again.verdict == "agrees"


def test_a_branch_that_is_not_taken_is_not_seen(tmp_path: Path) -> None:
    right = branching()
    assert compared(right, with_weight(right, "else.w", 1.5), tmp_path).verdict == "agrees"


def test_a_block_in_a_block(tmp_path: Path) -> None:
    right = nested()
    report = compared(right, with_weight(right, "deepest.w", 0.5), tmp_path)
    (found,) = report.origins
    assert [each.block for each in found.inside] == ["then_branch", "then_branch"]
    assert found.candidate_nodes[-1].outputs == ("deepest.conv",)
    assert found.cause and found.cause.proven


def test_a_loop_says_where_an_error_begins(tmp_path: Path) -> None:
    right = looping()
    wrong = copied(right)
    loop = next(node for node in wrong.graph.node if node.op_type == "Loop")
    block = next(attr.g for attr in loop.attribute if attr.name == "body")
    choice = next(node for node in block.node if node.op_type == "If")
    late = next(attr.g for attr in choice.attribute if attr.name == "then_branch")
    late.node[0].op_type = "Max"
    report = compared(right, wrong, tmp_path)
    (found,) = report.origins
    assert [(each.op_type, each.iteration) for each in found.inside] == [("Loop", 3), ("If", None)]
    assert found.candidate_nodes[-1].type == "Max"
    assert "from iteration 3 on" in report.sentence
