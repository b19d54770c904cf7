"""Two graphs -> pairs of values, with their evidence, and the segments between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from segdiff.align.match import match
from segdiff.align.outline import outline_of
from segdiff.align.outputs import Places, names_agree
from segdiff.align.parameters import match_parameters
from segdiff.align.segments import Segment, cut, swallows
from segdiff.align.view import View, view_of
from segdiff.core.graph import Graph

__all__ = ["Alignment", "Segment", "align", "coverage", "cut", "outline_of"]


@dataclass(frozen=True)
class Alignment:
    """``pairs`` leads from reference to candidate values; ``evidence`` says for each why.

    ``seeds`` are the places of the outputs that the matcher took for one another.
    """

    reference: View
    candidate: View
    pairs: dict[str, str]
    evidence: dict[str, tuple[str, ...]]
    segments: tuple[Segment, ...]
    seeds: Places = ()

    @cached_property
    def outputs(self) -> Places:
        """The places of outputs that are partners: by the pairs, which may have been mended since, then
        as the matcher had them, or in order."""
        ours, theirs = self.reference.outputs, self.candidate.outputs
        found = {i: j for i, j in self.seeds if self.pairs.get(ours[i]) == theirs[j]}
        for fits in (self._paired, self._seeded):
            for i in range(len(ours)):
                free = [j for j in range(len(theirs)) if j not in found.values() and fits(i, j)]
                if i not in found and free:
                    found[i] = free[0]
        return tuple(sorted(found.items()))

    def _paired(self, i: int, j: int) -> bool:
        return self.pairs.get(self.reference.outputs[i]) == self.candidate.outputs[j]

    def _seeded(self, i: int, j: int) -> bool:
        return (i, j) in self.seeds or not self.seeds

    def output_name(self, value: str) -> str:
        """What the candidate's file calls the output that holds this value."""
        theirs = self.candidate
        names = zip(theirs.outputs, theirs.graph.outputs, strict=True)
        return next((name for source, name in names if source == value), value)

    @property
    def output_values(self) -> tuple[tuple[str, str], ...]:
        """The outputs that are partners, (reference, candidate), each pair once; what they repeat stands
        for them."""
        ours, theirs = self.reference.outputs, self.candidate.outputs
        return tuple(dict.fromkeys((ours[i], theirs[j]) for i, j in self.outputs))


def align(reference: Graph, candidate: Graph) -> Alignment:
    """Align two graphs. Raises ModelError where a parameter cannot be read.

    >>> from segdiff.example import example_files
    >>> from segdiff.readers import find, read
    >>> with example_files() as files:
    ...     alignment = align(read(find(files.reference)), read(find(files.candidate)))
    >>> alignment.output_values
    (('softmax_0.tmp_0', 'save_infer_model/scale_0.tmp_0'),)
    >>> coverage(alignment)
    (1.0, 1.0)
    """
    ours, theirs = view_of(reference), view_of(candidate)
    used = tuple((name for names in v.parameters_of.values() for name in names) for v in (ours, theirs))
    matcher = match(ours, theirs, match_parameters(reference, candidate, (used[0], used[1])))
    evidence = {
        r: (*why, "name") if names_agree(r, matcher.forward[r]) and "name" not in why else why
        for r, why in matcher.evidence.items()
    }
    segments = cut(ours, theirs, matcher.forward)
    return Alignment(ours, theirs, matcher.forward, evidence, segments, matcher.outputs)


def coverage(alignment: Alignment, segments: Iterable[Segment] | None = None) -> tuple[float, float]:
    """Share of each side's compute ops that lie in a segment with the same ends on both sides; of
    ``segments`` alone, where they are given.

    A segment that holds most of a model is no match: it only says that both have an input and an output.
    """
    sizes = len(alignment.reference.ops), len(alignment.candidate.ops)
    whole = [
        segment
        for segment in (alignment.segments if segments is None else segments)
        if segment.same_ends and not swallows((len(segment.reference_ops), len(segment.ops)), sizes)
    ]
    ours = {index for segment in whole for index in segment.reference_ops}
    theirs = {index for segment in whole for index in segment.ops}
    return (
        len(ours) / max(1, len(alignment.reference.ops)),
        len(theirs) / max(1, len(alignment.candidate.ops)),
    )
