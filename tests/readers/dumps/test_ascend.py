"""Raw dumps of an Ascend NPU: both versions, every layout, fused operators with and without a map."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from segdiff.readers.dumps import read_dump
from segdiff.readers.dumps.ascend_proto import _messages
from segdiff.readers.onnx import read
from tests.dumps.arrays import write_converted
from tests.dumps.ascend import DeviceOp, compiled, inner_values, write_om, write_om2, write_raw
from tests.dumps.device import recorded, recorded_half
from tests.models import Net, image, segmenter

FEEDS = {"x": image()}


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return segmenter()


def graph_of(folder: Path, model: onnx.ModelProto) -> Graph:
    onnx.save(model, folder / "model.onnx")
    return read(folder / "model.onnx")


def same(dump, values, names) -> None:
    assert dump.problems == ()
    assert set(dump.tensors) >= set(names)
    for name, tensor in dump.tensors.items():
        assert np.array_equal(tensor.load(), values[name]), name
        assert tensor.shape == values[name].shape


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("layout", ["NCHW", "NC1HWC0", "FRACTAL_NZ", "NHWC"])
@pytest.mark.parametrize("half", [False, True])
def test_layouts_and_versions(tmp_path: Path, model, version: int, layout: str, half: bool) -> None:
    graph = graph_of(tmp_path, model)
    values = (recorded_half if half else recorded)(model, FEEDS)
    ops = compiled(graph, fuse=False)
    write_raw(tmp_path / "dump", graph, ops, values, version=version, layout=layout, padding=7.0)
    dump = read_dump(tmp_path / "dump", graph)
    same(dump, values, [name for op in ops for name in op.outputs])
    assert dump.form == "ascend" and len(dump.ops) == len(ops)
    for op, want in zip(dump.ops, ops, strict=True):
        assert op.nodes == {node.index for node in want.nodes}
        assert set(op.outputs) == set(want.outputs)
        assert set(op.inputs) == {name for name in want.inputs if name not in graph.parameters}


@pytest.mark.parametrize("form", ["json", "om2", "headers"])
def test_fused_operators(tmp_path: Path, model, form: str) -> None:
    """By the map, or by what headers call the origin of a result."""
    graph = graph_of(tmp_path, model)
    ops = compiled(graph)
    values = recorded_half(model, FEEDS, inner_values(ops))
    map_file = None if form == "headers" else tmp_path / f"om.{form}"
    if form == "json":
        write_om(tmp_path / "om.json", graph, ops)
    elif form == "om2":
        write_om2(tmp_path / "om.om2", ops)
    write_raw(tmp_path / "dump", graph, ops, values, layout="NC1HWC0", origins=form == "headers")
    dump = read_dump(tmp_path / "dump", graph, map_file=map_file)
    same(dump, values, [name for op in ops for name in op.outputs])
    assert {op.nodes for op in dump.ops} == {frozenset(node.index for node in op.nodes) for op in ops}
    fused = next(op for op in dump.ops if len(op.nodes) == 3)
    assert len(fused.inputs) == 1 and len(fused.outputs) == 1


def test_an_operator_named_after_its_first_node_is_grown_by_its_header(tmp_path: Path) -> None:
    net = Net()
    conv = net.conv("x", (3, 4))
    graph = graph_of(tmp_path, net.model(net.node("Relu", conv)))
    (op,) = compiled(graph)
    op = type(op)("Conv_1", op.type, op.nodes, op.inputs, op.outputs)
    named = type(op)(graph.ops[0].name, op.type, op.nodes, op.inputs, op.outputs)
    values = recorded(onnx.load(tmp_path / "model.onnx"), FEEDS)
    write_raw(tmp_path / "dump", graph, [named], values)
    (read_op,) = read_dump(tmp_path / "dump", graph).ops
    assert read_op.nodes == {0, 1} and set(read_op.outputs) == set(graph.outputs)


def test_a_result_that_may_be_fused_is_not_taken_for_what_its_name_says(tmp_path: Path) -> None:
    net = Net()
    conv = net.conv("x", (3, 4))
    graph = graph_of(tmp_path, net.model(net.node("Relu", conv)))
    (op,) = compiled(graph)
    named = type(op)(graph.ops[0].name, op.type, op.nodes, op.inputs, op.outputs)
    values = recorded(onnx.load(tmp_path / "model.onnx"), FEEDS)
    write_raw(tmp_path / "dump", graph, [named], values, origins=False)
    dump = read_dump(tmp_path / "dump", graph)
    assert set(dump.tensors) == {"x"}
    assert any("fused" in problem and "map" in problem for problem in dump.problems)


def test_names_that_were_too_long_are_in_a_table(tmp_path: Path, model) -> None:
    graph, values = graph_of(tmp_path, model), recorded(model, FEEDS)
    ops = compiled(graph, fuse=False)
    write_raw(tmp_path / "dump", graph, ops, values, long_names=True)
    (tmp_path / "dump/Opdebug.Node_OpDebug.1.2.1700000000123456").write_bytes(b"overflow")
    same(read_dump(tmp_path / "dump", graph), values, [name for op in ops for name in op.outputs])


def test_outputs_alone(tmp_path: Path, model) -> None:
    graph, values = graph_of(tmp_path, model), recorded(model, FEEDS)
    ops = compiled(graph, fuse=False)
    write_raw(tmp_path / "dump", graph, ops, values, mode="output")
    dump = read_dump(tmp_path / "dump", graph)
    same(dump, values, [name for op in ops for name in op.outputs])
    assert all(not op.inputs for op in dump.ops)


def test_a_file_that_was_cut_off_costs_a_line(tmp_path: Path, model) -> None:
    graph, values = graph_of(tmp_path, model), recorded(model, FEEDS)
    ops = compiled(graph, fuse=False)
    files = write_raw(tmp_path / "dump", graph, ops, values)
    victim = files[ops[3].name]
    victim.write_bytes(victim.read_bytes()[:-8])
    dump = read_dump(tmp_path / "dump", graph)
    assert len(dump.problems) == 1 and "cut off" in dump.problems[0] and victim.name in dump.problems[0]


def test_two_runs_are_told(tmp_path: Path, model) -> None:
    graph, values = graph_of(tmp_path, model), recorded(model, FEEDS)
    ops = compiled(graph, fuse=False)
    for run in ("0", "1"):
        write_raw(tmp_path / "dump" / run, graph, ops, values)
    with pytest.raises(ModelError, match="holds 2 runs"):
        read_dump(tmp_path / "dump", graph)
    assert read_dump(tmp_path / "dump/1", graph).tensors


@pytest.mark.parametrize("form", ["json", "om2", None])
@pytest.mark.parametrize("layout", ["NCHW", "NC1HWC0", "FRACTAL_NZ", "NHWC"])
def test_converted_dumps_keep_the_devices_layout(
    tmp_path: Path, model, form: str | None, layout: str
) -> None:
    graph = graph_of(tmp_path, model)
    ops = compiled(graph, fuse=form is not None)
    values = recorded_half(model, FEEDS, inner_values(ops))
    write_om(tmp_path / "om.json", graph, ops)
    write_om2(tmp_path / "om.om2", ops)
    write_converted(tmp_path / "dump", ops, values, layout=layout, padding=7.0)
    dump = read_dump(tmp_path / "dump", graph, map_file=tmp_path / f"om.{form}" if form else None)
    written = {name for op in ops for name in op.outputs}
    assert all(np.array_equal(tensor.load(), values[name]) for name, tensor in dump.tensors.items())
    refused = ("may be in the device's blocks", "can be NCHW or NHWC")  # of the few without a known shape
    assert all(any(words in problem for words in refused) for problem in dump.problems)
    assert len(written - dump.tensors.keys()) <= len(dump.problems) <= 4


def test_padding_that_nothing_tells_of_is_not_guessed(tmp_path: Path) -> None:
    """Converted, in the device's layout, of an ONNX file with open sizes: what was fed decides."""
    net = Net(("n", "c", "h", "w"))
    graph = graph_of(tmp_path, net.model(net.node("Relu", "x", outputs=["y"])))
    values = {"x": image(), "y": np.maximum(image(), 0)}
    write_converted(tmp_path / "dump", compiled(graph), values, layout="NC1HWC0")
    with pytest.raises(ModelError, match="msaccucmp convert -f NCHW"):
        read_dump(tmp_path / "dump", graph)
    same(read_dump(tmp_path / "dump", graph, inputs={"x": image().shape}), values, ["x", "y"])


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    net = Net()
    graph = graph_of(tmp_path, net.model(net.node("Relu", "x", outputs=["y"])))
    (op,) = compiled(graph)
    values = {"x": image().astype(np.float16), "y": np.maximum(image(), 0).astype(np.float16)}
    files = write_raw(tmp_path / "dump", graph, [op], values)
    (file,) = files.values()
    data = file.read_bytes()
    head = int.from_bytes(data[:8], "little")
    message = _messages()["DumpData"].FromString(data[8 : 8 + head])
    bits = (image().view(np.uint32) >> 16).astype(np.uint16)
    message.output[0].data_type = message.input[0].data_type = 27
    again = message.SerializeToString()
    file.write_bytes(len(again).to_bytes(8, "little") + again + bits.tobytes() * 2)
    tensor = read_dump(tmp_path / "dump", graph).tensors["y"]
    assert tensor.dtype == "bfloat16" and tensor.load().dtype == np.float32
    assert np.array_equal(tensor.load(), (bits.astype(np.uint32) << 16).view(np.float32))


