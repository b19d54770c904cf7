"""Where both sides quantise by the same operators, a step of the scale is no rounding."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdiff import locate
from tests.models import save
from tests.sweeps.onnx_attributes import faults, feeds_of, model_of
from tests.sweeps.onnx_programs import programs


@pytest.mark.parametrize("op_type", ["QLinearConv", "DequantizeLinear"])
def test_another_scale_of_the_same_operator_is_found(op_type: str, tmp_path: Path) -> None:
    program = next(p for p in programs() if p.op_type == op_type)
    fault = next(f for f in faults(program) if f.setting == "x_scale")
    files = save(model_of(program), tmp_path / "a.onnx"), save(model_of(fault.program), tmp_path / "b.onnx")
    report = locate(*files, feeds_of(program), deployed=False)
    assert report.verdict == "diverges"
    assert op_type in [op.type for op in report.origins[0].candidate_nodes]
    assert locate(files[0], files[0], feeds_of(program), deployed=False).verdict == "agrees"


@pytest.mark.parametrize(
    ("op_type", "setting"), [("ConvInteger", "w_zero_point"), ("MatMulInteger", "b_zero_point")]
)
def test_the_same_integers_with_another_zero_point_were_not_stored_anew(
    op_type: str, setting: str, tmp_path: Path
) -> None:
    """A zero point one higher moves every weight by just a step, as storing them anew may."""
    program = next(p for p in programs() if p.op_type == op_type)
    fault = next(f for f in faults(program) if f.setting == setting)
    files = save(model_of(program), tmp_path / "a.onnx"), save(model_of(fault.program), tmp_path / "b.onnx")
    report = locate(*files, feeds_of(program), deployed=False)
    assert report.verdict == "diverges"
    assert op_type in [op.type for op in report.origins[0].candidate_nodes]
    assert report.origins[0].cause is not None and report.origins[0].cause.proven
