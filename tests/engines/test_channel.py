"""Messages between two processes: none is lost, none waits for ever, however many descriptors ride along."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from segdiff.engines.channel import Channel, ChannelClosedError

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = (Channel(end) for end in socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def memory(number: int) -> int:
    fd = os.memfd_create(f"test-{number}")
    os.write(fd, str(number).encode())
    return fd


def content(fd: int) -> int:
    found = int(os.pread(fd, 100, 0))
    os.close(fd)
    return found


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 253, 254, 700])
def test_every_descriptor_arrives_in_order(count: int, pair: Pair) -> None:
    ours, theirs = pair
    files = [memory(number) for number in range(count)]
    ours.send("before")
    ours.send("with", files)
    ours.send("behind", files[:1])
    assert theirs.receive(1) == ("before", [])
    message, found = theirs.receive(1)
    assert message == "with" and [content(fd) for fd in found] == list(range(count))
    message, found = theirs.receive(1)
    assert message == "behind" and [content(fd) for fd in found] == list(range(count))[:1]
    assert not theirs.ready()
    for fd in files:
        os.close(fd)


def test_many_small_messages_keep_their_own_descriptors(pair: Pair) -> None:
    ours, theirs = pair
    for number in range(50):
        fd = memory(number)
        ours.send(number, [fd] if number % 3 == 0 else [])
        os.close(fd)
    for number in range(50):
        assert theirs.ready()
        message, found = theirs.receive(1)
        assert message == number and [content(fd) for fd in found] == [number] * (number % 3 == 0)


def test_a_message_larger_than_the_sockets_buffer(pair: Pair) -> None:
    ours, theirs = pair
    body = os.urandom(8 << 20)
    thread = threading.Thread(target=ours.send, args=(body,))
    thread.start()
    assert theirs.receive(5)[0] == body
    thread.join()


def test_two_that_talk_at_once_do_not_wait_for_each_other(pair: Pair) -> None:
    body, heard = os.urandom(2 << 20), []

    def talk(end: Channel) -> None:
        end.send(body, timeout=5)
        heard.append(end.receive(5)[0] == body)

    threads = [threading.Thread(target=talk, args=(end,), daemon=True) for end in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert heard == [True, True]


def test_nobody_reads(pair: Pair) -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        pair[0].send(b"x" * (4 << 20), timeout=0.2)
    assert time.monotonic() - start < 2


def test_half_a_message(pair: Pair) -> None:
    ours, theirs = pair
    ours.socket.sendall(b"\x10")
    with pytest.raises(TimeoutError):
        theirs.receive(0.2)
    ours.close()
    with pytest.raises(ChannelClosedError):
        theirs.receive(0.2)


def test_nobody_is_there(pair: Pair) -> None:
    pair[1].close()
    with pytest.raises(ChannelClosedError):
        pair[0].send("x")
    with pytest.raises(ChannelClosedError):
        pair[0].receive(1)


def test_what_was_never_read_is_closed_with_the_channel(pair: Pair) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts, and nothing else

    ours, theirs = pair
    fd = memory(1)
    ours.send("one")
    ours.send("two", [fd] * 100)
    theirs.receive(1)
    before = opened()
    theirs.ready()
    theirs.close()
    assert opened() <= before
    os.close(fd)
