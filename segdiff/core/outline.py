"""What does a report keep of a graph? Its operators and what reads what, so that it can be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Drawn:
    """One operator that computes: its ``type`` and ``name``, the places of the operators that it ``reads``
    from (in the outline, in order, each once), and the names of the values that it writes."""

    type: str
    name: str
    reads: tuple[int, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Outline:
    """The operators of one side that compute, in program order: a reader stands behind what it reads."""

    nodes: tuple[Drawn, ...]

    @cached_property
    def maker(self) -> dict[str, int]:
        """The place of the operator that writes a value."""
        return {name: place for place, node in enumerate(self.nodes) for name in node.outputs}
