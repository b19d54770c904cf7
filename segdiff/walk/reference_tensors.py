"""How often must the reference run again? Once, for all that the proofs ask of it: what came is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from segdiff.engines import Tensor
from segdiff.engines.revived import Reference


@dataclass
class ReferenceTensors:
    """A way to run the reference again that remembers up to ``budget`` bytes of what it was told to keep, and
    beside these has up to ``aside`` bytes at hand of what is asked for next.

    ``feeds`` are the reference's inputs; ``once`` are those held that the first run has given; ``borrowed``
    are bytes of the budget that what is at hand takes.
    """

    engine: Reference
    feeds: Mapping[str, Tensor]
    budget: int
    held: dict[str, Tensor] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    near: dict[str, Tensor] = field(default_factory=dict)
    once: set[str] = field(default_factory=set)
    aside: int = 0
    borrowed: int = 0

    def keep(self, names: Iterable[str]) -> None:
        """Remember these values when they come by."""
        self.wanted.update(names)

    def ahead(self, names: Iterable[str]) -> None:
        """Have these values at hand until the next call, had in one run, as far as the memory allows: rather
        those that are named first.

        Raises EngineError.
        """
        self.near.clear()
        self.budget, self.borrowed = self.budget + self.borrowed, 0
        rank = {name: place for place, name in enumerate(dict.fromkeys(names))}
        last: list[tuple[int, str]] = []
        total = 0

        def fit() -> None:
            nonlocal total
            while total > self.aside + self.budget:
                total -= self.near.pop(heappop(last)[1]).nbytes

        try:
            for name, tensor in self(rank):
                if name not in self.feeds and name not in self.held:
                    self.near[name] = tensor
                    total += tensor.nbytes
                    heappush(last, (-rank[name], name))
                    fit()
        finally:
            fit()  # what was to be kept came meanwhile
            self.borrowed = max(0, total - self.aside)
            self.budget -= self.borrowed

    def at_hand(self, names: Iterable[str]) -> bool:
        """Whether the reference need not run for any of these values."""
        return set(names) <= self.feeds.keys() | self.held.keys() | self.near.keys()

    def __call__(self, names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values named, from memory or from one more run (which brings what is to be kept, too).

        Raises EngineError where the reference has to run and fails.
        """
        asked = set(names)
        known = {name: tensor for name, tensor in self._at_hand() if name in asked}
        yield from known.items()
        missing = asked - known.keys()
        if not missing:
            return
        keeping = self.wanted - self.held.keys() - self.feeds.keys()
        for name, tensor in self.engine.stream(self.feeds, missing | keeping):
            if name in self.wanted and tensor.nbytes <= self.budget:
                self.held[name] = tensor
                self.budget -= tensor.nbytes
            if name in missing:
                yield name, tensor

    def _at_hand(self) -> Iterator[tuple[str, Tensor]]:
        for tensors in (self.feeds, self.held, self.near):
            yield from tensors.items()

    def repeated(self, names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values named as a second run gives them: what is held comes from one already, but where the
        reference remembers, or the first run has left it. Raises EngineError."""
        asked = set(names)
        again = asked if self.engine.remembers else asked & self.once
        yield from self.engine.repeated(self.feeds, again) if again else ()
        yield from self(asked - again)
