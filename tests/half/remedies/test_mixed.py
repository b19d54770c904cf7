"""Files in float16 with islands of float32, run by onnxruntime; the lists that other tools take."""

from __future__ import annotations

import json
import runpy
import shlex
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper

from segdiff.core.graph import Array
from segdiff.half.read import File
from segdiff.half.remedies.lists import kept_nodes, lists
from segdiff.half.remedies.mixed import mixed
from tests.models import Net, constants_as_nodes, if_network, image, segmenter


def run(model: ModelProto, feed: Array | None = None) -> list[Array]:
    """All outputs of a model that the checker lets pass."""
    shaped = onnx.shape_inference.infer_shapes(model)
    del shaped.graph.value_info[:]
    onnx.checker.check_model(shaped, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    data = image() if feed is None else feed
    return [np.asarray(each) for each in session.run(None, {session.get_inputs()[0].name: data})]


def error(ours: Array, theirs: Array) -> float:
    return float(np.linalg.norm(ours.astype(np.float64) - theirs) / np.linalg.norm(ours))


def types_of(model: ModelProto) -> dict[str, int]:
    """The element type of every value, by onnx's own inference."""
    shaped = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    infos = (*shaped.graph.value_info, *shaped.graph.output, *shaped.graph.input)
    return {info.name: info.type.tensor_type.elem_type for info in infos}


def casts(model: ModelProto) -> int:
    return sum(node.op_type == "Cast" for node in model.graph.node)


@pytest.mark.parametrize("seed", range(3))
def test_all_in_half(seed: int) -> None:
    model = segmenter(seed)
    made = mixed(model)
    (ours,), (theirs,) = run(model), run(made)
    assert theirs.dtype == np.float32
    assert 0 < error(ours, theirs) < 5e-3
    types = types_of(made)
    conv = [node.output[0] for node in made.graph.node if node.op_type == "Conv"]
    assert {types[name] for name in conv} == {TensorProto.FLOAT16}
    assert casts(made) == 2
    assert not any(
        tensor.data_type == TensorProto.FLOAT for tensor in made.graph.initializer if len(tensor.dims) > 1
    )


def test_everything_kept_is_the_file_itself() -> None:
    model = segmenter()
    made = mixed(model, keep=[node.name for node in model.graph.node])
    assert casts(made) == 0
    np.testing.assert_array_equal(run(model)[0], run(made)[0])


def test_an_island_of_float32_between_casts() -> None:
    model = segmenter()
    kept = next(node.name for node in model.graph.node if node.op_type == "BatchNormalization")
    made = mixed(model, keep=[kept])
    node = next(node for node in made.graph.node if node.name == kept)
    types = types_of(made)
    assert types[node.input[0]] == types[node.output[0]] == TensorProto.FLOAT
    assert casts(made) == 4
    assert error(run(model)[0], run(made)[0]) < 5e-3
    names = [node.name for node in made.graph.node]
    assert len(set(names)) == len(names)


def test_a_value_that_many_read_is_cast_once() -> None:
    net = Net()
    x = net.node("Relu", net.conv("x", (3, 8)))
    ends = [net.conv(x, (8, 4)) for _ in range(3)]
    model = net.model(net.node("Concat", *ends, axis=1))
    made = mixed(model, keep=[node.name for node in model.graph.node if node.output[0] in ends])
    assert casts(made) == 1 + 1 + 3 + 1
    assert error(run(model)[0], run(made)[0]) < 5e-3


def test_a_constant_that_both_read_is_there_twice() -> None:
    net = Net()
    weight = net.weight(3, 3, 3, 3)
    first = net.node("Conv", "x", weight, pads=[1] * 4)
    model = net.model(net.node("Conv", first, weight, pads=[1] * 4))
    made = mixed(model, keep=[model.graph.node[1].name])
    kinds = sorted(tensor.data_type for tensor in made.graph.initializer)
    assert kinds == [TensorProto.FLOAT, TensorProto.FLOAT16]
    assert error(run(model)[0], run(made)[0]) < 5e-3


def test_constants_that_are_nodes() -> None:
    model = constants_as_nodes(segmenter())
    made = mixed(model)
    assert error(run(model)[0], run(made)[0]) < 5e-3


def test_a_branch_stays_in_float32() -> None:
    model = if_network()
    made = mixed(model)
    feed = image(tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim))
    assert error(run(model, feed)[0], run(made, feed)[0]) < 5e-3


def test_an_output_that_others_read_keeps_its_name() -> None:
    net = Net()
    x = net.conv("x", (3, 8))
    y = net.conv(net.node("Relu", x), (8, 4))
    made = mixed(net.model(x, y))
    assert [output.name for output in made.graph.output] == [x, y]
    for ours, theirs in zip(run(net.model(x, y)), run(made), strict=True):
        assert theirs.dtype == np.float32
        assert error(ours, theirs) < 5e-3


