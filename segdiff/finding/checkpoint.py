"""Are these the weights of another training? Where nearly every parameter differs, no operator is to blame.

Asked before anything is explained: of a wrong checkpoint every convolution errs, and to explain each of them
would take minutes and say nothing. A copy in half precision, a quantised file, folded batch norms or
transposed weights are the same checkpoint: their kernels keep their directions, and their segments agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from segdiff.align import Segment
from segdiff.align.kinds import kind_of
from segdiff.align.parameters import Likeness, is_kernel, likeness
from segdiff.align.view import View
from segdiff.core.answer import Cause
from segdiff.core.errors import ModelError
from segdiff.core.graph import Parameter
from segdiff.walk import Run, Step

MOST = 0.9
"""The share of the kernels that has to differ: of another checkpoint all do but those that were frozen."""

FEWEST = 3
"""Kernels that have to differ: one or two wrong weights are a fault of their own."""


@dataclass(frozen=True)
class OtherCheckpoint:
    """How alike the parameters of the two models are, and the segments that err for theirs are others."""

    found: Likeness
    segments: tuple[Segment, ...]

    @property
    def sentence(self) -> str:
        """The answer for a person."""
        whole = len(self.found.unlike) == self.found.compared
        return f"{'Every' if whole else 'Nearly every'} parameter differs: another checkpoint? {self._share}"

    @property
    def causes(self) -> Mapping[Segment, Cause]:
        """The same as the cause of each of the segments."""
        told = "Its parameters are not the reference's, nor are those of nearly all operators"
        text = f"{told}: another checkpoint? {self._share}"
        return dict.fromkeys(self.segments, Cause("parameter.checkpoint", text, False))

    @property
    def _share(self) -> str:
        found = self.found
        share = found.equal / max(1, found.compared)
        return f"{found.equal} of the reference's {found.compared} parameters are equal ({share:.0%})."


def other_checkpoint(run: Run) -> OtherCheckpoint | None:
    """Whether nearly every kernel of the reference is missing in the candidate, and errs for it; else None.

    A segment that gives the very same tensor tells nothing: its weights are fed nothing but zeros.
    """
    used = {step.segment: sorted(kernels(run, step)) for step in run.walk.steps}
    telling = [step for step in run.walk.steps if used[step.segment] and not untouched(step)]
    erring = [step for step in telling if step.is_origin]
    count = sum(len(used[step.segment]) for step in erring)
    if count < FEWEST or count < MOST * sum(len(used[step.segment]) for step in telling):
        return None
    try:
        found = likeness(parameters(run.alignment.reference), parameters(run.alignment.candidate))
    except ModelError:
        return None
    all_kernels = {name for names in used.values() for name in names}
    differing = all_kernels & found.unlike
    if len(differing) < FEWEST or len(differing) < MOST * len(all_kernels):
        return None
    segments = [step.segment for step in run.origins if of_others(run, step, found.unlike)]
    return OtherCheckpoint(found, tuple(segments))


def kernels(run: Run, step: Step) -> Iterator[str]:
    """The reference's kernels in a segment where the candidate has one of that shape, in any order."""
    ours, theirs = run.alignment.reference, run.alignment.candidate
    shapes = {
        tuple(sorted(parameter.shape))
        for index in step.segment.ops
        for name in theirs.parameters_of[index]
        if is_kernel(parameter := theirs.graph.parameters[name])
    }
    for index in step.segment.reference_ops:
        for name in ours.parameters_of[index]:
            parameter = ours.graph.parameters[name]
            if is_kernel(parameter) and tuple(sorted(parameter.shape)) in shapes:
                yield name


def untouched(step: Step) -> bool:
    """Whether a segment gives the same tensors to the last bit."""
    return all(pair.isolated is not None and pair.isolated.metrics.max_abs == 0.0 for pair in step.pairs)


def of_others(run: Run, step: Step, unlike: frozenset[str]) -> bool:
    """Whether a segment uses a parameter that nothing in the candidate resembles."""
    view = run.alignment.reference
    names = {name for index in step.segment.reference_ops for name in view.parameters_of[index]}
    return bool(names & unlike)


def parameters(view: View) -> list[Parameter]:
    """The parameters that are trained, as far as the operators tell: not the scales of a resize."""
    used = [view.parameters_of[op.index] for op in view.ops if kind_of(op) != "resize"]
    names = dict.fromkeys(name for found in used for name in found)
    return [view.graph.parameters[name] for name in names]
