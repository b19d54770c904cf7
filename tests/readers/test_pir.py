import math

import numpy as np
import pytest

from segdiff import readers
from segdiff.core.errors import ModelError
from tests.readers.models import (
    WEIGHTS,
    attr,
    dense,
    pir_op,
    pir_parameter,
    pir_program,
    write_pir,
)

DATA = pir_op("1.data", [], {1: dense((4,))}, [attr("name", "0.a_str", "x")])


def read(folder, ops):
    return readers.read(readers.find(write_pir(folder, pir_program(ops), weights=None)))


@pytest.fixture
def graph(tmp_path):
    return readers.read(readers.find(write_pir(tmp_path)))


def test_values_are_named_like_paddle2onnx_does(graph):
    assert [op.outputs[0] for op in graph.ops] == [
        "pd_op.conv2d.0.0",
        "pd_op.batch_norm_.0.0",
        "pd_op.relu.0.0",
    ]
    assert (graph.format, graph.inputs, graph.outputs) == ("pir", ("x",), ("pd_op.relu.0.0",))


def test_types_lose_dialect_and_in_place_mark(graph):
    assert [op.type for op in graph.ops] == ["conv2d", "batch_norm", "relu"]
    assert [op.index for op in graph.ops] == [6, 7, 8]


def test_slots_are_the_ops_own_words(graph):
    conv, norm, _ = graph.ops
    assert dict(zip(conv.slots, conv.inputs, strict=True)) == {"input": "x", "filter": "conv.w_0"}
    assert dict(zip(norm.slots, norm.inputs, strict=True)) == {
        "x": "pd_op.conv2d.0.0",
        "mean": "bn.w_1",
        "variance": "bn.w_2",
        "scale": "bn.w_0",
        "bias": "bn.b_0",
    }


def test_attributes_are_plain_and_without_noise(graph):
    conv, norm, _ = graph.ops
    assert conv.attributes == {"strides": [1, 1]}
    assert norm.attributes == {"epsilon": 0.5, "is_test": True}


def test_shapes_and_parameters(graph):
    assert graph.value("pd_op.conv2d.0.0").shape == (None, 2, 6, 6)
    for name, array in WEIGHTS.items():
        np.testing.assert_array_equal(graph.parameters[name].load(), array)


def test_vectors_and_absent_operands(tmp_path):
    vector = {"#": "0.t_vec", "D": [dense((4,)), dense((4,))]}
    combine, made_up = read(
        tmp_path,
        [
            DATA,
            pir_op("0.combine", [1, 1], {2: vector}),
            pir_op("3.made_up", [0, 2], {3: dense((8,))}),
            pir_op("0.shadow_output", [3], {}, [attr("output_name", "0.a_str", "out")]),
        ],
    ).ops
    assert (combine.type, combine.slots) == ("builtin.combine", ("0", "1"))
    assert (made_up.type, made_up.slots, made_up.inputs) == (
        "custom_op.made_up",
        ("1",),
        ("builtin.combine.0.0",),
    )


def test_an_op_with_regions_shows_what_it_captures(tmp_path):
    body = {
        "#": "block_1",
        "args": [{"#": -1, "TT": dense((4,))}],
        "ops": [pir_op("1.add", [-1, 2], {4: dense((4,))}), pir_op("2.yield", [4, 1], {})],
    }
    loop = pir_op("1.while", [1], {5: dense((4,))}, regions=[{"#": "region_1", "blocks": [body]}])
    graph = read(tmp_path, [DATA, pir_op("1.relu", [1], {2: dense((4,))}), loop])
    op = graph.ops[-1]
    assert (op.type, op.inputs, op.slots) == ("while", ("x", "pd_op.relu.0.0"), ("0", "captured"))


