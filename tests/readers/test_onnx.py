import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segdiff import readers
from segdiff.core.errors import ModelError
from tests.readers.models import WEIGHTS, conv_onnx, onnx_model, save_external, write_onnx


def read(folder, model=None):
    return readers.read(readers.find(write_onnx(folder, model)))


@pytest.fixture
def graph(tmp_path):
    return read(tmp_path)


def node(op_type, inputs, outputs, **attributes):
    return helper.make_node(op_type, inputs, outputs, **attributes)


def test_op_index_is_the_place_in_the_file(graph):
    assert [(op.index, op.type, op.name) for op in graph.ops] == [
        (0, "Conv", "first"),
        (2, "Mul", "Mul.2"),
        (3, "Resize", "Resize.3"),
    ]
    assert (graph.format, graph.inputs, graph.outputs) == ("onnx", ("x",), ("y",))


def test_absent_inputs_do_not_shift_the_slots(graph):
    resize = graph.ops[2]
    assert (resize.inputs, resize.slots) == (("m", "scales"), ("0", "2"))
    assert resize.attributes == {"mode": "linear"}


def test_initializers_and_constants_are_parameters(graph):
    assert set(graph.parameters) == {"w", "scales", "k"}
    assert graph.parameters["w"].shape == (2, 3, 3, 3)
    np.testing.assert_array_equal(graph.parameters["w"].load(), WEIGHTS["conv.w_0"])
    assert graph.parameters["k"].load() == np.float32(2)


def test_shapes_are_inferred(graph):
    assert graph.value("x").shape == (1, 3, 8, None)
    assert (graph.value("c").shape, graph.value("c").dtype) == ((1, 2, 6, None), "float32")
    assert graph.value("y").shape == (1, 2, 12, None)


def test_initializers_listed_as_inputs_are_not_inputs(tmp_path):
    model = conv_onnx()
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 3, 3, 3]))
    graph = read(tmp_path, model)
    assert graph.inputs == ("x",)
    assert graph.value("c").shape == (1, 2, 6, None)


@pytest.mark.parametrize(
    ("form", "given", "expected"),
    [
        ("value", numpy_helper.from_array(np.arange(3)), np.arange(3)),
        ("value_int", 3, np.int64(3)),
        ("value_ints", [1, 2], np.array([1, 2])),
        ("value_floats", [1.5, 2], np.array([1.5, 2], np.float32)),
        ("value_string", "a", np.array("a", object)),
        ("value_strings", ["a", "b"], np.array(["a", "b"], object)),
    ],
)
def test_every_form_of_a_constant(tmp_path, form, given, expected):
    graph = read(tmp_path, onnx_model([node("Constant", [], ["y"], **{form: given})]))
    array = graph.parameters["y"].load()
    np.testing.assert_array_equal(array, expected)
    assert (array.shape, str(array.dtype)) == (graph.parameters["y"].shape, graph.parameters["y"].dtype)


@pytest.mark.parametrize(("indices", "name"), [([[0, 1], [2, 0]], "pairs"), ([1, 4], "flat")])
def test_sparse_tensors_become_dense(tmp_path, indices, name):
    values = numpy_helper.from_array(np.array([5, 6], np.float32), name)
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array(indices)), [3, 2])
    model = onnx_model([node("Constant", [], ["y"], sparse_value=sparse)])
    model.graph.sparse_initializer.append(sparse)
    graph = read(tmp_path, model)
    for key in ("y", name):
        assert graph.parameters[key].load().reshape(-1).tolist() == [0, 5, 0, 0, 6, 0]


def test_a_huge_sparse_tensor_is_refused(tmp_path):
    values = numpy_helper.from_array(np.array([5], np.float32), "s")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([1])), [2**20, 2**20])
    with pytest.raises(ModelError, match="too large"):
        read(tmp_path, onnx_model([node("Constant", [], ["y"], sparse_value=sparse)]))


