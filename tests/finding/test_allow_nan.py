"""NaN in the input is refused, unless it is meant: then it is compared like any value."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import segdiff
from segdiff.core.errors import InputError
from segdiff.inputs import InputSpec, compare_inputs, prepare
from tests.models import IMAGE, Net, image, save, segmenter


def holed() -> np.ndarray:
    tensor = image()
    tensor[0, 1, 3, 4], tensor[0, 2, 6, 6] = np.nan, np.inf
    return tensor


def net(absorbs: bool) -> Net:
    made = Net(IMAGE)
    x = made.conv("x", (3, 4))
    out = made.node("Relu", x)
    if absorbs:
        out = made.node("Where", made.node("IsNaN", x), made.constant(0.0), out)
    made.last = made.conv(out, (4, 2))  # type: ignore[attr-defined]
    return made


def model(folder: Path, name: str, absorbs: bool) -> Path:
    made = net(absorbs)
    return save(made.model(made.last), folder / f"{name}.onnx")  # type: ignore[attr-defined]


def test_a_nan_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    files = save(segmenter(), tmp_path / "ours.onnx"), save(segmenter(), tmp_path / "theirs.onnx")
    with pytest.raises(InputError, match=r"1 NaN, 1 Inf.*--allow-nan"):
        segdiff.locate(*files, holed(), timeout=60)
    report = segdiff.locate(*files, holed(), timeout=60, allow_nan=True)
    assert report.verdict == "agrees"
    assert any("2 of its" in sentence for sentence in report.input_findings)


def test_a_nan_that_one_side_absorbs_is_found(tmp_path: Path) -> None:
    ours, theirs = model(tmp_path, "ours", True), model(tmp_path, "theirs", False)
    assert segdiff.locate(ours, theirs, image(), timeout=60).verdict == "agrees"
    report = segdiff.locate(ours, theirs, holed(), timeout=60, allow_nan=True)
    assert report.verdict == "diverges"
    assert report.first is not None
    assert [node.type for node in report.first.candidate_nodes][-1:] == ["Relu"]


def test_the_same_nan_is_no_other_input() -> None:
    spec = InputSpec("x", IMAGE, "float32")
    reference = prepare(holed(), (spec,), allow_nan=True)
    assert compare_inputs(reference, holed()).same
    other = holed()
    other[0, 0, 0, 0] = np.nan
    assert not compare_inputs(reference, other).same
    scaled = compare_inputs(reference, holed()[:, ::-1].copy())
    assert not scaled.same


PADDLE = """
import sys, paddle
net = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3, padding=1), paddle.nn.ReLU(), paddle.nn.Conv2D(4, 2, 1))
net.eval()
paddle.jit.save(net, sys.argv[1], input_spec=[paddle.static.InputSpec([1, 3, 16, 24], "float32", name="x")])
"""


@pytest.mark.real
def test_a_relu_of_paddle_makes_0_of_a_nan(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", PADDLE, str(tmp_path / "net")], check=True, capture_output=True)
    candidate = segdiff.convert(tmp_path / "net.json", tmp_path / "net.onnx")
    report = segdiff.locate(tmp_path / "net.json", candidate, holed(), timeout=120, allow_nan=True)
    assert report.first is not None and report.first.cause is not None
    assert report.first.candidate_nodes[0].type == "Relu"
    assert (report.first.cause.kind, report.first.cause.proven) == ("nan.kept", True)
