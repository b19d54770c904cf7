"""Do large arrays in edits reach a session as they are, without being copied into messages?"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Array
from segdiff.engines import Blocks, Engine
from segdiff.engines.apart import LARGE, apart, shared, together
from segdiff.readers import find
from tests.models import save

SIDE = 640
"""A matrix of 1.6 MB."""


def matrix(seed: int, dtype: str = "float32") -> Array:
    return np.random.default_rng(seed).standard_normal((SIDE, SIDE)).astype(dtype)


def test_they_come_back_where_they_were() -> None:
    large, small = matrix(0), np.ones(3, np.float32)
    edits = (
        Edit("y", inputs={1: large, 2: small, 3: None}),
        Edit("z", nodes=(Node("MatMul", ("x", large), ("z",)),), before=(Node("Add", (large, "x"), ("b",)),)),
        Edit("q", inputs={1: large.astype(np.int32)}),  # an operator on integers may have to know it
    )
    named, arrays = apart(edits)
    assert [each is large for each in arrays.values()] == [True] and len(
        pickle.dumps(named[:2])
    ) < 5000 < LARGE
    assert isinstance(named[2].inputs[1], np.ndarray)
    again = together(named, arrays)
    assert again[0].inputs[1] is large and again[0].inputs[2] is small and again[0].inputs[3] is None
    assert again[1].nodes[0].inputs == ("x", large) and again[1].before[0].inputs == (large, "x")


def test_each_is_shared_once() -> None:
    blocks, large = Blocks(), matrix(0)
    named, tensors = shared((Edit("y", inputs={1: large}), Edit("z", inputs={1: large})), blocks.tensor)
    (name,) = tensors
    assert [edit.inputs[1] for edit in named] == [name, name]
    assert tensors[name].ref is not None and np.array_equal(tensors[name].array, large)
    blocks.close()


@pytest.mark.parametrize("external", [False, True])
def test_an_engine_runs_with_them_and_forgets_them(tmp_path: Path, external: bool) -> None:
    own, other = matrix(1), matrix(2)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4, SIDE])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4, SIDE])],
        [numpy_helper.from_array(own, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    files, blocks = find(save(model, tmp_path / "m.onnx", external)), Blocks()
    x = np.random.default_rng(3).standard_normal((4, SIDE), dtype=np.float32)
    instead = (Edit("a", nodes=(Node("MatMul", ("x", other.T), ("a",)),)),)
    with Engine(files, blocks, timeout=60, threads=1) as engine:
        for edits, weight in (((Edit("a", inputs={1: other}),), other), (instead, other.T), ((), own)):
            found = engine.run({"x": blocks.tensor(x)}, ["y"], (0, 1), edits)["y"].array
            assert np.allclose(found, np.maximum(x @ weight, 0), atol=1e-3)
    blocks.close()
