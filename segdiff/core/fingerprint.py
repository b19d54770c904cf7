"""Are two fingerprints those of the same finding? See docs/json.md for what they are made of."""

from __future__ import annotations

UNKNOWN = "unknown"
"""The cause in a fingerprint where none is proven: a guess may be another one in the next run."""


def same_finding(one: str, other: str) -> bool:
    """Whether both are the same place, and no two causes of it are proven.

    >>> same_finding("resize.mode-0123456789ab", "unknown-0123456789ab")
    True
    >>> same_finding("resize.mode-0123456789ab", "resize.scale-0123456789ab")
    False
    """
    (kind, _, place), (other_kind, _, other_place) = one.rpartition("-"), other.rpartition("-")
    if not kind or place != other_place:
        return one == other
    return kind == other_kind or UNKNOWN in (kind, other_kind)
