import subprocess
import sys

import numpy as np
import pytest

from segdiff import readers
from segdiff.core.errors import ModelError
from tests.readers.models import WEIGHTS, Program, conv_program, tensor_bytes, write_params, write_pdmodel


@pytest.fixture
def graph(tmp_path):
    return readers.read(readers.find(write_pdmodel(tmp_path)))


def test_ops_stand_in_program_order_without_feed_and_fetch(graph):
    assert [(op.index, op.type, op.name) for op in graph.ops] == [
        (1, "conv2d", "conv2d.0"),
        (2, "batch_norm", "batch_norm.0"),
        (3, "relu", "relu.0"),
    ]
    assert (graph.format, graph.inputs, graph.outputs) == ("pdmodel", ("x",), ("bn.out@1",))


def test_slots_are_parallel_to_inputs(graph):
    conv, norm, _ = graph.ops
    assert dict(zip(conv.slots, conv.inputs, strict=True)) == {"Filter": "conv.w_0", "Input": "x"}
    assert norm.slots == ("Bias", "Mean", "Scale", "Variance", "X")


def test_overwritten_variables_get_versions(graph):
    _, norm, relu = graph.ops
    assert norm.outputs == ("bn.out", "bn.w_1@1", "bn.saved", "bn.w_2@1")
    assert (relu.inputs, relu.outputs) == (("bn.out",), ("bn.out@1",))


def test_every_value_is_written_once(graph):
    outputs = [name for op in graph.ops for name in op.outputs]
    assert len(outputs) == len(set(outputs))


def test_attributes_are_plain_and_without_noise(graph):
    conv, norm, _ = graph.ops
    assert conv.attributes == {"strides": [1, 1], "padding_algorithm": "EXPLICIT"}
    assert norm.attributes == {"epsilon": 0.5, "is_test": True}


def test_shapes_and_dtypes(graph):
    value = graph.value("bn.out@1")
    assert (value.shape, value.dtype) == ((None, 2, 6, 6), "float32")


def test_parameters_are_the_files(graph):
    assert set(graph.parameters) == set(WEIGHTS)
    for name, array in WEIGHTS.items():
        np.testing.assert_array_equal(graph.parameters[name].load(), array)


def test_columns_order_inputs_and_outputs(tmp_path):
    program = Program()
    for name in ("a", "b", "c"):
        program.var(name, (1,))
    program.feed("b", 1)
    program.feed("a", 0)
    program.op("elementwise_add", {"X": "a", "Y": "b"}, {"Out": "c"})
    program.fetch("b", 1)
    program.fetch("c", 0)
    program.write(tmp_path / "model.pdmodel")
    graph = readers.read(readers.find(tmp_path))
    assert (graph.inputs, graph.outputs) == (("a", "b"), ("c", "b"))


def test_list_slots_repeat_and_a_sub_block_is_an_index(tmp_path):
    program = Program()
    for name in ("a", "b", "c"):
        program.var(name, (1,))
    program.feed("a")
    program.op("concat", {"X": ["a", "@EMPTY@", "a"]}, {"Out": "b"}, axis=(9, "l", 1))
    program.op("while", {"X": "b"}, {"Out": "c"}, sub_block=(8, "block_idx", 1))
    program.fetch("c")
    program.write(tmp_path / "model.pdmodel")
    concat, loop = readers.read(readers.find(tmp_path)).ops
    assert (concat.slots, concat.inputs, concat.attributes) == (("X", "X"), ("a", "a"), {"axis": 1})
    assert loop.attributes == {"sub_block": 1}


def test_a_version_never_takes_the_name_of_a_variable(tmp_path):
    program = Program()
    for name in ("a", "b", "b@1"):
        program.var(name, (1,))
    program.feed("a")
    program.op("relu", {"X": "a"}, {"Out": "b"})
    program.op("relu", {"X": "b"}, {"Out": "b"})
    program.op("relu", {"X": "b"}, {"Out": "b@1"})
    program.fetch("b@1")
    program.write(tmp_path / "model.pdmodel")
    assert [op.outputs[0] for op in readers.read(readers.find(tmp_path)).ops] == ["b", "b@2", "b@1"]


def test_without_parameters_only_the_program_can_be_read(tmp_path):
    conv_program().write(tmp_path / "model.pdmodel")
    files = readers.find(tmp_path)
    with pytest.raises(ModelError, match="parameters are missing"):
        readers.read(files)
    graph = readers.read_program(files)
    assert graph.parameters["conv.w_0"].shape == (2, 3, 3, 3)
    with pytest.raises(ModelError, match=r"conv\.w_0 has no data"):
        graph.parameters["conv.w_0"].load()


