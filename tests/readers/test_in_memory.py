"""An ONNX model in memory is read like its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import segdiff
from segdiff.core.errors import ModelError
from segdiff.example import HERE
from segdiff.readers import find, read
from segdiff.readers.in_memory import on_disk


def scaling() -> onnx.ModelProto:
    """``x * w`` with a weight of 4,000 bytes."""
    weight = onnx.numpy_helper.from_array(np.ones((1000,), np.float32), "w")
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1000]) for name in "xy"]
    node = onnx.helper.make_node("Mul", ["x", "w"], ["y"])
    return onnx.helper.make_model(onnx.helper.make_graph([node], "g", values[:1], values[1:], [weight]))


def test_a_model_in_memory_gets_a_file() -> None:
    files = find(scaling())
    assert files.format == "onnx" and [op.type for op in read(files).ops] == ["Mul"]


def test_weights_beyond_one_message_get_a_file_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model = scaling()
    before = model.SerializeToString()
    monkeypatch.setattr("segdiff.readers.in_memory.LARGEST", 100)
    files = find(model)
    assert (files.program.parent / "weights").is_file() and model.SerializeToString() == before
    assert [op.type for op in read(files).ops] == ["Mul"]


def test_a_path_is_taken_as_it_is() -> None:
    assert on_disk("a/b.onnx") == Path("a/b.onnx")


@pytest.mark.parametrize("thing", [None, 3, b"bytes", onnx.NodeProto()])
def test_anything_else_is_refused(thing: object) -> None:
    with pytest.raises(ModelError, match="is no model: give a path"):
        find(thing)  # type: ignore[arg-type]


@pytest.mark.real
def test_locate_and_repair_take_it(tmp_path: Path) -> None:
    report = segdiff.locate(HERE / "deploy", onnx.load(HERE / "model.onnx"), HERE / "street.png")
    assert report.verdict == "diverges"
    assert report.repair(tmp_path / "fixed.onnx").agrees