def test_sizes_that_are_computed_in_floats_stay() -> None:
    net = Net((1, 3, "h", "w"))
    x = net.conv("x", (3, 8))
    shape = net.node(
        "Cast", net.node("Slice", net.node("Shape", x), *(net.constant([n], np.int64) for n in (2, 4))), to=1
    )
    double = net.node("Cast", net.node("Mul", shape, net.constant([2.0, 2.0])), to=7)
    sizes = net.node("Concat", net.constant([1, 8], np.int64), double, axis=0)
    model = net.model(net.node("Resize", x, "", "", sizes, mode="linear"))
    made = mixed(model)
    mul = next(node for node in made.graph.node if node.op_type == "Mul")
    assert types_of(made)[mul.output[0]] == TensorProto.FLOAT
    wide = image((1, 3, 4, 1500))
    assert run(made, wide)[0].shape == (1, 8, 8, 3000)


@pytest.mark.parametrize("opset", [9, 11, 13, 17])
def test_opsets(opset: int) -> None:
    net = Net(opset=opset)
    x = net.node("Relu", net.batch_norm(net.conv("x", (3, 8)), 8))
    x = net.node("GlobalAveragePool", net.node("Softmax", x, axis=1))
    model = net.model(x)
    model.ir_version = 4
    made = mixed(model)
    assert error(run(model)[0], run(made)[0]) < 5e-3


def test_a_file_with_shapes_in_it() -> None:
    model = onnx.shape_inference.infer_shapes(segmenter())
    made = mixed(model)
    ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    onnx.checker.check_model(made, full_check=True)


def test_a_constant_beyond_is_cut_and_an_infinity_stays() -> None:
    net = Net()
    model = net.model(net.node("Add", "x", net.constant(np.r_[np.full(23, 1e6), -np.inf])))
    (held,) = [onnx.numpy_helper.to_array(tensor) for tensor in mixed(model).graph.initializer]
    assert held.dtype == np.float16
    assert held.max() == 65504
    assert held.min() == -np.inf


# --- the lists


def some(model: ModelProto, *types: str) -> list[str]:
    """The names of the nodes of some types."""
    return [node.name for node in model.graph.node if node.op_type in types]


def test_what_ascend_wants_to_be_told() -> None:
    model = segmenter()
    names = some(model, "BatchNormalization", "Softmax")
    found = lists("ascend310p", kept_nodes(File(model), names), "model.onnx")
    assert found["keep_dtype"][1].splitlines() == names
    first = found["customize_dtypes"][1].splitlines()[0]
    assert first == f"{names[0]}::InputDtype:{','.join(['float32'] * 5)},OutputDtype:float32"
    black = json.loads(found["modify_mixlist"][1])["black-list"]["to-add"]
    assert black == ["BatchNorm", "SoftmaxV2"]


def test_integers_keep_their_type() -> None:
    net = Net()
    y = net.node("Gather", "x", net.constant([0, 1], np.int64), axis=1)
    model = net.model(y)
    (node,) = kept_nodes(File(model), some(model, "Gather"))
    assert node.inputs == ("float32", "int64")


def test_what_tensorrt_wants_to_be_told() -> None:
    model = segmenter()
    names = some(model, "Softmax")
    words = shlex.split(lists("tensorrt", kept_nodes(File(model), names), "model.onnx")["tensorrt10"][1])
    assert "--precisionConstraints=obey" in words
    layers = (
        next(word for word in words if word.startswith("--layerPrecisions=")).partition("=")[2].split(",")
    )
    assert len(layers) == len(names)
    assert all(layer.count(":") == 1 and layer.endswith(":fp32") for layer in layers)


def test_the_script_for_onnxconverter_common_runs_and_keeps_them(tmp_path: Path) -> None:
    pytest.importorskip("onnxconverter_common")
    model = segmenter()
    onnx.save(model, tmp_path / "model.onnx")
    names = some(model, "BatchNormalization")
    found = lists("generic", kept_nodes(File(model), names), str(tmp_path / "model.onnx"))
    assert json.loads(found["node_block_list"][1]) == names
    (tmp_path / "to_float16.py").write_text(found["onnxconverter_common"][1])
    runpy.run_path(str(tmp_path / "to_float16.py"))
    made = onnx.load(tmp_path / "model.fp16.onnx")
    held = {tensor.name: tensor.data_type for tensor in made.graph.initializer}
    for node in made.graph.node:
        if node.name in names:
            assert all(held[name] == TensorProto.FLOAT for name in node.input[1:])
        elif node.op_type == "Conv":
            assert held[node.input[1]] == TensorProto.FLOAT16
    assert error(run(model)[0], run(made)[0]) < 5e-3


def test_a_node_without_a_name_is_told_by_what_it_writes() -> None:
    model = segmenter()
    node = next(node for node in model.graph.node if node.op_type == "Softmax")
    node.name = ""
    assert [each.name for each in kept_nodes(File(model), [node.output[0]])] == [node.output[0]]
    made = mixed(model, keep=[node.output[0]])
    assert helper.printable_graph(made.graph).count("Cast") == 4
