"""Where was an answer computed, and by which versions?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Computed:
    """What computed one side: its ``engine``, the version of its ``python``, and those of its packages."""

    engine: str
    python: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Environment:
    """Where a report was made: versions decide what a model gives. ``platform`` is the machine's."""

    segdiff: str
    python: str
    platform: str
    reference: Computed
    candidate: Computed