def test_a_map_of_another_model_is_told(tmp_path: Path, model) -> None:
    graph, values = graph_of(tmp_path, model), recorded(model, FEEDS)
    ops = compiled(graph)
    write_raw(tmp_path / "dump", graph, ops, values, origins=False)
    other = Net()
    onnx.save(other.model(other.node("Tanh", "x")), tmp_path / "other.onnx")
    another = read(tmp_path / "other.onnx")
    write_om(tmp_path / "om.json", another, compiled(another))
    with pytest.raises(ModelError, match="of the operators of"):
        read_dump(tmp_path / "dump", graph, map_file=tmp_path / "om.json")


def test_what_the_compiler_inserted_is_no_problem(tmp_path: Path, model) -> None:
    """A file of a TransData: a value flows through it, to the first operator of the network."""
    graph, values = graph_of(tmp_path, model), recorded(model, FEEDS)
    ops = compiled(graph)
    moved = DeviceOp("trans_x", "TransData", (), ("x",), ("x",))
    write_raw(tmp_path / "dump", graph, [moved, *ops], values, layout="NC1HWC0")
    write_om(tmp_path / "om.json", graph, ops)
    dump = read_dump(tmp_path / "dump", graph, map_file=tmp_path / "om.json")
    same(dump, values, [name for op in ops for name in op.outputs])
    assert dump.remarks == ("1 operator is the compiler's own (trans_x)",)
    assert set(dump.ops[0].inputs) == {"x"}


