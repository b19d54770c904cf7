"""Which findings of a report were known before? Told apart by their fingerprints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Baseline:
    """A report held against what is known: fingerprints of its findings that are known and that are new, and
    those known ones that are ``gone``. ``path`` is the file that knows them, None where a list was given."""

    path: str | None
    known: tuple[str, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether nothing is new."""
        return not self.new
