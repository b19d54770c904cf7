"""Segments that run in one go: in the order in which they could run one by one, and none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from segdiff.align import Segment
from segdiff.core.errors import EngineError
from segdiff.walk import gathered as module
from segdiff.walk.gathered import TOGETHER, gathered


def line(length: int) -> tuple[Segment, ...]:
    """Segments one below the other, each value named by its number."""
    return tuple(
        Segment(((str(n), str(n)),), ((str(n - 1), str(n - 1)),), (n,), (n,), (n,), True)
        for n in range(1, length + 1)
    )


def arriving(length: int, fails: bool = False) -> Iterator[str]:
    yield from map(str, range(length + 1))
    if fails:
        raise EngineError("it ended")


def test_all_come_in_order_in_groups_as_large_as_is_allowed() -> None:
    groups = list(gathered(arriving(40), line(40), lambda _: 1, lambda: False))
    assert list(chain(*groups)) == list(range(40))
    assert [len(group) for group in groups] == [TOGETHER, TOGETHER, 40 - 2 * TOGETHER]


def test_large_ones_close_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER_BYTES", 10)
    groups = list(gathered(arriving(5), line(5), lambda each: 11 if each.nodes == (3,) else 1, lambda: False))
    assert groups == [[0, 1, 2], [3, 4]]


def test_from_where_each_runs_by_itself_none_is_gathered() -> None:
    seen: list[list[int]] = []
    for group in gathered(arriving(20), line(20), lambda _: 1, lambda: bool(seen)):
        seen.append(group)
    assert [len(group) for group in seen] == [TOGETHER, 1, 1, 1, 1]


def test_what_could_run_before_the_reference_failed_comes_first() -> None:
    groups = gathered(arriving(3, fails=True), line(5), lambda _: 1, lambda: False)
    assert next(groups) == [0, 1, 2]
    with pytest.raises(EngineError, match="it ended"):
        next(groups)
