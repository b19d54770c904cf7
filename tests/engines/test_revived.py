"""What another engine takes over from one that has died, and what it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from segdiff.core.errors import EngineError
from segdiff.engines.revived import Candidate, Reference

VALUES = ("a", "b", "c", "d")


class Fake:
    """Gives the values in order and ends, in the way told, as it should give one of them."""

    def __init__(self, ends: Mapping[str, str]) -> None:
        self.ends, self.asked, self.is_alive = ends, [], True
        self.failure: str | None = None

    def stream(self, feeds: object, wanted: Iterable[str], *more: object) -> Iterator[tuple[str, Any]]:
        self.asked.append(tuple(wanted))
        for name in self.asked[-1]:
            how = self.ends.get(name)
            if how:
                error = EngineError(f"{how} at {name}", died=how != "raised", silent=how == "silent")
                error.killed = how == "killed"
                self.is_alive = not error.died
                raise error
            yield name, name.upper()

    def run(self, feeds: object, wanted: Iterable[str], *more: object) -> dict[str, Any]:
        return dict(self.stream(feeds, wanted))

    def run_deployed(self, feeds: object, wanted: Iterable[str], how: object) -> dict[str, Any]:
        self.asked.append(("whole", *wanted))
        if (ended := self.ends.get("whole")) is None:
            return {name: f"whole {name}" for name in wanted}
        error = EngineError(f"{ended} at whole", died=ended != "raised", silent=ended == "silent")
        error.killed = ended == "killed"
        self.is_alive = not error.died
        raise error

    def compared(self, parts: list[str]) -> list[str]:
        return [dict(self.stream({}, [part]))[part] for part in parts]

    def close(self) -> None:
        pass


def engines(*ends: Mapping[str, str]) -> list[Any]:
    return [Fake(each) for each in ends]


def reference(made: list[Any]) -> Reference:
    rest = iter(made[1:])
    return Reference(lambda: next(rest), made[0])


def test_after_a_kill_another_one_goes_on_where_it_stood() -> None:
    made = engines({"c": "killed"}, {})
    side = reference(made)
    assert list(side.stream({}, VALUES)) == [(name, name.upper()) for name in VALUES]
    assert made[1].asked == [("c", "d")] and side.restarted == ["killed at c"]


def test_it_goes_on_twice_at_most() -> None:
    made = engines({"b": "killed"}, {"c": "killed"}, {"d": "killed"}, {})
    side, got = reference(made), []
    with pytest.raises(EngineError, match="killed at d"):
        for name, _ in side.stream({}, VALUES):
            got.append(name)
    assert got == ["a", "b", "c"] and not made[3].asked


def test_a_crash_is_not_repeated_but_the_next_question_is_answered() -> None:
    made = engines({"c": "crashed"}, {})
    side = reference(made)
    with pytest.raises(EngineError, match="crashed at c"):
        side.run({}, VALUES)
    assert not made[1].asked
    assert side.run({}, ("a",)) == {"a": "A"} and side.engine is made[1]


def test_after_a_hang_there_is_no_other_one() -> None:
    made = engines({"c": "silent"}, {})
    side = reference(made)
    with pytest.raises(EngineError, match="silent at c"):
        side.run({}, VALUES)
    side.revive()
    assert side.engine is made[0] and side.restarted == []


def test_what_a_framework_raises_ends_nothing() -> None:
    made = engines({"c": "raised"}, {})
    side = reference(made)
    with pytest.raises(EngineError, match="raised at c"):
        side.run({}, VALUES)
    assert side.engine is made[0]


def test_a_change_that_brings_the_candidate_down_is_an_answer_and_no_remark() -> None:
    made = engines({"c": "crashed"}, {"c": "crashed"}, {})
    rest = iter(made[1:])
    side = Candidate(lambda: next(rest), made[0])
    with pytest.raises(EngineError):
        side.run({}, VALUES, None, ("edit",))  # type: ignore[arg-type]
    assert side.restarts_left == 5 and side.restarted == []
    with pytest.raises(EngineError):
        side.run({}, VALUES)
    assert side.restarts_left == 4 and side.restarted == ["crashed at c"]


@pytest.mark.parametrize(
    ("how", "parts", "told"),
    [("crashed", "ab", []), ("crashed", "b", ["crashed at b"]), ("killed", "ab", ["killed at b"])],
)
def test_of_several_that_bring_it_down_together_only_a_kill_is_told(
    how: str, parts: str, told: list[str]
) -> None:
    made = engines({"b": how}, {})
    side = Candidate(lambda: made[1], made[0])
    with pytest.raises(EngineError):
        side.compared(list(parts))
    assert side.restarted == told and side.restarts_left == 5 - len(told)
    assert side.compared(list(parts)) == [part.upper() for part in parts]


def test_outputs_come_from_a_whole_run() -> None:
    made = engines({})
    assert reference(made).run_written({}, ("a", "b")) == {"a": "whole a", "b": "whole b"}


@pytest.mark.parametrize(("how", "goes_on"), [("raised", 0), ("killed", 1)])
def test_where_they_cannot_they_are_shown(how: str, goes_on: int) -> None:
    made = engines({"whole": how}, {})
    side = reference(made)
    assert side.run_written({}, ("a", "b")) == {"a": "A", "b": "B"}
    assert made[goes_on].asked[-1] == ("a", "b") and len(side.restarted) == goes_on


@pytest.mark.parametrize(("how", "left"), [("crashed", True), ("silent", False)])
def test_a_crash_in_a_whole_run_is_raised_and_a_hang_ends_it(how: str, left: bool) -> None:
    side = reference(engines({"whole": how}, {}))
    with pytest.raises(EngineError, match=f"{how} at whole"):
        side.run_written({}, ("a", "b"))
    assert side.goes_on is left
