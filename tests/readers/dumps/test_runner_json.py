"""Results in JSON: Polygraphy's own file, and what trtexec writes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from segdiff.core.errors import ModelError
from segdiff.readers.dumps import read_dump
from segdiff.readers.onnx import read
from tests.dumps.device import recorded, recorded_half
from tests.dumps.results import write_polygraphy, write_trtexec
from tests.models import image, segmenter

FEEDS = {"x": image()}


@pytest.fixture
def graph(tmp_path: Path):
    onnx.save(segmenter(), tmp_path / "model.onnx")
    return read(tmp_path / "model.onnx")


def test_polygraphys_arrays(tmp_path: Path, graph) -> None:
    values = recorded_half(segmenter(), FEEDS)
    write_polygraphy(tmp_path / "f.json", values)
    dump = read_dump(tmp_path / "f.json", graph)
    assert dump.problems == () and set(dump.tensors) == set(values) and dump.form == "json"
    assert all(np.array_equal(dump.tensors[name].load(), values[name]) for name in values)


def test_two_runners_that_differ_are_two_that_could_be_it(tmp_path: Path, graph) -> None:
    values = recorded(segmenter(), FEEDS)
    write_polygraphy(tmp_path / "f.json", values)
    content = json.loads((tmp_path / "f.json").read_text())
    write_polygraphy(tmp_path / "g.json", {name: array * 2 for name, array in values.items()})
    content["lst"] += json.loads((tmp_path / "g.json").read_text())["lst"]
    (tmp_path / "g.json").unlink()
    (tmp_path / "f.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="2 files could be it"):
        read_dump(tmp_path / "f.json", graph)


def test_a_damaged_array_costs_a_line(tmp_path: Path, graph) -> None:
    values = recorded(segmenter(), FEEDS)
    write_polygraphy(tmp_path / "f.json", values)
    text = (tmp_path / "f.json").read_text()
    place = text.index('"array": "') + 10
    (tmp_path / "f.json").write_text(text[: place + 400] + text[place + 480 :])
    dump = read_dump(tmp_path / "f.json", graph)
    assert len(dump.problems) == 1 and len(dump.tensors) == len(values) - 1


def test_trtexecs_numbers(tmp_path: Path, graph) -> None:
    values = recorded(segmenter(), FEEDS)
    output = graph.outputs[0]
    held = values[output].copy()
    held[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    write_trtexec(tmp_path / "out.json", {output: held})
    tensor = read_dump(tmp_path / "out.json", graph).tensors[output]
    assert np.allclose(tensor.load(), held, rtol=1e-5, equal_nan=True)
    assert tensor.how == ("written with 6 digits",)


def test_polygraphy_itself(tmp_path: Path, graph) -> None:
    pytest.importorskip("polygraphy")
    words = ["run", "model.onnx", "--onnxrt", "--onnx-outputs", "mark", "all", "--save-outputs", "f.json"]
    subprocess.run(
        [sys.executable, "-c", "from polygraphy.tools import main; main()", *words],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    dump = read_dump(tmp_path / "f.json", graph)
    assert dump.problems == () and set(dump.tensors) == {name for op in graph.ops for name in op.outputs}
    assert all(np.isfinite(tensor.load()).all() for tensor in dump.tensors.values())
