"""How often is a session made of a segment? Once for both of its runs; none is kept of one that runs once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdiff.core.graph import Array
from segdiff.engines.framework import Nodes
from segdiff.engines.parts import KEPT_SESSIONS, Parts
from segdiff.engines.registry import engine_for, threads_beside, threads_of
from tests.models import IMAGE, Net, image, save


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads of the sessions that are made, in their order."""
    found: list[int] = []
    start = Parts._start

    def counted(self: Parts, model: Any, threads: int | None = None) -> Any:
        found.append(threads or self.threads)
        return start(self, model, threads)

    monkeypatch.setattr(Parts, "_start", counted)
    return found


def run(engine: Parts, op: int, beside: bool) -> Array:
    """The sign of the image turned, by one node."""
    found: list[Array] = []

    def keep(value: str, address: int, nbytes: int, dtype: str, shape: tuple[int, ...]) -> None:
        found.append(np.empty(shape, dtype))
        np.copyto(found[-1].reshape(-1).view(np.uint8), np.frombuffer(seen(address, nbytes), np.uint8))

    name = engine.cutter.model.graph.node[op].output[0]
    if beside:
        engine.run_together([Nodes((op,), {"x": image()}, (name,))], keep)
    else:
        engine.run({"x": image()}, (name,), (op,), (), keep)
    return found[0]


def seen(address: int, nbytes: int) -> bytes:
    import ctypes

    return ctypes.string_at(address, nbytes)


def test_a_session_is_kept_for_a_second_run_alone(tmp_path: Path, made: list[int]) -> None:
    net = Net(IMAGE)
    parts = [net.node("Neg", "x") for _ in range(KEPT_SESSIONS + 1)]
    program = save(net.model(net.node("Concat", *parts, axis=1)), tmp_path / "net.onnx")
    engine = Parts(program, 3, 2)
    for beside in (True, True):
        np.testing.assert_array_equal(run(engine, 0, beside), -image())
    assert made == [2, 2] and not engine.sessions
    np.testing.assert_array_equal(run(engine, 0, False), run(engine, 0, True))
    assert made == [2, 2, 3]
    for op in range(1, KEPT_SESSIONS + 1):
        run(engine, op, False)
    assert len(engine.sessions) == KEPT_SESSIONS
    run(engine, 0, True)
    assert made[-1] == 2


def test_a_core_is_left_to_the_other_engine_unless_threads_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = engine_for("onnx")
    for cores, left in ((1, 1), (2, 1), (8, 7)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert (threads_of(row, None), threads_beside(row, None)) == (cores, left)
    assert threads_beside(row, 4) == 4
    assert threads_beside(engine_for("pir"), None) == 1
