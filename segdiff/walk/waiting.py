"""When can a segment run? As soon as the reference's tensors at both its ends are there."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator

from segdiff.align import Segment


class Waiting:
    """Which segments can run? Those whose reference tensors are there and whose predecessors have run.

    >>> first = Segment((("a", "s"),), (("x", "x"),), (0,), (0,), (0,), True)
    >>> second = Segment((("y", "z"),), (("a", "s"),), (1,), (1,), (1,), True)
    >>> waiting = Waiting((first, second))
    >>> waiting.ready("x"), waiting.ready("a"), waiting.ready("y"), waiting.ready(0)
    ([], [0], [], [1])
    """

    def __init__(self, segments: tuple[Segment, ...]) -> None:
        maker = {pair: number for number, segment in enumerate(segments) for pair in segment.outputs}
        self.missing: list[set[str | int]] = []
        self.waiters: dict[str | int, list[int]] = defaultdict(list)
        for number, segment in enumerate(segments):
            values: set[str | int] = {r for r, _ in (*segment.inputs, *segment.outputs) if r}
            values.update(maker[pair] for pair in segment.inputs if pair in maker)
            self.missing.append(values)
            for needed in values:
                self.waiters[needed].append(number)

    def all_ready(self, arrived: str) -> Iterator[int]:
        """Those that can run now, then those that can once these have run; in the order to run them in."""
        queue = deque(self.ready(arrived))
        while queue:
            number = queue.popleft()
            yield number
            queue += self.ready(number)

    def ready(self, arrived: str | int) -> list[int]:
        """The segments that only waited for this value, or for this segment to have run; in order."""
        done = []
        for number in self.waiters.pop(arrived, ()):
            self.missing[number].discard(arrived)
            if not self.missing[number]:
                done.append(number)
        return done
