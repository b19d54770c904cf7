"""What must a framework be able to do? The protocol that every engine's module fulfils.

A worker process loads one of them (``segdiff.engines.registry`` says which) and hands it what it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from segdiff.core.edit import Edit
from segdiff.core.graph import Array
from segdiff.engines.protocol import Deployed

Deliver = Callable[[str, int, int, str, tuple[int, ...]], None]
"""``deliver(value, address, nbytes, dtype, shape)``: hand over a tensor that lies at a raw address."""


@dataclass(frozen=True)
class Nodes:
    """Nodes of a model, what they are fed, and which of their values are wanted."""

    ops: tuple[int, ...]
    feeds: dict[str, Array]
    wanted: tuple[str, ...]


class Framework(Protocol):
    """A loaded model: it runs, and delivers values as they come.

    It is made of a ``segdiff.engines.protocol.Load``, in the worker.
    """

    def versions(self) -> dict[str, str]:
        """The packages that compute, and their versions."""

    def run(
        self,
        feeds: dict[str, Array],
        wanted: tuple[str, ...],
        ops: tuple[int, ...] | None,
        edits: tuple[Edit, ...],
        deliver: Deliver,
    ) -> None:
        """Run on ``feeds`` and deliver every value of ``wanted``."""

    def run_together(self, parts: Sequence[Nodes], deliver: Deliver) -> None:
        """Run each part for itself, all in one go, while another engine computes: a core is left to that
        where this one would take all. ``segdiff.engines.protocol.of_part`` names its values."""

    def run_deployed(
        self, feeds: dict[str, Array], wanted: tuple[str, ...], how: Deployed, deliver: Deliver
    ) -> None:
        """Run as a user does, and deliver the outputs ``wanted``."""

    def prepare(self, how: Deployed | None) -> None:
        """Begin what such a run, or one of parts, needs and can be made without feeds."""
