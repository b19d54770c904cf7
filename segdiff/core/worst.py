"""Which output changes most?"""

from __future__ import annotations

from collections.abc import Iterable

from segdiff.core.answer import OutputInfo


def worst_of(outputs: Iterable[OutputInfo]) -> OutputInfo | None:
    """The output that changes most; None where none was measured."""
    return max((output for output in outputs if output.cumulative), key=_badness, default=None)


def _badness(output: OutputInfo) -> tuple[bool, float, float]:
    found = output.cumulative
    error = found.metrics.rel_l2 if found else 0.0
    return (bool(found and found.mismatch) or error != error, output.mask_changed or 0.0, error)
