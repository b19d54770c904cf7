"""The block of an op becomes a model of its own, in every format."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from segdiff import readers
from segdiff.core.errors import ModelError
from segdiff.readers.block_cut import block_of
from segdiff.readers.blocks import BlockInput
from tests.models import Net, if_network, save
from tests.readers.models import (
    Program,
    attr,
    dense,
    pir_op,
    pir_parameter,
    pir_program,
    write_params,
    write_pir,
)

X = pir_op("1.data", [], {1: dense((4,))}, [attr("name", "0.a_str", "x")])


def region(ops, args=()):
    block = {"#": "block", "args": [{"#": number, "TT": dense((4,))} for number in args], "ops": ops}
    return {"#": "region", "blocks": [block]}


def branching(tmp_path):
    """If the condition holds, x + w; else a ReLU of what lies before."""
    weight = {**pir_parameter(9, "w", (4,)), "OA": [1, 0, 1]}
    true = region([pir_op("1.add", [2, 9], {5: dense((4,))}), pir_op("2.yield", [5], {})])
    false = region([pir_op("1.relu", [2], {6: dense((4,))}), pir_op("2.yield", [6], {})])
    ops = [
        weight,
        X,
        pir_op("1.sigmoid", [1], {2: dense((4,))}),
        pir_op("1.isfinite", [1], {3: dense((), "0.t_bool")}),
        pir_op("1.if", [3], {4: dense((4,))}, regions=[true, false]),
    ]
    folder = write_pir(tmp_path, pir_program(ops), weights={"w": np.ones(4, np.float32)})
    return readers.find(folder)


@pytest.mark.parametrize(
    ("taken", "word", "kind"), [(True, "true block", "add"), (False, "false block", "relu")]
)
def test_a_branch_of_pir(tmp_path, taken, word, kind):
    files = branching(tmp_path)
    graph = readers.read(files)
    block = block_of(files, graph, graph.ops[-1], taken)
    assert (block.word, block.captured, block.results) == (
        word,
        ("pd_op.sigmoid.0.0",),
        ("5" if taken else "6",),
    )
    (tmp_path / "out").mkdir()
    made = block.write(tmp_path / "out", {"pd_op.sigmoid.0.0": BlockInput("y", "float32", (4,))}, [0])
    inner = readers.read(made)
    assert [op.type for op in inner.ops] == [kind]
    assert (inner.inputs, inner.outputs) == (("y",), (f"pd_op.{kind}.0.0",))
    assert set(inner.parameters) == {"w"}


def test_the_body_of_a_pir_loop_is_fed_what_it_carries(tmp_path):
    body = region(
        [
            pir_op("1.relu", [-1], {5: dense((4,))}),
            pir_op("1.isfinite", [2], {6: dense((), "0.t_bool")}),
            pir_op("2.yield", [6, 5], {}),
        ],
        args=(-1,),
    )
    ops = [
        X,
        pir_op("1.sigmoid", [1], {2: dense((4,))}),
        pir_op("1.isfinite", [1], {3: dense((), "0.t_bool")}),
        pir_op("1.while", [3, 2], {4: dense((4,))}, regions=[body]),
    ]
    files = readers.find(write_pir(tmp_path, pir_program(ops), weights=None))
    graph = readers.read(files)
    block = block_of(files, graph, graph.ops[-1], True)
    assert (block.carried, block.initial, block.results) == (("-1",), ("pd_op.sigmoid.0.0",), ("6", "5"))
    (tmp_path / "out").mkdir()
    inputs = {"pd_op.sigmoid.0.0": BlockInput("y", "float32", (4,)), "-1": BlockInput("v", "float32", (4,))}
    inner = readers.read(block.write(tmp_path / "out", inputs, [0, 1]))
    assert [(op.type, op.inputs) for op in inner.ops] == [("relu", ("v",)), ("isfinite", ("y",))]
    assert inner.outputs == ("pd_op.isfinite.0.0", "pd_op.relu.0.0")


def program(tmp_path):
    """A while of a .pdmodel: v = relu(v) + w as long as something holds."""
    made = Program()
    for name in ("x", "v", "c", "scopes"):
        made.var(name, (4,))
    made.var("w", (4,), persistable=True)
    made.feed("x")
    made.op("sigmoid", {"X": "x"}, {"Out": "v"})
    made.op("isfinite", {"X": "x"}, {"Out": "c"})
    made.op(
        "while",
        {"X": ["v", "w", "x"], "Condition": "c"},
        {"Out": ["v", "c"], "StepScopes": "scopes"},
        sub_block=(8, "block_idx", 1),
    )
    made.fetch("v")
    outer, made.block = made.block, made.desc.blocks.add(idx=1, parent_idx=0)
    made.var("t", (4,))
    made.op("relu", {"X": "v"}, {"Out": "t"})
    made.op("elementwise_add", {"X": "t", "Y": "w"}, {"Out": "v"})
    made.op("isfinite", {"X": "x"}, {"Out": "c"})
    made.block = outer
    made.write(tmp_path / "model.pdmodel")
    write_params(tmp_path / "model.pdiparams", {"w": np.ones(4, np.float32)})
    return readers.find(tmp_path)


def test_the_body_of_a_pdmodel_loop_writes_over_what_it_reads(tmp_path):
    files = program(tmp_path)
    graph = readers.read(files)
    block = block_of(files, graph, graph.ops[-1], True)
    assert (block.captured, block.carried, block.initial) == (("x",), ("v",), ("v",))
    assert block.results == ("c", "v")
    (tmp_path / "out").mkdir()
    inputs = {"x": BlockInput("side", "float32", (4,)), "v": BlockInput("v.1", "float32", (4,))}
    inner = readers.read(block.write(tmp_path / "out", inputs, [0, 1]))
    assert (inner.inputs, inner.outputs) == (("side", "v.1"), ("c", "v.1@1"))
    assert [op.type for op in inner.ops] == ["relu", "elementwise_add", "isfinite"]


def test_a_branch_of_onnx_takes_the_weights_it_captures_along(tmp_path):
    files = readers.find(save(if_network(), tmp_path / "model.onnx"))
    graph = readers.read(files)
    chosen = next(op for op in graph.ops if op.type == "If")
    block = block_of(files, graph, chosen, False)
    (captured,) = block.captured
    (tmp_path / "out").mkdir()
    given = {captured: BlockInput("h", "float32", (1, 4, 16, 24))}
    inner = readers.read(block.write(tmp_path / "out", given, [0]))
    assert [(op.type, op.inputs[0]) for op in inner.ops] == [("Sub", "h")]
    assert (inner.outputs, len(inner.parameters)) == (("else_out",), 1)


def test_a_node_without_such_a_block_is_an_error(tmp_path):
    files = readers.find(save(if_network(), tmp_path / "model.onnx"))
    graph = readers.read(files)
    with pytest.raises(ModelError, match="has no then_branch"):
        block_of(files, graph, graph.ops[0], True)


def test_a_weight_that_an_onnx_loop_carries_is_a_weight_of_its_body(tmp_path):
    """paddle2onnx 1.x hands weights from iteration to iteration."""
    net = Net((1, 4))
    weight = net.constant(np.eye(4), name="w")
    info, float32 = helper.make_tensor_value_info, TensorProto.FLOAT
    nodes = [helper.make_node("MatMul", ["v", "k"], ["next"]), helper.make_node("Not", ["go"], ["on"])]
    body = helper.make_graph(
        nodes,
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []),
         info("k", float32, None), info("v", float32, None)],
        [info("on", TensorProto.BOOL, []), info("k", float32, None), info("next", float32, None)],
    )  # fmt: skip
    three = net.constant(3, np.int64)
    net.node("Loop", three, "", weight, net.node("Relu", "x"), outputs=["kept", "last"], body=body)
    files = readers.find(save(net.model("last"), tmp_path / "model.onnx"))
    graph = readers.read(files)
    block = block_of(files, graph, next(op for op in graph.ops if op.type == "Loop"), True)
    assert (block.carried, block.results, block.trips) == (("v",), ("on", "next"), three)
    (tmp_path / "out").mkdir()
    given = {"v": BlockInput("v", "float32", (1, 4)), "go": BlockInput("go", "bool", ())}
    inner = readers.read(block.write(tmp_path / "out", given, [0, 1]))
    assert (inner.outputs, set(inner.parameters)) == (("on", "next"), {"k"})
