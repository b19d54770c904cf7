"""Functions of one number: the wrong one is named, by the reference's word or by trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from tests.diagnose.in_process import against, cause, paddle_op
from tests.models import Net, image

SHAPE = (1, 3, 6, 7)


def with_function(op_type: str) -> ModelProto:
    net = Net(SHAPE)
    return net.model(net.node(op_type, "x"))


@pytest.mark.parametrize(
    ("meant", "written"), [("Abs", "Neg"), ("Exp", "Erf"), ("Sqrt", "Log"), ("Sin", "Cos"), ("Sign", "Abs")]
)
def test_another_function(meant: str, written: str, tmp_path: Path) -> None:
    x = np.abs(image(SHAPE)) + 0.1
    found = against(with_function(meant), with_function(written), {"x": x}, tmp_path)
    assert (found.kind, found.proven) == ("elementwise.function", True)
    assert meant in found.text and written in found.text


@pytest.mark.parametrize("format", ["pdmodel", "pir"])
def test_paddles_word_for_it(format: str, tmp_path: Path) -> None:
    x = np.abs(image(SHAPE)) + 0.1
    reference = paddle_op("sqrt", {"x" if format == "pir" else "X": None}, {}, format=format)
    faulty = with_function("Exp")
    found = cause(reference, faulty, {"x": x}, {faulty.graph.output[0].name: np.sqrt(x)}, tmp_path)
    assert (found.kind, found.proven) == ("elementwise.function", True)
    assert found.hypothesis is not None and found.hypothesis.expected


def test_what_is_no_other_function_is_written_out(tmp_path: Path) -> None:
    x = image(SHAPE)
    reference = paddle_op("square", {"X": None}, {}, format="pdmodel")
    faulty = with_function("Cos")
    found = cause(reference, faulty, {"x": x}, {faulty.graph.output[0].name: x * x}, tmp_path)
    assert (found.kind, found.proven) == ("square.replaced", True)
