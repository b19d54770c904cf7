"""What of the reference is at hand, and that it never takes more memory than it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import numpy as np
import pytest

from segdiff.core.errors import EngineError
from segdiff.engines import Tensor
from segdiff.engines.revived import Reference
from segdiff.walk.reference_tensors import ReferenceTensors

VALUES = tuple("abcdefgh")
SIZE = 8


class Fake:
    """Gives the values in the order of its program, each of ``SIZE`` bytes, and counts its runs."""

    def __init__(self) -> None:
        self.asked: list[set[str]] = []
        self.ends_at: str | None = None

    def stream(self, feeds: Mapping[str, Tensor], wanted: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        self.asked.append(set(wanted))
        for place, name in enumerate(VALUES):
            if name == self.ends_at:
                raise EngineError("it has ended")
            if name in self.asked[-1]:
                yield name, Tensor(np.full(SIZE, place, np.uint8))


@pytest.fixture
def fake() -> Fake:
    return Fake()


def tensors(fake: Fake, budget: int, aside: int) -> ReferenceTensors:
    return ReferenceTensors(cast(Reference, fake), {}, budget * SIZE, aside=aside * SIZE)


def taken(found: ReferenceTensors) -> int:
    return (len(found.near) + len(found.held)) * SIZE


def test_what_is_named_first_is_at_hand(fake: Fake) -> None:
    found = tensors(fake, 1, 2)
    found.ahead("hgfaab")  # the last of the program are named first
    assert set(found.near) == {"h", "g", "f"} and found.at_hand("hgf") and not found.at_hand("ha")
    assert dict(found("gh")).keys() == {"g", "h"} and len(fake.asked) == 1
    assert [int(dict(found([name]))[name].array[0]) for name in "gh"] == [6, 7]
    assert dict(found("ga")).keys() == {"g", "a"} and fake.asked[1:] == [{"a"}]


def test_what_is_at_hand_gives_its_memory_back(fake: Fake) -> None:
    found = tensors(fake, 2, 1)
    for names in ("abc", "def", "a"):
        found.ahead(names)
        assert set(found.near) == set(names)
        assert found.budget == (2 - max(0, len(names) - 1)) * SIZE
    found.ahead("")
    assert not found.near and found.budget == 2 * SIZE and len(fake.asked) == 3


@pytest.mark.parametrize("kept", ["", "a", "abc", "hgf"])
@pytest.mark.parametrize(("budget", "aside"), [(0, 0), (0, 2), (2, 0), (3, 2), (9, 9)])
def test_it_takes_no_more_than_it_may(kept: str, budget: int, aside: int, fake: Fake) -> None:
    found = tensors(fake, budget, aside)
    found.keep(kept)
    for names in ("abcdefgh", "hgfe", "", "cd", "abcdefgh"):
        found.ahead(names)
        assert taken(found) <= (budget + aside) * SIZE and found.budget >= 0
        assert {name: int(tensor.array[0]) for name, tensor in found(VALUES)} == {
            name: place for place, name in enumerate(VALUES)
        }
        assert taken(found) <= (budget + aside) * SIZE and found.budget >= 0
    assert set(found.held) <= set(kept)


def test_what_is_kept_is_never_put_aside(fake: Fake) -> None:
    found = tensors(fake, 2, 2)
    found.keep("ab")
    found.ahead("abcd")
    assert set(found.held) == {"a", "b"} and set(found.near) == {"c", "d"}
    assert found.budget == 0 and not any(fake.asked[1:])


def test_a_run_that_ends_early_takes_no_more_than_it_may(fake: Fake) -> None:
    found = tensors(fake, 4, 2)
    found.keep("efgh")
    fake.ends_at = "g"
    with pytest.raises(EngineError):
        found.ahead("abcdefgh")
    fake.ends_at = None
    assert dict(found("efgh")).keys() == set("efgh")
    assert taken(found) <= 6 * SIZE and found.budget >= 0
