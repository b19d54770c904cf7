"""What is read ahead: everything, in order, no more at once than is allowed, nothing once nobody asks."""

from __future__ import annotations

import threading
import time

import pytest

from segdiff.engines import ahead
from segdiff.engines.ahead import read_ahead


def test_while_one_is_looked_at_the_next_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "AHEAD", 10)
    read: list[str] = []
    names = dict.fromkeys("abcdefgh", 4)
    coming = read_ahead(names, lambda name: read.append(name) or name)
    assert next(coming) == ("a", "a")
    wait_for(lambda: read == ["a", "b"])  # with `a` they were 8 of 10 bytes
    assert [name for name, _ in coming] == list("bcdefgh") and read == list(names)


def test_a_large_one_is_read_alone_and_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "AHEAD", 10)
    read: list[str] = []
    coming = read_ahead({"a": 4, "large": 100, "b": 4}, lambda name: read.append(name) or name)
    assert next(coming) == ("a", "a")
    time.sleep(0.05)
    assert read == ["a"]
    assert [name for name, _ in coming] == ["large", "b"]


def test_who_stops_asking_leaves_the_rest_unread_and_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "AHEAD", 8)
    read: list[str] = []
    coming = read_ahead(dict.fromkeys("abcdefgh", 4), lambda name: read.append(name) or name)
    next(coming)
    coming.close()
    assert len(read) < 4
    wait_for(lambda: not any(thread.name.startswith("segdiff-read") for thread in threading.enumerate()))


def test_what_cannot_be_read_is_told_in_its_turn() -> None:
    def fails(name: str) -> str:
        if name == "b":
            raise OSError(name)
        return name

    coming = read_ahead({"a": 1, "b": 1}, fails)
    assert next(coming) == ("a", "a")
    with pytest.raises(OSError, match="b"):
        next(coming)


def wait_for(condition: object, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.001)
