"""How often must the reference run again? Once, for all that the proofs ask of it: what came is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from segdiff.engines import Tensor
from segdiff.engines.revived import Reference


@dataclass
class ReferenceTensors:
    """A way to run the reference again that remembers up to ``budget`` bytes of what it was told to keep.

    ``feeds`` are the reference's inputs; ``once`` are those held that the first run has given.
    """

    engine: Reference
    feeds: Mapping[str, Tensor]
    budget: int
    held: dict[str, Tensor] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    near: dict[str, Tensor] = field(default_factory=dict)
    once: set[str] = field(default_factory=set)

    def keep(self, names: Iterable[str]) -> None:
        """Remember these values when they come by."""
        self.wanted.update(names)

    def ahead(self, names: Iterable[str]) -> None:
        """Have these values at hand until the next call, had in one run, as far as the budget allows.

        Raises EngineError.
        """
        self.near.clear()
        room = self.budget
        for name, tensor in self(names):
            if name not in self.feeds and name not in self.held and tensor.nbytes <= room:
                self.near[name] = tensor
                room -= tensor.nbytes

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
