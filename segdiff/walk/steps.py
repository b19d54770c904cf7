"""What does a walk measure? One step a segment, two errors a pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from segdiff.align import Segment
from segdiff.core.metrics import Comparison
from segdiff.engines import Tensor
from segdiff.walk.judge import Judgement
from segdiff.walk.sketch import Sketch

Form = tuple[np.dtype[Any], tuple[int, ...]]
"""dtype and shape of a tensor."""


def form_of(tensor: Tensor) -> Form:
    """dtype and shape of a tensor."""
    return tensor.array.dtype, tensor.array.shape


Own = Literal["everywhere", "from the first origin", "nowhere"]
"""Where in a walk the candidate's own tensors are looked at, and cumulative errors measured."""


@dataclass(frozen=True)
class PairResult:
    """The two errors of one pair; None where a run that was needed failed.

    ``digest`` (of a faulty pair) tells whether the reference repeats itself on a second run; ``mask_changed``
    (of a model output) is the share of pixels whose class the candidate changes; ``sketches`` (of a faulty
    pair) tell what its reference tensor, and what the segment made of the reference's, could be mistaken for.
    """

    reference: str
    candidate: str
    shape: tuple[int, ...]
    cumulative: Comparison | None
    isolated: Comparison | None
    judgement: Judgement | None
    digest: int | None = None
    mask_changed: float | None = None
    sketches: tuple[Sketch, Sketch] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Step:
    """One segment with what was measured. ``problem`` says why a part is unknown, else None."""

    segment: Segment
    pairs: tuple[PairResult, ...]
    problem: str | None = None

    @property
    def is_origin(self) -> bool:
        """Whether the segment errs on equal inputs."""
        return any(pair.judgement is not None and pair.judgement.fault for pair in self.pairs)

    @property
    def failed(self) -> bool:
        """Whether the segment could not be run on the reference's tensors."""
        return self.problem is not None and all(pair.judgement is None for pair in self.pairs)


PATIENCE = 12.0
"""Times the walk's own seconds that proofs, or causes, may take: a verdict must not hang on how busy a
machine is. With 120 wrong pairs in a U2Net the proofs took six times its walk, at a load of 20."""


@dataclass(frozen=True)
class Walk:
    """Every segment's step, in the order walked; ``problem`` says what stopped the reference, else None, and
    ``reasons`` why an origin could not be put to the proof; ``unproven`` are origins whose turn did not come.

    ``forms`` are dtype and shape of the candidate's own tensors, by name; ``ends`` the outputs of both models
    as they came, (reference's, candidate's), by the candidate's name, and ``finals`` the reference's alone,
    by its own; ``held`` are the reference's at the ends of what errs; ``frontier`` the candidate's own at the
    first segment that errs or does not run, from the image: what was read from there on, and outputs that
    had gone by; ``seconds`` is how long it took.
    ``own`` says where the candidate's own tensors were looked at, ``lost`` why they could not be had from the
    first origin on, else None; ``leaps`` that an error is seen in what the candidate makes of its own
    tensors, though none is on the reference's.
    """

    steps: tuple[Step, ...]
    problem: str | None = None
    forms: Mapping[str, Form] = field(default_factory=dict, repr=False, compare=False)
    ends: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False, compare=False)
    reasons: tuple[str, ...] = ()
    unproven: frozenset[Segment] = frozenset()
    seconds: float = field(default=0.0, compare=False)
    finals: Mapping[str, Tensor] = field(default_factory=dict, repr=False, compare=False)
    held: Mapping[str, Tensor] = field(default_factory=dict, repr=False, compare=False)
    frontier: Mapping[str, Tensor] = field(default_factory=dict, repr=False, compare=False)
    own: Own = "everywhere"
    lost: str | None = None
    leaps: bool = False

    def patience(self, least: float) -> float:
        """Seconds for what is asked after the walk: ``least`` where it was fast.

        >>> Walk(()).patience(30.0), Walk((), seconds=10.0).patience(30.0)
        (30.0, 120.0)
        """
        return max(least, PATIENCE * self.seconds)

    @property
    def diverges(self) -> bool:
        """Whether any segment errs on equal inputs."""
        return any(step.is_origin for step in self.steps)


def bytes_of(tensors: Mapping[str, Tensor]) -> int:
    """What these take together."""
    return sum(tensor.nbytes for tensor in tensors.values())


def spoils(step: Step) -> bool:
    """Whether a step shows that something is wrong: its segment errs, or could not be run."""
    return step.is_origin or step.problem is not None


def error_size(error: Comparison) -> float:
    """A relative error; 0 where it is no number.

    >>> from segdiff.core.metrics import compare_arrays
    >>> error_size(compare_arrays(np.ones(4), np.ones(3)))
    0.0
    """
    if error.mismatch or not np.isfinite(error.metrics.rel_l2):
        return 0.0
    return float(error.metrics.rel_l2)


def caught_up(step: Step, late: Mapping[str, PairResult]) -> Step:
    """A step with the cumulative errors that were measured once it had gone by, by the candidate's names."""
    if not any(pair.candidate in late for pair in step.pairs):
        return step
    pairs = [_with_own_error(pair, late.get(pair.candidate)) for pair in step.pairs]
    return replace(step, pairs=tuple(pairs))


def _with_own_error(pair: PairResult, late: PairResult | None) -> PairResult:
    if pair.cumulative is not None or late is None or late.reference != pair.reference:
        return pair
    return replace(pair, cumulative=late.cumulative, mask_changed=late.mask_changed)


def unmeasured(segment: Segment, problem: str) -> Step:
    """The step of a segment of which nothing is known, and why."""
    pairs = tuple(PairResult(r, c, (), None, None, None) for r, c in segment.outputs)
    return Step(segment, pairs, problem)
