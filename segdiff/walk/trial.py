"""Would a segment agree if its nodes were other ones? It runs on the reference's tensors, with edits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segdiff.align import Segment
from segdiff.align.kinds import BOUNDED
from segdiff.edit import Edit
from segdiff.engines import Tensor
from segdiff.errors import EngineError
from segdiff.metrics import Comparison, Metrics, compare_arrays
from segdiff.walk.judge import disturbed, judge
from segdiff.walk.lockstep import SEED, Lockstep
from segdiff.walk.rounding import roundings


@dataclass(frozen=True)
class Trial:
    """What a segment does with some edits. ``agrees``: no output crosses the walk's own threshold.

    ``problem`` says why it could not run, else None; ``comparisons`` are by the candidate's value.
    """

    agrees: bool
    comparisons: Mapping[str, Comparison]
    problem: str | None = None

    @property
    def error(self) -> float:
        """The largest relative L2 error of an output; infinite where it did not run or has another shape."""
        if self.problem or any(c.mismatch for c in self.comparisons.values()):
            return float("inf")
        return max((_relative(c) for c in self.comparisons.values()), default=0.0)

    @property
    def worst(self) -> Metrics | None:
        """The metrics of the output that errs most."""
        found = sorted(self.comparisons.values(), key=lambda c: (c.mismatch is not None, _relative(c)))
        return found[-1].metrics if found else None


def _relative(comparison: Comparison) -> float:
    value = comparison.changed if comparison.discrete else comparison.metrics.rel_l2
    return float("inf") if np.isnan(value) else float(value)


@dataclass(frozen=True)
class Bench:
    """One segment with the reference's tensors: ``feeds`` by the candidate's value, ``truth`` as well."""

    lockstep: Lockstep
    segment: Segment
    feeds: Mapping[str, Tensor]
    truth: Mapping[str, Tensor]

    def attempt(self, edits: tuple[Edit, ...] = ()) -> Trial:
        """Run with the edits; an edit that onnxruntime refuses is a trial with a problem."""
        wanted = [c for _, c in self.segment.outputs if c in self.truth]
        try:
            got = self.lockstep.candidate.run(self.feeds, wanted, self.segment.nodes, edits)
        except EngineError as error:
            return Trial(False, {}, str(error))
        comparisons = {c: compare_arrays(self.truth[c].array, got[c].array) for c in wanted}
        faults = [self._fault(c, got[c], comparisons[c], edits) for c in wanted]
        return Trial(not any(faults), comparisons)

    def _fault(self, c: str, got: Tensor, comparison: Comparison, edits: tuple[Edit, ...]) -> bool:
        lockstep, segment = self.lockstep, self.segment
        kinds = lockstep.kinds(segment)
        shapes = [tensor.array.shape for tensor in self.feeds.values()]
        judgement = judge(
            comparison,
            lockstep.thresholds,
            lambda: self._disturb(c, got, edits),
            bounded=bool(kinds & BOUNDED),
            roundings=roundings(lockstep.graph, segment.ops, shapes, self.truth[c].array.shape),
        )
        return judgement.fault

    def _disturb(self, c: str, undisturbed: Tensor, edits: tuple[Edit, ...]) -> Comparison | None:
        lockstep = self.lockstep
        feeds = {
            name: lockstep.blocks.tensor(disturbed(tensor.array, SEED + place))
            for place, (name, tensor) in enumerate(self.feeds.items())
        }
        try:
            got = lockstep.candidate.run(feeds, [c], self.segment.nodes, edits)
        except EngineError:
            return None
        return compare_arrays(undisturbed.array, got[c].array)