def test_attribute_kinds(tmp_path):
    attributes = [
        attr("a", "1.a_scalar", ["float32", 2.5]),
        attr("b", "1.a_intarray", [1, 2]),
        attr("c", "1.a_dtype", "float32"),
        attr("d", "0.a_c64", [1, 2]),
        attr("e", "0.a_type", {"#": "0.t_bf16"}),
        attr("place", "1.a_place", [0, 0, ""]),
        {"N": "f", "AT": {"#": "0.a_f32", "VD": "-INF"}},
    ]
    op = read(tmp_path, [DATA, pir_op("1.relu", [1], {2: dense((4,))}, attributes)]).ops[0]
    assert op.attributes == {
        "a": 2.5,
        "b": [1, 2],
        "c": "float32",
        "d": 1 + 2j,
        "e": "bfloat16",
        "f": -math.inf,
    }


def test_outputs_stand_by_column(tmp_path):
    relu = pir_op("1.relu", [1], {2: dense((4,))})
    fetches = [
        pir_op("1.fetch", [number], {number + 10: dense((4,))}, [attr("col", "0.a_i32", column)])
        for number, column in ((1, 1), (2, 0))
    ]
    assert read(tmp_path, [DATA, relu, *fetches]).outputs == ("pd_op.relu.0.0", "x")


def test_without_parameters_only_the_program_can_be_read(tmp_path):
    files = readers.find(write_pir(tmp_path, weights=None))
    with pytest.raises(ModelError, match="parameters are missing"):
        readers.read(files)
    assert readers.read_program(files).parameters["bn.w_0"].shape == (2,)


@pytest.mark.parametrize(
    ("ops", "words"),
    [
        ([DATA, pir_op("1.relu", [9], {2: dense((4,))})], "read before it is written"),
        ([DATA, pir_op("1.relu", [1], {1: dense((4,))})], "written twice"),
        ([DATA, {**DATA, "O": [{"%": 2, "TT": dense((4,))}]}], "two values are called x"),
        ([pir_parameter(1, "w", (1,)), pir_parameter(2, "w", (1,))], "declared twice"),
        ([pir_op("1.relu", [], {1: dense(("a",))})], "not made of integers"),
        ([{"#": "1.relu"}, 3], "damaged"),
        ([], "no operators"),
    ],
)
def test_broken_programs(tmp_path, ops, words):
    with pytest.raises(ModelError, match=words):
        read(tmp_path, ops)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "3",
        '{"base_code":{"magic":"pir"}}',
        "[" * 100_000,
        '{"a":' * 50_000,
        "9" * 10_000,
        "\ufeff{}",
    ],
)
def test_other_json_is_no_program(tmp_path, text):
    path = tmp_path / "model.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"model\.json"):
        readers.read(readers.find(path))


def test_deeply_nested_attributes_end_in_a_model_error(tmp_path):
    path = write_pir(tmp_path)
    deep = '{"#":"0.a_array","D":[' * 5000 + "]}" * 5000
    text = path.read_text().replace('{"#":"0.a_str","D":"/Conv2D/"}', deep).replace("struct_name", "deep")
    path.write_text(text)
    with pytest.raises(ModelError, match="nested too deeply"):
        readers.read(readers.find(path))


def test_a_parameter_that_no_file_keeps_is_no_operand(tmp_path):
    state = {**pir_parameter(3, "lstm.dropout_state", ()), "OA": [0, 1, 0]}
    spelled_out = {
        **pir_parameter(4, "lstm.seed", ()),
        "#": "0.parameter",
        "A": [attr("parameter_name", "0.a_str", "lstm.seed")],
        "OA": [attr("persistable", "0.a_array", [{"#": "0.a_bool", "D": False}])],
    }
    weight = {**pir_parameter(2, "w", (4,)), "OA": [1, 0, 1]}
    used = pir_op("1.rnn", [1, 2, 3, 4], {5: dense((4,))})
    folder = write_pir(
        tmp_path, pir_program([weight, state, spelled_out, DATA, used]), weights={"w": np.ones(4, np.float32)}
    )
    graph = readers.read(readers.find(folder))
    assert set(graph.parameters) == {"w"}
    assert graph.ops[0].inputs == ("x", "w")
