"""Do weights that lie beside a file stay there, however large they are?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from segdiff.core.edit import Edit
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array
from segdiff.engines.cutting import Cutter, fetch_unmapped
from segdiff.engines.parts import Parts
from tests.models import IMAGE, if_network, image, save, segmenter

ROWS, WIDTH = 2_300_000, 256
"""A table of 2.36 GB: more than protobuf takes."""


def opened(program: Path) -> Parts:
    return Parts(program, 1, 1)


def run(engine: Parts, feeds: dict[str, Array], wanted: str, *edits: Edit) -> Array:
    """One value of the whole model, cut as one."""
    ops = tuple(index for index, node in enumerate(engine.cutter.model.graph.node))
    return engine._run_nodes(ops, feeds, (wanted,), edits)[wanted].numpy()


def table(folder: Path, place: str = "model.onnx.data") -> Path:
    """Rows picked from the table, times two. On disk it is a hole but for its last row."""
    size = ROWS * WIDTH * 4
    with (folder / "model.onnx.data").open("wb") as file:
        file.truncate(size)
        file.seek(size - WIDTH * 4)
        file.write(np.arange(WIDTH, dtype=np.float32).data)
    weight = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=[ROWS, WIDTH])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", place), ("offset", "0"), ("length", str(size))):
        weight.external_data.add(key=key, value=value)
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["rows"], axis=0),
        helper.make_node("Add", ["rows", "rows"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "table",
        [helper.make_tensor_value_info("x", TensorProto.INT64, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, WIDTH])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def anonymous_kb() -> int:
    """Memory of this process that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def test_more_than_protobuf_takes_runs_in_one_cut_without_a_copy(tmp_path: Path) -> None:
    engine = opened(table(tmp_path))
    before = anonymous_kb()
    found = run(engine, {"x": np.array([0, ROWS - 1])}, "y")
    assert np.array_equal(found[1], 2 * np.arange(WIDTH, dtype=np.float32)) and not found[0].any()
    assert anonymous_kb() - before < 100_000


def test_a_change_of_a_node_does_so_too(tmp_path: Path) -> None:
    engine = opened(table(tmp_path))
    edit = Edit("y", op_type="Sub")
    assert not run(engine, {"x": np.array([0, ROWS - 1])}, "y", edit).any()


def test_the_numbers_are_those_of_a_file_that_holds_its_weights(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    inside, outside = (
        save(segmenter(), tmp_path / "a.onnx"),
        save(segmenter(), tmp_path / "out" / "b.onnx", True),
    )
    found = [
        run(opened(file), {"x": image(IMAGE)}, segmenter().graph.output[0].name) for file in (inside, outside)
    ]
    assert found[0].tobytes() == found[1].tobytes()


def test_what_cannot_be_mapped_is_fetched(tmp_path: Path) -> None:
    program = save(segmenter(), tmp_path / "a.onnx")
    cutter = Cutter(program)
    part = cutter.cut(range(len(cutter.model.graph.node)), {"x": image()}, ["logits"])
    fetch_unmapped(part, program)
    assert all(tensor.data_location == TensorProto.DEFAULT for tensor in part.graph.initializer)


def test_a_place_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    table(tmp_path)
    program = table(tmp_path / "in", "../model.onnx.data")
    with pytest.raises(ModelError, match="outside of the model's folder"):
        run(opened(program), {"x": np.array([0, 1])}, "y")


def test_what_a_block_captures_is_fetched_into_it(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    inside, outside = save(if_network(), tmp_path / "a.onnx"), tmp_path / "out" / "b.onnx"
    onnx.save(if_network(), outside, save_as_external_data=True, location="b.data", size_threshold=0)
    name = if_network().graph.output[0].name
    found = [run(opened(file), {"x": image()}, name) for file in (inside, outside)]
    assert found[0].tobytes() == found[1].tobytes()
