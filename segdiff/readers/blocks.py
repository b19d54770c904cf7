"""What lies inside an if, a while, an If or a Loop? A block, and how it becomes a model of its own.

A block reads values from around it (*captured*), a loop's also what one iteration hands to the next
(*carried*). Written to files, with both as inputs, it can be read, aligned and run like any model. One module
a format makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segdiff.core.files import ModelFiles


@dataclass(frozen=True)
class BlockInput:
    """One input of the model to be written: its name, element type (numpy's word) and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


Write = Callable[[Path, Mapping[str, BlockInput], Sequence[int]], ModelFiles]
"""``write(folder, inputs, wanted)``: ``inputs`` by the block's own words, ``wanted`` positions of results."""


@dataclass(frozen=True)
class Block:
    """A block of an op.

    ``captured`` are names of the graph around it; ``carried`` its own words for what a loop carries, in
    order, and ``initial`` what those are at first, in the graph around it. ``results`` says of each result
    what it is called, None where no op inside makes it; a loop's first is whether it goes on. ``count`` and
    ``condition`` are its own words for the number of the iteration, and for whether it goes on, where it is
    told them; ``trips`` names how many iterations there are at most, in the graph around it.
    """

    word: str
    captured: tuple[str, ...]
    carried: tuple[str, ...]
    results: tuple[str | None, ...]
    write: Write = field(repr=False, compare=False)
    initial: tuple[str, ...] = ()
    count: str | None = None
    condition: str | None = None
    trips: str | None = None

    @property
    def told(self) -> tuple[str | None, str | None]:
        """What a loop tells its body besides what it carries."""
        return self.count, self.condition


BRANCHES = frozenset({"if", "select_input", "If"})
LOOPS = frozenset({"while", "Loop", "Scan"})
