"""Segments that run in one go give the report of segments that run one by one; a failure harms no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import segdiff
from segdiff.core.errors import EngineError
from segdiff.engines.revived import Candidate
from segdiff.example import example_files
from segdiff.walk import gathered

VARYING = ("timing_s", "peak_memory_mb")

pytestmark = pytest.mark.real


def told(healthy: bool) -> dict[str, Any]:
    """The report on the example without what varies; the example as it is has a fault."""
    with example_files("healthy.onnx" if healthy else "model.onnx") as files:
        found = segdiff.locate(*files).to_dict()
    return {name: value for name, value in found.items() if name not in VARYING}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many segments each order was for."""
    sizes: list[int] = []
    compared = Candidate.compared

    def counted(self: Candidate, parts: Sequence[Any]) -> Any:
        sizes.append(len(parts))
        return compared(self, parts)

    monkeypatch.setattr(Candidate, "compared", counted)
    return sizes


@pytest.mark.parametrize("healthy", [True, False])
def test_a_report_is_the_same_however_many_run_together(
    healthy: bool, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = told(healthy)
    assert max(asked) > 2
    asked.clear()
    monkeypatch.setattr(gathered, "TOGETHER", 1)
    alone = told(healthy)
    assert set(asked) == {1}
    assert together == alone and together["verdict"] == ("agrees" if healthy else "diverges")


def test_what_fails_together_runs_one_by_one(asked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    together = told(healthy=False)
    asked.clear()
    counted = Candidate.compared

    def failing(self: Candidate, parts: Sequence[Any]) -> Any:
        if len(parts) > 1:
            asked.append(len(parts))
            raise EngineError("these do not go into one session")
        return counted(self, parts)

    monkeypatch.setattr(Candidate, "compared", failing)
    assert told(healthy=False) == together
    assert sum(size > 1 for size in asked) == 1 and asked.count(1) > 2
