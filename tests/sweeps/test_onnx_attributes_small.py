"""A setting of a few operators that no family knows, changed: named and proven. The sweep in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.diagnose.in_process import against
from tests.sweeps.onnx_attributes import Fault, faults, feeds_of, model_of
from tests.sweeps.onnx_programs import programs

OPERATORS = (
    *("Trilu", "ScatterElements", "ScatterND", "Hardmax", "LpNormalization", "OneHot", "ReverseSequence"),
    *("GatherND", "MaxRoiPool", "RoiAlign", "QuantizeLinear", "NonMaxSuppression", "GRU", "BitShift"),
)


def chosen() -> list[Fault]:
    return [f for p in programs() if p.op_type in OPERATORS for f in faults(p)]


@pytest.mark.parametrize("fault", chosen(), ids=lambda f: f"{f.program.op_type}.{f.setting}.{f.resized}")
def test_the_setting_is_named_and_proven(fault: Fault, tmp_path: Path) -> None:
    healthy = fault.reference
    found = against(model_of(healthy), model_of(fault.program), feeds_of(healthy), tmp_path)
    assert found.proven, found.text
    assert fault.program.op_type in found.text
