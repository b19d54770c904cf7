"""A new engine is its own module and a row: here a toy runtime for a toy format, on either Python."""

from __future__ import annotations

import platform
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import segdiff
from segdiff.core.errors import EngineError, InputError, ModelError
from segdiff.engines import Blocks, Engine
from segdiff.engines import registry as engines
from segdiff.engines.workers import Home
from segdiff.readers import find
from segdiff.readers import registry as readers
from tests.models import Net, image, save, segmenter

ROOT = Path(__file__).parents[2]
FORMAT = readers.ReaderRow("toy", ".toy", "tests.engines.toy", carries_parameters=True)
ENGINE = engines.EngineRow("toy", ("toy",), Home("toy", "tests.engines.toy:Toy"), threads=1)


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READERS", (*readers.READERS, FORMAT))
    monkeypatch.setattr(engines, "ENGINES", (*engines.ENGINES, ENGINE))


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    file = tmp_path / "model.toy"
    file.write_text("Relu x a\nExp a b\nNeg b c\nTanh c y\n")
    return file


def candidate(folder: Path, *types: str) -> Path:
    net, x = Net(), "x"
    for op_type in types:
        x = net.node(op_type, x)
    return save(net.model(x), folder / "model.onnx")


def test_a_toy_engine_is_a_reference(toy: Path) -> None:
    right = candidate(toy.parent, "Relu", "Exp", "Neg", "Tanh")
    report = segdiff.locate(toy, right, image(), timeout=60, deployed="all")
    assert (report.verdict, report.coverage) == ("agrees", (1.0, 1.0))
    assert any("segdiff knows no optimiser of toy" in remark for remark in report.remarks)
    wrong = candidate(toy.parent, "Relu", "Exp", "Neg", "Sin")
    report = segdiff.locate(toy, wrong, image(), timeout=60)
    assert report.verdict == "diverges" and report.first is not None
    assert [op.type for op in report.first.reference_ops] == ["Tanh"]
    assert [op.type for op in report.first.candidate_nodes] == ["Sin"]


def test_what_a_toy_engine_cannot_do_is_said(toy: Path) -> None:
    with pytest.raises(InputError, match=r"model\.toy: the candidate must be an \.onnx file"):
        segdiff.locate(candidate(toy.parent, "Relu"), toy, image())
    toy.write_text("Relu x a b\n")
    with pytest.raises(ModelError, match="a line is no op"):
        segdiff.locate(toy, candidate(toy.parent, "Relu"), image(), timeout=60)


def test_the_report_says_which_versions_computed_it(toy: Path) -> None:
    report = segdiff.locate(toy, candidate(toy.parent, "Relu", "Exp", "Neg", "Tanh"), image(), timeout=60)
    found = report.to_dict()["environment"]
    assert (found["segdiff"], found["python"]) == (segdiff.__version__, platform.python_version())
    assert found["platform"] == platform.platform()
    python = platform.python_version()
    numpy = {"toy": "1.0", "numpy": np.__version__}
    assert found["reference"] == {"engine": "toy", "python": python, "versions": numpy}
    packages = {"onnxruntime": onnxruntime.__version__, "onnx": onnx.version.version}
    assert found["candidate"] == {"engine": "onnxruntime", "python": python, "versions": packages}


@pytest.fixture
def other_python(tmp_path: Path) -> str:
    """A Python that passes for that of another environment: it has our packages, and leaves a trace."""
    place = tmp_path / "other" / "python"
    place.parent.mkdir()
    place.write_text(f'#!/bin/sh\nOTHER=yes exec "{sys.executable}" "$@"\n')
    place.chmod(0o755)
    return str(place)


def variables(engine: Engine) -> list[bytes]:
    return Path(f"/proc/{engine.process.pid}/environ").read_bytes().split(b"\0")


def test_a_row_names_another_python(
    toy: Path, other_python: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = replace(ENGINE.home, environment={"FROM_THE_ROW": "1", "HOME": "elsewhere"})
    row = replace(ENGINE, interpreter=other_python, home=home)
    monkeypatch.setattr(engines, "ENGINES", (row,))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where that Python finds the toy
    (tmp_path / "numpy.py").write_text("raise RuntimeError('the wrong numpy')\n")
    monkeypatch.chdir(tmp_path)
    with Engine(find(toy), Blocks(), timeout=60, threads=1) as engine:
        got = engine.run({"x": engine.blocks.tensor(np.zeros(3, np.float32))}, ["b"])
        assert list(got["b"].array) == [1, 1, 1]
        assert {b"OTHER=yes", b"FROM_THE_ROW=1"} <= set(variables(engine))
        assert b"HOME=elsewhere" not in variables(engine)  # the user's own counts


@pytest.mark.parametrize("reference", ["another framework's", "ONNX, too"])
def test_a_python_that_lacks_a_module_is_told_what_it_needs(
    reference: str, toy: Path, other_python: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lost = "raise ModuleNotFoundError(\"No module named 'onnx_graphsurgeon'\")\n"
    (tmp_path / "onnx_graphsurgeon.py").write_text(lost)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    files = toy, candidate(toy.parent, "Relu", "Exp", "Neg", "Tanh")
    if reference == "ONNX, too":
        files = save(segmenter(1), tmp_path / "ours.onnx"), save(segmenter(2), tmp_path / "theirs.onnx")
    with pytest.raises(
        EngineError, match=r"No module named 'onnx_graphsurgeon'; .*other.* needs the framework and numpy"
    ):
        segdiff.locate(*files, image(), reference_python=other_python, candidate_python=other_python)


def test_either_side_runs_with_another_python(
    toy: Path, other_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str | None]] = []

    class Watched(Engine):
        def __init__(self, files: object, blocks: object, **options: object) -> None:
            super().__init__(files, blocks, **options)  # type: ignore[arg-type]
            seen.append((self.name, options["python"]))  # type: ignore[arg-type]

    monkeypatch.setattr("segdiff.engines.session.Engine", Watched)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    files = toy, candidate(toy.parent, "Relu", "Exp", "Neg", "Tanh")
    report = segdiff.locate(*files, image(), timeout=60, candidate_python=other_python, deployed=False)
    assert report.verdict == "agrees"
    assert seen == [("toy", None), ("onnxruntime", other_python)]
    with pytest.raises(EngineError, match=r"/no/python cannot be started: No such file or directory"):
        segdiff.locate(*files, image(), timeout=60, reference_python="/no/python")
