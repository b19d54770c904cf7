"""How often must the reference run again? Once, for all that the proofs ask of it: what came is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from segdiff.engines import Tensor

Stream = Callable[[Iterable[str]], Iterator[tuple[str, Tensor]]]
"""Runs the reference and streams the values named."""


@dataclass
class Recall:
    """A way to run the reference that remembers up to ``budget`` bytes of the values it was told to keep."""

    stream: Stream
    feeds: Mapping[str, Tensor]
    budget: int
    held: dict[str, Tensor] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)

    def keep(self, names: Iterable[str]) -> None:
        """Remember these values when they come by."""
        self.wanted.update(names)

    def __call__(self, names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values named, from memory or from one more run (which brings what is to be kept, too)."""
        asked = set(names)
        known = {name: tensor for name, tensor in (*self.feeds.items(), *self.held.items()) if name in asked}
        yield from known.items()
        missing = asked - known.keys()
        if not missing:
            return
        for name, tensor in self.stream(missing | (self.wanted - self.held.keys() - self.feeds.keys())):
            if name in self.wanted and tensor.nbytes <= self.budget:
                self.held[name] = tensor
                self.budget -= tensor.nbytes
            if name in missing:
                yield name, tensor
