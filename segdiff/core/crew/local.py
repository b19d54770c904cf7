"""Who works on this machine? Processes, each started anew: ``ProcessPoolExecutor`` of one worker each.

One pool for all of them would end with the first worker that is killed, and nobody would know whose task it
was. So each has its own, and what a worker's end costs is its own task, begun again in a new one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, Literal

from segdiff.core.crew.told import Done, R, T, attempt, cores, failure_of, lost
from segdiff.core.errors import EngineError
from segdiff.core.process import end_with

TRIES = 6
"""How often a task is begun before it is told as lost: one that kills its worker costs so many starts. Of
workers that are killed from outside at random, ten times in a run, hardly any task is ever hit as often."""

STARTS = 5
"""How often a worker may end before it has begun, one time after the other."""


class Local:
    """Workers on this machine; their processes live as long as a run."""

    where: Literal["local"] = "local"

    def __init__(self, workers: int) -> None:
        self.workers = self.beside = workers

    @property
    def threads(self) -> int:
        """The cores, divided by the workers: two that each take all of them would wait for each other."""
        return max(1, cores() // self.workers)

    def run(
        self, task: Callable[[T], R], items: Iterable[T], leave: Callable[[], object] | None = None
    ) -> Generator[Done[R], None, None]:
        """Each item's task, as they end; see :class:`segdiff.core.crew.told.Crew`. The workers end with it.

        Raises EngineError where no worker starts.
        """
        queue = Queue(items)
        hands = [Hand() for _ in range(self.workers)]
        running: dict[Future[Done[R]], tuple[Hand, int, T, int]] = {}
        try:
            while True:
                busy = {id(hand) for hand, *_ in running.values()}
                for hand in hands:
                    if id(hand) not in busy and (next_one := queue.next()) is not None:
                        number, item, tries = next_one
                        running[hand.submit(task, number, item)] = hand, number, item, tries + 1
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    hand, number, item, tries = running.pop(future)
                    done = ended(future, number)
                    if done is not None:
                        yield done
                        continue
                    if not hand.renew():
                        tries -= 1
                    if tries < TRIES:
                        queue.again.append((number, item, tries))
                    else:
                        yield lost(number, tries)
        finally:
            for hand in hands:
                hand.stop(now=bool(running))


class Queue:
    """What is still to do: the items, and after them those ``again`` whose worker was lost, with how often it
    was: one that kills its worker holds up nobody else."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items = enumerate(items)
        self.again: deque[tuple[int, Any, int]] = deque()

    def next(self) -> tuple[int, Any, int] | None:
        """The place of an item, the item, and how often it was begun; None where nothing is left."""
        following = next(self.items, None)
        if following is not None:
            return (*following, 0)
        return self.again.popleft() if self.again else None


def ended(future: Future[Done[R]], number: int) -> Done[R] | None:
    """What a worker tells of its task; None where it died over it."""
    try:
        return future.result()
    except BrokenProcessPool:
        return None
    except Exception as error:  # the task, or what came of it, cannot be pickled
        return Done(number, None, failure_of(error))


class Hand:
    """One worker, and its process once there is a task for it."""

    def __init__(self) -> None:
        self.pool: ProcessPoolExecutor | None = None
        self.pid: Future[int] | None = None
        self.false_starts = 0

    def submit(self, task: Callable[[T], R], number: int, item: T) -> Future[Done[R]]:
        """Begin a task, in a new process where there is none. Raises EngineError where none starts."""
        while True:
            if self.pool is None:
                context = multiprocessing.get_context("spawn")
                self.pool = ProcessPoolExecutor(1, context, initializer=begin, initargs=(os.getpid(),))
                self.pid = self.pool.submit(os.getpid)
            try:
                return self.pool.submit(attempt, task, number, item)
            except BrokenProcessPool:  # it was killed between two tasks
                self.renew()

    def renew(self) -> bool:
        """Let go of a process that has ended; whether it had begun. Raises EngineError if it never does."""
        began = self.pid is not None and self.pid.done() and self.pid.exception() is None
        self.false_starts = 0 if began else self.false_starts + 1
        self.stop(now=True)
        if self.false_starts >= STARTS:
            raise EngineError(
                "a worker ends before it has begun: either it is killed (out of memory?), or this is a "
                "script that starts workers when it is imported; put what it does below "
                "if __name__ == '__main__':"
            )
        return began

    def stop(self, *, now: bool) -> None:
        """End the process: ``now``, whatever it does, or when it has nothing to do any more."""
        pool, pid, self.pool, self.pid = self.pool, self.pid, None, None
        if pool is None:
            return
        if now and pid is not None and pid.exception() is None:  # known a moment after its start
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid.result(), signal.SIGKILL)
        pool.shutdown(wait=True, cancel_futures=True)


def begin(parent: int) -> None:
    """What a worker does first: it ends with who has started it, and leaves Ctrl-C to that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