def test_a_flattened_result_in_the_shape_it_had_before(tmp_path: Path) -> None:
    net = Net()
    graph = graph_of(tmp_path, net.model(net.node("Flatten", net.node("Relu", "x", outputs=["r"]))))
    ops = compiled(graph)
    values = recorded(onnx.load(tmp_path / "model.onnx"), FEEDS)
    flat = graph.outputs[0]
    write_raw(tmp_path / "dump", graph, ops, {**values, flat: values["r"]})
    tensor = read_dump(tmp_path / "dump", graph).tensors[flat]
    assert np.array_equal(tensor.load(), values[flat]) and tensor.shape == values[flat].shape


@pytest.mark.parametrize("form", ["json", "om2"])
def test_a_bias_is_not_taken_for_a_gate_of_its_size(tmp_path: Path, form: str) -> None:
    """A fused Conv and Mul reads x, weight, bias and a gate; without edges nothing tells bias from gate."""
    net = Net()
    gate = net.node("GlobalAveragePool", net.conv("x", (3, 4)))
    graph = graph_of(tmp_path, net.model(net.node("Mul", net.conv("x", (3, 4)), gate)))
    first, pool, conv, mul = compiled(graph)
    nodes = (*conv.nodes, *mul.nodes)
    fused = DeviceOp("fused", "Conv2D", nodes, (*conv.inputs, gate), mul.outputs)
    values = recorded(onnx.load(tmp_path / "model.onnx"), FEEDS)
    write_raw(tmp_path / "dump", graph, [first, pool, fused], values, origins=False)
    write_om(tmp_path / "om.json", graph, [first, pool, fused])
    write_om2(tmp_path / "om.om2", [first, pool, fused])
    dump = read_dump(tmp_path / "dump", graph, map_file=tmp_path / f"om.{form}")
    op = next(op for op in dump.ops if op.name == "fused")
    assert set(op.inputs) == ({"x", gate} if form == "json" else {"x"})
    assert all(np.array_equal(tensor.load(), values[name]) for name, tensor in op.inputs.items())
