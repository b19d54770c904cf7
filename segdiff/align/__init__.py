"""Two graphs -> pairs of values, with their evidence, and the segments between them."""

from __future__ import annotations

from dataclasses import dataclass

from segdiff.align.match import match
from segdiff.align.parameters import match_parameters
from segdiff.align.segments import Segment, cut
from segdiff.align.view import View, view_of
from segdiff.core.graph import Graph

__all__ = ["Alignment", "Segment", "align", "coverage", "cut"]


@dataclass(frozen=True)
class Alignment:
    """``pairs`` leads from reference to candidate values; ``evidence`` says for each why."""

    reference: View
    candidate: View
    pairs: dict[str, str]
    evidence: dict[str, tuple[str, ...]]
    segments: tuple[Segment, ...]


def align(reference: Graph, candidate: Graph) -> Alignment:
    """Align two graphs. Raises ModelError where a parameter cannot be read."""
    ours, theirs = view_of(reference), view_of(candidate)
    used = tuple((name for names in v.parameters_of.values() for name in names) for v in (ours, theirs))
    matcher = match(ours, theirs, match_parameters(reference, candidate, (used[0], used[1])))
    evidence = {
        r: (*why, "name") if names_agree(r, matcher.forward[r]) and "name" not in why else why
        for r, why in matcher.evidence.items()
    }
    return Alignment(ours, theirs, matcher.forward, evidence, cut(ours, theirs, matcher.forward))


def names_agree(reference: str, candidate: str) -> bool:
    """Whether the names say the same: paddle2onnx 1.x keeps Paddle's, 2.x writes ``p2o.<name>``."""
    return candidate in (reference, f"p2o.{reference}")


SMALL_MODEL = 6
"""Compute ops up to which one segment may hold a whole model."""


def _swallows(segment: Segment, sizes: tuple[int, int]) -> bool:
    ours, theirs = len(segment.reference_ops), len(segment.ops)
    return 2 * ours > max(sizes[0], 2 * SMALL_MODEL) or 2 * theirs > max(sizes[1], 2 * SMALL_MODEL)


def coverage(alignment: Alignment) -> tuple[float, float]:
    """Share of each side's compute ops that lie in a segment with the same ends on both sides.

    A segment that holds most of a model is no match: it only says that both have an input and an output.
    """
    sizes = len(alignment.reference.ops), len(alignment.candidate.ops)
    whole = [segment for segment in alignment.segments if segment.same_ends and not _swallows(segment, sizes)]
    ours = {index for segment in whole for index in segment.reference_ops}
    theirs = {index for segment in whole for index in segment.ops}
    return (
        len(ours) / max(1, len(alignment.reference.ops)),
        len(theirs) / max(1, len(alignment.candidate.ops)),
    )
