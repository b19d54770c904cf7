"""What was measured, all of it? The findings, from which the report is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from segdiff.align import Alignment, Segment
from segdiff.core.answer import AsFed, Cause, Origin, OutputInfo
from segdiff.core.graph import Graph
from segdiff.core.precision import Precision
from segdiff.core.thresholds import Thresholds
from segdiff.deployed.leg import NOT_DEPLOYED, AsDeployed
from segdiff.finding.checkpoint import OtherCheckpoint
from segdiff.finding.inside import Inside
from segdiff.finding.outputs import NOT_LOOKED_AT, Endings, infos, partner_outputs
from segdiff.finding.weigh import NOT_WEIGHED, Weights
from segdiff.walk import Run, Walk


@dataclass(frozen=True)
class Findings:
    """All that was measured.

    ``run`` the walk as verified; ``random`` the values that the reference does not repeat; ``how`` the input
    was made; of each origin (by its segment) the cause and what repairing it gives back; ``reasons`` why
    something is not known; ``precision`` what half precision or quantisation costs; ``endings`` what became
    of the outputs; ``refused`` why the candidate does not run as it is; ``checkpoint`` that nearly every
    parameter differs; ``inside`` what errs in the blocks of the origins that have any.
    """

    run: Run
    random: tuple[str, ...] = ()
    how: tuple[str, ...] = ()
    causes: Mapping[Segment, Cause] = field(default_factory=dict)
    weights: Weights = NOT_WEIGHED
    as_fed: AsFed | None = None
    optimised: AsDeployed = NOT_DEPLOYED
    reasons: tuple[str, ...] = ()
    precision: Precision | None = None
    refused: Origin | None = None
    endings: Endings = NOT_LOOKED_AT
    checkpoint: OtherCheckpoint | None = None
    inside: Mapping[Segment, Inside] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[OutputInfo, ...]:
        """The outputs of the models, run from the image."""
        return self.endings.outputs or tuple(infos(self.run, partner_outputs(self.run, fetch=False)))

    @property
    def alignment(self) -> Alignment:
        """The pairs as verified."""
        return self.run.alignment

    @property
    def walk(self) -> Walk:
        """The steps as verified."""
        return self.run.walk

    @property
    def thresholds(self) -> Thresholds:
        """The user's."""
        return self.run.probe.thresholds

    @property
    def graphs(self) -> tuple[Graph, Graph]:
        """The reference's and the candidate's."""
        return self.run.probe.reference, self.run.probe.graph
