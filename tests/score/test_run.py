"""An engine that dies takes one image with it, and three in a row the run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from segdiff.core.errors import EngineError, InputError
from segdiff.engines import Deployed
from segdiff.score.dataset import Entry
from segdiff.score.run import FAILURES_IN_A_ROW, Model, loaded


class Moody:
    """An engine that can run in the ways it is told, as deployed or as written; ``dies`` where it cannot."""

    def __init__(self, *can: str, dies: bool = False) -> None:
        self.can, self.dies, self.closed = can, dies, False

    @property
    def is_alive(self) -> bool:
        return not self.dies

    def run_deployed(self, feeds: Any, wanted: tuple[str, ...], how: Deployed) -> dict[str, Any]:
        return self._run("onednn" if how.onednn else "optimised", wanted)

    def run(self, feeds: Any, wanted: tuple[str, ...], ops: Any) -> dict[str, Any]:
        return self._run("written", wanted)

    def _run(self, how: str, wanted: tuple[str, ...]) -> dict[str, Any]:
        if how not in self.can:
            raise EngineError(f"model: {how} is more than this engine can do")
        return dict.fromkeys(wanted, how)

    def close(self) -> None:
        self.closed = True


def graph(format: str) -> Any:
    return SimpleNamespace(outputs=("y",), ops=(), format=format, path="model")


def model(format: str, *engines: Moody) -> Model:
    waiting = list(engines)
    return Model(graph(format), lambda: waiting.pop(0), waiting.pop(0))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("format", "can", "used", "said"),
    [
        ("onnx", ("optimised", "written"), "optimised", ""),
        (
            "onnx",
            ("written",),
            "written",
            "optimised is more than this engine can do; so it was run as written",
        ),
        ("pir", ("onednn", "optimised", "written"), "onednn", ""),
        ("pir", ("optimised", "written"), "optimised", "so it was run optimised, but without oneDNN"),
        ("pdmodel", ("written",), "written", "so it was run as written"),
    ],
)
def test_a_model_runs_as_deployed_or_else_as_far_as_it_can(
    format: str, can: tuple[str, ...], used: str, said: str
) -> None:
    ours = model(format, Moody(*can))
    for _ in range(3):
        assert ours.run({}) == [used]
    assert len(ours.remarks) == bool(said) and said in "".join(ours.remarks)


def test_a_dead_engine_is_closed_and_replaced() -> None:
    dead = Moody(dies=True)
    ours = model("onnx", dead, Moody("optimised", "written"))
    assert ours.run({}) == ["written"]
    assert dead.closed and not ours.is_broken


def test_a_model_that_always_fails_is_broken() -> None:
    ours = model("onnx", Moody())
    for _ in range(FAILURES_IN_A_ROW):
        assert not ours.is_broken
        with pytest.raises(EngineError, match="written"):
            ours.run({})
    assert ours.is_broken and not ours.remarks


def test_an_image_that_cannot_be_loaded_does_not_stop_the_next() -> None:
    entries = [(number, Entry(str(number), None, None)) for number in range(4)]  # type: ignore[arg-type]

    def load(entry: Entry) -> str:
        if entry.name == "1":
            raise InputError("broken")
        return entry.name

    found = [result for _, _, result in loaded(SimpleNamespace(load=load), entries)]  # type: ignore[arg-type]
    assert found[0] == "0" and isinstance(found[1], InputError) and found[2:] == ["2", "3"]
    assert list(loaded(SimpleNamespace(load=load), [])) == []  # type: ignore[arg-type]
