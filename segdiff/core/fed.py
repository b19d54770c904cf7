"""How does the candidate's own input compare with the reference's? What was found, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from segdiff.core.metrics import Metrics


@dataclass(frozen=True)
class InputFinding:
    """One thing that the candidate's preprocessing does otherwise.

    ``kind`` is one of ``segdiff.inputs.hypotheses.KINDS``. ``proven`` says that the picture, taken
    through the reference's preprocessing with this change (and those of the other findings), is the
    candidate's tensor within rounding; ``residual`` is the error that then remains, None where nothing could
    be tried.
    """

    kind: str
    text: str
    proven: bool
    residual: Metrics | None


@dataclass(frozen=True)
class InputComparison:
    """The two tensors: whether they are the same within rounding, the errors, and why they differ.

    ``metrics`` are those of the candidate's tensor against the reference's, infinite where the shapes differ.
    ``assumed`` says that the reference's tensor rests on assumed transforms, so that a difference is told and
    accuses nobody.
    """

    same: bool
    metrics: Metrics
    findings: tuple[InputFinding, ...] = ()
    assumed: bool = False

    @property
    def accused(self) -> bool:
        """Whether the candidate is fed another tensor than one that is known to be right."""
        return not self.same and not self.assumed

    @property
    def proven(self) -> bool:
        """Whether the difference is explained to the last bit: True where there is none."""
        return all(finding.proven for finding in self.findings)
