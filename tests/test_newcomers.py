"""Who comes next touches one file and one row: here a toy format, a toy family, a toy form."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

import segdiff
from segdiff.core.edit import Edit
from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph, Op, Value
from segdiff.diagnose import hypothesis
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.readers import find, read, registry
from segdiff.report import forms
from segdiff.report.document import Document, Headline
from tests.models import IMAGE, Net, image


def module(patch: pytest.MonkeyPatch, name: str, **names: object) -> str:
    """A module of the tests' making, as if it were a file."""
    made = ModuleType(name)
    vars(made).update(names)
    patch.setitem(sys.modules, name, made)
    return name


# --- a format: a line an op, `Relu x y`


def read_lines(program: Path) -> Graph:
    """The graph of a file of lines."""
    words = [line.split() for line in program.read_text().splitlines()]
    try:
        ops = tuple(
            Op(index, type, f"{type}.{index}", (start,), ("X",), (end,), {})
            for index, (type, start, end) in enumerate(words)
        )
    except ValueError as error:
        raise ModelError(f"{program}: a line is no op") from error
    names = dict.fromkeys(name for op in ops for name in (*op.inputs, *op.outputs))
    values = {name: Value(name) for name in names}
    return Graph("lines", program, ops, values, {}, ops[0].inputs, ops[-1].outputs)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A model of the new format, its row in place."""
    home = module(monkeypatch, "toy_reader", read=read_lines)
    row = registry.ReaderRow("lines", ".lines", home, carries_parameters=True, mark=b"^[A-Z]")
    monkeypatch.setattr(registry, "READERS", (*registry.READERS, row))
    file = tmp_path / "model.lines"
    file.write_text("Relu x h\nExp h y\n")
    return file


def test_a_format_is_found_and_read(lines: Path) -> None:
    for path in (lines, lines.parent, lines.with_suffix("")):
        graph = read(find(path))
        assert graph.format == "lines" and [op.type for op in graph.ops] == ["Relu", "Exp"]


def test_a_format_is_named_where_no_model_is(lines: Path) -> None:
    (lines.parent / "else").mkdir()
    with pytest.raises(ModelError, match=r"or LINES \.lines"):
        find(lines.parent / "else")


def test_a_format_that_no_engine_runs_is_one_clear_error(lines: Path) -> None:
    np.save(lines.parent / "x.npy", image())
    with pytest.raises(ModelError, match="no engine runs a model of the format 'lines'"):
        segdiff.locate(lines, lines, lines.parent / "x.npy")


# --- a family: a Softplus that became an Asinh


def straight(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Softplus in the place of an Asinh."""
    yield Hypothesis("toy.softplus", "it should be a softplus", (Edit(op.outputs[0], op_type="Softplus"),))


def test_a_family_explains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(hypothesis._FAMILIES, "Asinh", [])
    family("Asinh")(straight)
    for name, op_type in (("reference", "Softplus"), ("candidate", "Asinh")):
        net = Net()
        onnx.save(
            net.model(net.node("Neg", net.node(op_type, net.conv("x", (3, 4))))), tmp_path / f"{name}.onnx"
        )
    np.save(tmp_path / "x.npy", image(IMAGE))
    report = segdiff.locate(tmp_path / "reference.onnx", tmp_path / "candidate.onnx", tmp_path / "x.npy")
    assert report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("toy.softplus", True)


# --- a form: the headline alone


def shout(document: Document) -> str:
    """The headline in capitals."""
    return next(block.sentence.upper() for block in document if isinstance(block, Headline))


def test_a_form_shows_every_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    home = module(monkeypatch, "toy_form", shout=shout)
    monkeypatch.setitem(forms.FORMS, "shout", f"{home}:shout")
    folder = Path(segdiff.__file__).parent / "example"
    report = segdiff.locate(folder / "deploy", folder / "healthy.onnx", folder / "street.png")
    assert forms.shown(report, "shout").startswith("THE MODELS AGREE")
    assert forms.shown(replace(report, verdict="inconclusive"), "shout")