def test_types_carry_their_domain(tmp_path):
    nodes = [
        node("FusedConv", ["x", "w"], ["a"], domain="com.microsoft"),
        node("Relu", ["a"], ["y"], domain="ai.onnx"),
    ]
    graph = read(tmp_path, onnx_model(nodes, initializers={"w": WEIGHTS["conv.w_0"]}))
    assert [op.type for op in graph.ops] == ["com.microsoft.FusedConv", "Relu"]


def test_a_file_out_of_order_is_sorted_and_keeps_its_indices(tmp_path):
    nodes = [node("Relu", ["b"], ["y"]), node("Abs", ["x"], ["a"]), node("Neg", ["a"], ["b"])]
    assert [(op.index, op.type) for op in read(tmp_path, onnx_model(nodes)).ops] == [
        (1, "Abs"),
        (2, "Neg"),
        (0, "Relu"),
    ]


def test_subgraphs_show_what_they_capture(tmp_path):
    flag = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    inner = helper.make_graph(
        [node("Add", ["a", "w"], ["t"]), node("Neg", ["t"], ["z"])], "inner", [], [flag]
    )
    outer = helper.make_graph([node("Relu", ["x"], ["z"])], "outer", [], [flag])
    nodes = [
        node("Abs", ["x"], ["a"]),
        node("If", ["c"], ["y"], then_branch=inner, else_branch=outer),  # onnx sorts them: else first
    ]
    graph = read(
        tmp_path,
        onnx_model(nodes, initializers={"w": np.ones(1, np.float32), "c": np.array(True)}),
    )
    branch = graph.ops[1]
    assert branch.inputs == ("c", "x", "a", "w")
    assert branch.slots == ("0", "captured", "captured", "captured")
    assert branch.attributes["then_branch"] == "graph inner of 2 nodes"


def test_local_functions_are_inlined(tmp_path):
    function = helper.make_function(
        "local", "twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    model = onnx_model(
        [node("twice", ["x"], ["y"], domain="local")], functions=[function], opset_imports=opsets
    )
    assert [op.type for op in read(tmp_path, model).ops] == ["Add"]


@pytest.mark.parametrize(("calls", "words"), [(["f0"], "calls itself"), (["f1"] * 1200, "would expand")])
def test_functions_without_end_are_refused(tmp_path, calls, words):
    def function(name, callees):
        body = [node(callee, ["a"], ["b"], domain="local") for callee in callees]
        return helper.make_function("local", name, ["a"], ["b"], body, opsets)

    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    functions = [function("f0", calls), function("f1", ["f2"] * 1200), function("f2", [])]
    functions[2].node.append(node("Neg", ["a"], ["b"]))
    model = onnx_model([node("f0", ["x"], ["y"], domain="local")], functions=functions, opset_imports=opsets)
    with pytest.raises(ModelError, match=words):
        read(tmp_path, model)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([("Add", ["x", "y"], ["a"]), ("Neg", ["a"], ["y"])], "cycle"),
        ([("Neg", ["x"], ["y"]), ("Abs", ["x"], ["y"])], "written twice"),
        ([("Neg", ["x"], ["x"])], "written twice"),
        ([("Neg", ["ghost"], ["y"])], "reads ghost, which nothing writes"),
        ([("Neg", ["x"], ["z"])], "nothing writes the output y"),
        ([("Constant", [], ["y"])], "has no value"),
    ],
)
def test_broken_graphs(tmp_path, nodes, words):
    with pytest.raises(ModelError, match=words):
        read(tmp_path, onnx_model([node(*item) for item in nodes]))


def test_a_tensor_that_is_not_there_in_full(tmp_path):
    model = conv_onnx()
    model.graph.initializer[0].dims[0] = 2**40
    with pytest.raises(ModelError, match=r"tensor w of shape .* needs \d+ bytes, the file has 216"):
        read(tmp_path, model)
    model.graph.initializer[0].dims[0] = -1
    with pytest.raises(ModelError, match="negative dimension"):
        read(tmp_path, model)


