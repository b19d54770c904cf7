"""Where do the docs speak of a cause?"""

from __future__ import annotations

CAUSES = "docs/causes.md"
"""The page that lists the kinds, from the root of the repository."""


def docs_of(kind: str) -> str:
    """The page that explains a kind of cause, as a path from the root of the repository."""
    return CAUSES
