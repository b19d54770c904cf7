"""An engine that dies takes one image with it, and three in a row the run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from segdiff.errors import EngineError, InputError
from segdiff.masks.dataset import Entry
from segdiff.masks.run import FAILURES_IN_A_ROW, Model, loaded


class Moody:
    """An engine that fails where it is told to."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.closed = fails, False

    def run(self, feeds: Any, wanted: tuple[str, ...], ops: Any) -> dict[str, Any]:
        if self.fails:
            raise EngineError("model: onnxruntime was killed by SIGKILL")
        return dict.fromkeys(wanted, "tensor")

    def close(self) -> None:
        self.closed = True


GRAPH: Any = SimpleNamespace(outputs=("y",), ops=(), format="onnx", path="model.onnx")


def model(*fails: bool) -> Model:
    engines = [Moody(each) for each in fails]
    return Model(GRAPH, lambda: engines.pop(0), engines.pop(0))  # type: ignore[arg-type, return-value]


def test_a_dead_engine_is_closed_and_replaced() -> None:
    ours = model(True, False)
    dead: Any = ours.engine
    with pytest.raises(EngineError):
        ours.run({})
    assert dead.closed and not ours.is_broken
    assert ours.run({}) == ["tensor"] and ours.failures == 0


def test_a_model_that_always_fails_is_broken() -> None:
    ours = model(*[True] * (FAILURES_IN_A_ROW + 1))
    for _ in range(FAILURES_IN_A_ROW):
        assert not ours.is_broken
        with pytest.raises(EngineError):
            ours.run({})
    assert ours.is_broken


def test_an_image_that_cannot_be_loaded_does_not_stop_the_next() -> None:
    entries = [(number, Entry(str(number), None, None)) for number in range(4)]  # type: ignore[arg-type]

    def load(entry: Entry) -> str:
        if entry.name == "1":
            raise InputError("broken")
        return entry.name

    found = [result for _, _, result in loaded(SimpleNamespace(load=load), entries)]  # type: ignore[arg-type]
    assert found[0] == "0" and isinstance(found[1], InputError) and found[2:] == ["2", "3"]
    assert list(loaded(SimpleNamespace(load=load), [])) == []  # type: ignore[arg-type]
