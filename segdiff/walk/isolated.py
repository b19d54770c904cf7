"""How far is what a segment makes of the reference's tensors? Told by the engine that has made it.

As long as a segment is right nobody looks at its tensors: they are compared where they lie, and only errors
come back. Where more is asked the segment runs once more, and hands them over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segdiff.align import Segment
from segdiff.core.graph import Array
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.engines import Tensor
from segdiff.engines.protocol import Compared, Part
from segdiff.walk.judge import Judgement
from segdiff.walk.probe import Probe
from segdiff.walk.steps import Form, PairResult, form_of


@dataclass
class Isolated:
    """What a segment makes of ``feeds``: the tensors where they are at hand, else how they compare."""

    probe: Probe
    segment: Segment
    feeds: Mapping[str, Tensor]
    found: Mapping[str, Compared]
    made: Mapping[str, Tensor] | None = None

    def error(self, c: str, truth: Array) -> Comparison:
        """How far a value is from the reference's."""
        known = self.found.get(c)
        return compare_arrays(truth, self.array(c)) if known is None else known.comparison

    def array(self, c: str) -> Array:
        """A value itself. Raises EngineError where the segment does not run once more."""
        if self.made is None:
            self.made = self.probe.run(self.segment, self.feeds, [c for _, c in self.segment.outputs])
        return self.made[c].array

    def judged(self, pair: PairResult, truth: Array, reference: Mapping[str, Tensor]) -> Judgement:
        """What the error of a pair is; ``reference`` has the reference's tensors at the segment's start.

        Raises EngineError.
        """
        assert pair.isolated is not None
        probe, segment, c = self.probe, self.segment, pair.candidate
        inputs = [(r, name) for r, name in segment.inputs if r in reference]
        for r, name in inputs:
            if probe.unfit(name, reference[r]):
                return Judgement("unfed", detail=f"{r!r} does not fit the type of {name!r}")
        return probe.judged(
            segment,
            pair.isolated,
            truth.shape,
            [reference[r].array.shape for r, _ in inputs],
            lambda: probe.disturb(segment, c, self.array(c), self.feeds),
            lambda: probe.unmoved(segment, c, (truth, self.array(c)), self.feeds),
            lambda: probe.disturb_finely(segment, c, self.array(c), self.feeds),
        )

    def fits(self, forms: Mapping[str, Form]) -> bool:
        """Whether it was fed what it would be now that ``forms`` are known of what is above it."""
        return all(forms.get(c, form_of(tensor)) == form_of(tensor) for c, tensor in self.feeds.items())

    def forms(self) -> dict[str, Form]:
        """Types and shapes of the values."""
        if self.made is not None:
            return {c: form_of(tensor) for c, tensor in self.made.items()}
        return {c: (found.type, found.shape) for c, found in self.found.items()}


@dataclass(frozen=True)
class Question:
    """A segment on ``feeds``, against the reference's ``truths`` by the names of both sides."""

    segment: Segment
    feeds: Mapping[str, Tensor]
    truths: Mapping[tuple[str, str], Tensor]

    @property
    def wanted(self) -> dict[str, Tensor]:
        """The truth by the candidate's names."""
        return {c: tensor for (_, c), tensor in self.truths.items()}

    @property
    def part(self) -> Part[Tensor]:
        """What the engine is asked."""
        return Part(self.segment.nodes, self.feeds, self.wanted)

    def where_it_lies(self, probe: Probe) -> bool:
        """Whether the engine itself can compare."""
        return len(self.wanted) == len(self.truths) and probe.comparable(self.wanted)


def isolated_error(probe: Probe, question: Question) -> Isolated:
    """What a segment makes of what it is fed. Raises EngineError."""
    segment, feeds = question.segment, question.feeds
    if not question.where_it_lies(probe):
        return Isolated(probe, segment, feeds, {}, probe.run(segment, feeds, question.wanted))
    return Isolated(probe, segment, feeds, probe.compared([question.part])[0])


def isolated_errors(probe: Probe, questions: Sequence[Question]) -> dict[Segment, Isolated]:
    """The same of several segments, run in one go; of those whose engine can compare. Raises EngineError."""
    several = [question for question in questions if question.where_it_lies(probe)]
    found = probe.compared([question.part for question in several]) if several else ()
    return {
        question.segment: Isolated(probe, question.segment, question.feeds, compared)
        for question, compared in zip(several, found, strict=True)
    }
