"""Large tensors stay in the file, and are what they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segdiff import readers
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Graph
from segdiff.engines import Blocks, Engine, Tensor
from segdiff.readers.onnx_light import LARGE, light_bytes

SIDE = 160
"""A square matrix of this side has more than ``LARGE`` bytes."""


def matrix(seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((SIDE, SIDE)).astype(np.float32)


def model() -> onnx.ModelProto:
    """``(x @ a) @ b + c``: a large initializer, a large Constant node, a small initializer."""
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["y"]),
        helper.make_node("Constant", [], ["b"], value=numpy_helper.from_array(matrix(1), "inside")),
        helper.make_node("MatMul", ["y", "b"], ["z"]),
        helper.make_node("Add", ["z", "c"], ["out"]),
    ]
    weights = [numpy_helper.from_array(matrix(0), "a"), numpy_helper.from_array(matrix(2)[0], "c")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, SIDE]) for name in ("x", "out")]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], weights)
    made: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    onnx.save(model(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def read(path: Path) -> Graph:
    return readers.read(readers.find(path))


def assert_weights(graph: Graph) -> None:
    for seed, name in enumerate("ab"):
        np.testing.assert_array_equal(graph.parameters[name].load(), matrix(seed))
    np.testing.assert_array_equal(graph.parameters["c"].load(), matrix(2)[0])


def test_large_tensors_stay_in_the_file(path: Path) -> None:
    assert path.stat().st_size > 2 * LARGE > LARGE > len(light_bytes(path))
    assert_weights(read(path))


def test_the_rest_of_the_message_is_as_it_was(path: Path) -> None:
    light, whole = onnx.ModelProto.FromString(light_bytes(path)), model()
    for each in (light, whole):
        for tensor in (each.graph.initializer[0], each.graph.node[1].attribute[0].t):
            for field in ("raw_data", "external_data", "data_location"):
                tensor.ClearField(field)
    assert light == whole


def test_a_link_to_a_model_elsewhere_is_read(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "links" / "model.onnx"
    link.parent.mkdir()
    link.symlink_to(path)
    assert_weights(read(link))


def test_what_is_not_understood_is_read_whole(path: Path) -> None:
    data = path.read_bytes() + b"\xa3\x06\xa4\x06"  # an empty group, which no writer of ONNX makes
    path.write_bytes(data)
    assert light_bytes(path) == data
    assert_weights(read(path))


def test_external_data_beside_the_file_stay_there(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(
        model(), path, save_as_external_data=True, location="w.bin", size_threshold=0, convert_attribute=True
    )
    assert_weights(read(path))


@pytest.mark.parametrize("dims", [[SIDE, SIDE + 1], [SIDE, SIDE - 1]])
def test_a_large_tensor_of_another_size_is_refused(path: Path, dims: list[int]) -> None:
    changed = model()
    del changed.graph.initializer[0].dims[:]
    changed.graph.initializer[0].dims.extend(dims)
    path.write_bytes(changed.SerializeToString())
    with pytest.raises(ModelError, match=f"needs {4 * dims[0] * dims[1]} bytes, the file has {4 * SIDE**2}"):
        read(path)


def test_a_file_that_has_become_shorter_is_refused(path: Path) -> None:
    graph = read(path)
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(ModelError, match="shorter"):
        graph.parameters["b"].load()


@pytest.mark.parametrize("ops", [None, (0,), (2, 3)])
def test_an_engine_runs_with_the_weights_from_the_file(path: Path, ops: tuple[int, ...] | None) -> None:
    x = matrix(3)[:2]
    y = x @ matrix(0)
    out = y @ matrix(1) + matrix(2)[0]
    feeds = {"y": Tensor(y)} if ops == (2, 3) else {"x": Tensor(x)}
    wanted = ["y"] if ops == (0,) else ["out"]
    with Engine(readers.find(path), Blocks(), timeout=20.0, threads=1) as engine:
        got = engine.run(feeds, wanted, ops)[wanted[0]].array
    np.testing.assert_allclose(got, y if ops == (0,) else out, rtol=1e-4, atol=1e-3)
