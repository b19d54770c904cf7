"""Which tensors of a walk are kept for the proofs? Those at the ends of what errs, as far as they fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from segdiff.engines import Tensor
from segdiff.walk.steps import bytes_of


@dataclass
class Kept:
    """Up to ``room`` bytes more of tensors by name: ``held`` the reference's at the ends of what errs, and
    ``frontier`` the candidate's own at the first segment that errs or does not run."""

    room: int
    held: dict[str, Tensor] = field(default_factory=dict)
    frontier: Mapping[str, Tensor] = field(default_factory=dict)

    def hold(self, names: Iterable[str], live: Mapping[str, Tensor]) -> None:
        """Keep these of the reference's, so that it need not run again; rather than the candidate's own,
        which is the cheaper one to run."""
        for name in names:
            tensor = live.get(name)
            if tensor is None or name in self.held:
                continue
            if tensor.nbytes > self.room:
                self.room += bytes_of(self.frontier)
                self.frontier = {}
            if tensor.nbytes <= self.room:
                self.held[name] = tensor
                self.room -= tensor.nbytes

    def start_from(self, own: Mapping[str, Tensor]) -> None:
        """Keep the candidate's own tensors, where they leave as much room again."""
        if bytes_of(own) <= self.room // 2:
            self.frontier, self.room = own, self.room - bytes_of(own)