def test_one_file_a_parameter(tmp_path):
    conv_program().write(tmp_path / "__model__")
    for name, array in WEIGHTS.items():
        (tmp_path / name).write_bytes(tensor_bytes(array))
    graph = readers.read(readers.find(tmp_path))
    np.testing.assert_array_equal(graph.parameters["bn.w_2"].load(), WEIGHTS["bn.w_2"])
    (tmp_path / "bn.w_2").unlink()
    with pytest.raises(ModelError, match=r"bn\.w_2 is missing"):
        readers.read(readers.find(tmp_path))


def test_a_parameter_name_cannot_leave_the_folder(tmp_path):
    (tmp_path / "outside").write_bytes(tensor_bytes(np.zeros(1, np.float32)))
    folder = tmp_path / "model"
    folder.mkdir()
    program = Program()
    program.var("../outside", (1,), persistable=True)
    program.fetch("../outside")
    program.write(folder / "__model__")
    (folder / "other").write_text("x")
    with pytest.raises(ModelError, match="outside of the folder"):
        readers.read(readers.find(folder))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[:-1], r"conv\.w_0: needs 216 bytes of data, the file has 215"),
        (lambda data: data[:30], r"bn\.b_0: needs 8 bytes"),
        (lambda data: data[:5], r"bn\.b_0: the file ends before it"),
        (lambda data: data + b"\0", "1 bytes are left"),
        (lambda data: b"\1" + data[1:], "there is no tensor at its place"),
        (lambda data: b"", "the file ends before it"),
    ],
)
def test_damaged_parameter_files_name_file_and_parameter(tmp_path, spoil, words):
    write_pdmodel(tmp_path)
    path = tmp_path / "model.pdiparams"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ModelError, match=words) as error:
        readers.read(readers.find(tmp_path))
    assert str(path) in str(error.value)


def test_parameters_of_another_model(tmp_path):
    write_pdmodel(tmp_path)
    write_params(tmp_path / "model.pdiparams", {**WEIGHTS, "bn.w_2": np.zeros(3, np.float32)})
    with pytest.raises(ModelError, match=r"bn\.w_2 has shape \[3\], the program says \[2\]"):
        readers.read(readers.find(tmp_path))


def test_a_huge_declared_size_allocates_nothing(tmp_path):
    program = Program()
    program.var("w", (-1, -1), persistable=True)
    program.fetch("w")
    program.write(tmp_path / "model.pdmodel")
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2**40, 2**20), (0, 0))
    desc = tensor_bytes(np.zeros((0, 0), np.float32))[:12]
    proto = readers.framework_proto.framework().VarType.TensorDesc(data_type=5, dims=huge.shape)
    data = proto.SerializeToString()
    (tmp_path / "model.pdiparams").write_bytes(desc + b"\0\0\0\0" + len(data).to_bytes(4, "little") + data)
    with pytest.raises(ModelError, match="needs 4611686018427387904 bytes"):
        readers.read(readers.find(tmp_path))


def test_lod_and_bfloat16(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    program = Program()
    program.var("w", (2,), "bfloat16", persistable=True)
    program.fetch("w")
    program.write(tmp_path / "model.pdmodel")
    raw = tensor_bytes(np.array([1, 2], ml_dtypes.bfloat16), "bfloat16", lod=(b"12345678",))
    (tmp_path / "model.pdiparams").write_bytes(raw)
    parameter = readers.read(readers.find(tmp_path)).parameters["w"]
    assert parameter.dtype == "bfloat16"
    assert parameter.load().astype(np.float32).tolist() == [1, 2]


def test_a_file_that_shrinks_later_is_an_error(tmp_path):
    graph = readers.read(readers.find(write_pdmodel(tmp_path)))
    (tmp_path / "model.pdiparams").write_bytes(b"")
    with pytest.raises(ModelError, match="shorter"):
        graph.parameters["conv.w_0"].load()


def test_reading_a_variable_nobody_declares(tmp_path):
    program = Program()
    program.op("relu", {"X": "ghost"}, {"Out": "y"})
    program.write(tmp_path / "model.pdmodel")
    with pytest.raises(ModelError, match="relu reads ghost"):
        readers.read(readers.find(tmp_path))


def test_paddle_is_not_imported(tmp_path):
    program = write_pdmodel(tmp_path)
    code = (
        "import sys; from segdiff import readers; "
        f"readers.read(readers.find({str(program)!r})); sys.exit('paddle' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_loop_writes_what_it_carries_in_the_order_it_reads(tmp_path):
    program = Program()
    for name in ("x", "i", "steps"):
        program.var(name, (4,))
    program.feed("x")
    program.feed("i", 1)
    program.op("while", {"X": ["x", "i"]}, {"Out": ["i", "x"], "StepScopes": ["steps"]})
    program.fetch("x")
    program.write(tmp_path / "model.pdmodel")
    graph = readers.read(readers.find(tmp_path))
    assert graph.ops[0].outputs == ("x@1", "i@1", "steps")