def test_typed_data_that_does_not_fit_is_found_on_load(tmp_path):
    model = conv_onnx()
    tensor = model.graph.initializer[1]
    tensor.CopyFrom(helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2]))
    tensor.dims[0] = 2**40
    with pytest.raises(ModelError, match="tensor scales is damaged"):
        read(tmp_path, model).parameters["scales"].load()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TensorProto.BFLOAT16, "bfloat16"),
        (TensorProto.FLOAT8E4M3FN, "float8_e4m3fn"),
        (TensorProto.FLOAT8E5M2, "float8_e5m2"),
        (TensorProto.INT4, "int4"),
        (TensorProto.FLOAT16, "float16"),
    ],
)
@pytest.mark.parametrize("raw", [True, False])
def test_small_element_types(tmp_path, kind, name, raw):
    pytest.importorskip("ml_dtypes")
    tensor = helper.make_tensor("k", kind, [3], [1, -2, 4])
    if raw:
        bits = {"bfloat16": "<u2", "float16": "<u2"}.get(name, "u1")
        tensor.raw_data = np.array(list(tensor.int32_data), bits).tobytes()
        tensor.ClearField("int32_data")
    model = onnx_model([node("Cast", ["k"], ["y"], to=TensorProto.FLOAT)])
    model.graph.initializer.append(tensor)
    parameter = read(tmp_path, model).parameters["k"]
    assert parameter.dtype == name
    assert parameter.load().astype(np.float32).tolist() == [1, -2, 4]


def test_external_data_is_read_on_demand(tmp_path):
    graph = readers.read(readers.find(save_external(tmp_path)))
    array = graph.parameters["w"].load()
    np.testing.assert_array_equal(array, WEIGHTS["conv.w_0"])
    (tmp_path / "w.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="shorter"):
        graph.parameters["w"].load()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("location", "../w.bin", "outside of the model's folder"),
        ("location", "/etc/passwd", "outside of the model's folder"),
        ("location", "", "outside of the model's folder"),
        ("location", "gone.bin", "gone.bin, which holds tensor w, is missing"),
        ("offset", "1", "needs 216 bytes at 1"),
        ("offset", "-4", "needs 216 bytes at -4"),
        ("offset", "many", "damaged"),
        ("length", "99", "declared: 99"),
    ],
)
def test_bad_external_data(tmp_path, key, value, words):
    path = save_external(tmp_path)
    model = onnx.load(path, load_external_data=False)
    tensor = next(item for item in model.graph.initializer if item.name == "w")
    entries = {entry.key: entry for entry in tensor.external_data}
    (entries.get(key) or tensor.external_data.add(key=key)).value = value
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=words):
        readers.read(readers.find(path))


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path = save_external(folder)
    (folder / "w.bin").rename(tmp_path / "w.bin")
    (folder / "w.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(ModelError, match="outside of the model's folder"):
        readers.read(readers.find(path))


def test_an_attribute_tensor_is_an_array(tmp_path):
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [3])
    nodes = [node("Shape", ["x"], ["s"]), node("ConstantOfShape", ["s"], ["y"], value=value)]
    assert read(tmp_path, onnx_model(nodes)).ops[1].attributes["value"].tolist() == [3]


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    [
        ("AveragePool", ["x"], {"kernel_shape": [2, 1], "strides": [0, 1]}),  # paddle2onnx 1.3 writes it
        ("MaxPool", ["x"], {"kernel_shape": [2, 2], "strides": [0, 0]}),
        ("Einsum", ["x"], {"equation": "x"}),
        ("DepthToSpace", ["x"], {"blocksize": 2**62}),
        ("LSTM", ["x"], {"hidden_size": 3}),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_nodes_that_crash_shape_inference_are_kept_from_it(tmp_path, op_type, inputs, attributes, nested):
    bad = node(op_type, inputs, ["a"], **attributes)
    if nested:
        result = helper.make_tensor_value_info("a", TensorProto.FLOAT, None)
        body = helper.make_graph([bad], "body", [], [result])
        bad = node("If", ["c"], ["a"], then_branch=body, else_branch=body)
    model = onnx_model([bad, node("Abs", ["x"], ["y"])], initializers={"c": np.array(True)})
    graph = read(tmp_path, model)
    assert graph.value("a").shape is None
    assert graph.value("y").shape == (1, 3, 8, None)
