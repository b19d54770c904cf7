"""Where something could not be measured the report says why, whatever else it found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import segdiff
from segdiff.core.errors import EngineError
from segdiff.walk import walker
from tests.models import Net, image, save


def test_beside_outputs_that_differ_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra output is the only origin, and one segment was not to be run."""
    net = Net()
    first = net.conv("x", (3, 4))
    last = net.conv(net.node("Relu", first), (4, 2))
    ours, theirs = (
        save(net.model(*outputs), tmp_path / f"{len(outputs)}.onnx") for outputs in ((last,), (last, first))
    )
    measure = walker._Walker._measure

    def failing(self: Any, segment: Any, *known: Any) -> Any:
        if any(name == first for _, name in segment.outputs):
            raise EngineError("this segment was not to be run")
        return measure(self, segment, *known)

    monkeypatch.setattr(walker._Walker, "_measure", failing)
    report = segdiff.locate(ours, theirs, image(), deployed=False, full_walk=True)
    assert report.first is not None and report.first.cause is not None
    assert report.first.cause.kind == "output.extra"
    assert any("this segment was not to be run" in remark for remark in report.remarks)
