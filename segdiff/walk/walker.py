"""How do both models walk side by side? The reference streams its values; each segment runs when it can.

As soon as the reference's tensors at both ends of a segment are there, the candidate's segment runs twice:
on the candidate's own tensors (what the user's model does, the *cumulative* error) and on the reference's
(same inputs on both sides, the *isolated* error). Tensors are let go when no later segment needs them, so
memory follows what is alive at one moment and not the sum of all activations.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from segdiff.align import Segment
from segdiff.align.view import view_of
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array
from segdiff.core.metrics import compare_arrays
from segdiff.engines import Tensor
from segdiff.walk.judge import Judgement, floor_of, size_of
from segdiff.walk.probe import Probe
from segdiff.walk.sketch import sketch_of
from segdiff.walk.steps import Form, PairResult, Step, Walk


def walk_through(
    probe: Probe,
    reference: Iterator[tuple[str, Tensor]],
    segments: tuple[Segment, ...],
    feeds: Mapping[str, Tensor],
    progress: Callable[[int], None],
) -> Walk:
    """Walk the segments, one step each.

    ``reference`` streams the reference's values by name, ``feeds`` are its inputs; the candidate starts from
    ``probe.feeds`` (its own tensors are left out where that is empty). Never raises for what an engine does:
    a segment that fails is unknown with the reason, and what stops the reference is the walk's ``problem``.
    """
    return _Walker(probe, forms=dict(probe.forms)).walk(reference, segments, feeds, progress)


def walk_alone(
    reference: Iterator[tuple[str, Tensor]],
    segments: tuple[Segment, ...],
    feeds: Mapping[str, Tensor],
    outputs: frozenset[str],
    progress: Callable[[int], None],
) -> Walk:
    """The walk of one file that is its own candidate: each value that it gives is equal to itself.

    ``outputs`` are kept as both sides' ends. Never raises for what the engine does.
    """
    partners: dict[str, set[str]] = defaultdict(set)
    for segment in segments:
        for r, c in segment.outputs:
            partners[r].add(c)
    seen: dict[str, PairResult] = {}
    forms: dict[str, Form] = {}
    ends: dict[str, tuple[Tensor, Tensor]] = {}
    problem = None
    try:
        for name, tensor in _chain(feeds, reference):
            array = tensor.array
            same, changed = compare_arrays(array, array), None
            for c in partners.get(name, ()):
                forms[c] = array.dtype, array.shape
                if c in outputs:
                    ends[c], changed = (tensor, tensor), mask_changed(array, array)
                equal = Judgement("equal")
                seen[c] = PairResult(name, c, array.shape, same, same, equal, mask_changed=changed)
            progress(len(seen) * len(segments) // max(1, len(partners)))
    except EngineError as error:
        problem = str(error)
    steps = []
    for segment in segments:
        found = tuple(seen[c] for _, c in segment.outputs if c in seen)
        whole = len(found) == len(segment.outputs)
        lost = problem or "the reference did not deliver its values"
        steps.append(Step(segment, found) if whole else _unknown(segment, lost))
    return Walk(tuple(steps), problem, forms, ends)


CONTRADICTION = "it errs on the reference's inputs, but not on its own, though these are the same"
"""Of an isolated error where inputs and output agree in the run from the image."""


@dataclass
class _Walker:
    """The state of one walk: tensors alive on both sides, and how often each will still be needed."""

    start: Probe
    forms: dict[str, Form]
    reference_live: dict[str, Tensor] = field(default_factory=dict)
    own_live: dict[str, Tensor] = field(default_factory=dict)
    exact: set[str] = field(default_factory=set)
    alike: set[str] = field(default_factory=set)
    needs: Counter[str] = field(default_factory=Counter)
    own_needs: Counter[str] = field(default_factory=Counter)
    ends: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @cached_property
    def probe(self) -> Probe:
        """The probe, which learns the forms as the walk goes on."""
        return replace(self.start, forms=self.forms)

    def walk(
        self,
        reference: Iterator[tuple[str, Tensor]],
        segments: tuple[Segment, ...],
        feeds: Mapping[str, Tensor],
        progress: Callable[[int], None],
    ) -> Walk:
        """Every segment's step."""
        waiting = Waiting(segments)
        for segment in segments:
            self.needs.update({r for r, _ in (*segment.inputs, *segment.outputs)})
            self.own_needs.update({c for _, c in segment.inputs})
        own = self.start.feeds
        self.own_live.update(own)
        self.forms.update({c: (tensor.array.dtype, tensor.array.shape) for c, tensor in own.items()})
        self.exact.update(own)
        self.alike.update(own)
        steps: dict[int, Step] = {}
        problem = None
        try:
            for name, tensor in _chain(feeds, reference):
                if name not in self.needs:
                    continue
                self.reference_live[name] = tensor
                del tensor
                queue = deque(waiting.ready(name))
                while queue:
                    number = queue.popleft()
                    steps[number] = self._step(segments[number])
                    queue += waiting.ready(number)
                    progress(len(steps))
        except EngineError as error:
            problem = str(error)
        for number, segment in enumerate(segments):
            steps.setdefault(number, _unknown(segment, problem or "the reference did not deliver its values"))
        found = tuple(steps[number] for number in range(len(segments)))
        return Walk(found, problem, self.forms, self.ends)

    def _step(self, segment: Segment) -> Step:
        try:
            step = self._measure(segment)
        except EngineError as error:
            step = _unknown(segment, str(error))
        self._let_go(segment)
        return step

    def _measure(self, segment: Segment) -> Step:
        wanted = [c for _, c in segment.outputs]
        own, problem = None, None
        if all(c in self.own_live for _, c in segment.inputs):
            try:
                own = self.probe.run(segment, {c: self.own_live[c] for _, c in segment.inputs}, wanted)
                self.own_live.update({c: own[c] for c in wanted if self.own_needs[c] > 0})
                self.forms.update({c: (own[c].array.dtype, own[c].array.shape) for c in wanted})
            except EngineError as error:
                problem = str(error)
            self._let_own_inputs_go(segment)
        isolated: dict[str, Tensor] | None = None
        if own is not None and all(c in self.exact for _, c in segment.inputs):
            isolated = own
        else:
            try:
                isolated = self.probe.run(segment, self._isolated_feeds(segment), wanted)
            except EngineError as error:
                problem = str(error)
        pairs = []
        for r, c in segment.outputs:
            pair = self._pair(r, c, own, isolated)
            if isolated is not None and pair.isolated is not None:
                try:
                    pair = self._judged(segment, pair, isolated[c].array)
                except EngineError as error:
                    problem = str(error)
            pairs.append(pair)
        return Step(segment, tuple(pairs), problem)

    def _pair(
        self, r: str, c: str, own: dict[str, Tensor] | None, isolated: dict[str, Tensor] | None
    ) -> PairResult:
        """Both errors, as far as both runs came; not judged yet."""
        truth = self.reference_live[r].array
        alone = compare_arrays(truth, isolated[c].array) if isolated else None
        together = alone if own is isolated else None
        if own is not None and together is None:
            together = compare_arrays(truth, own[c].array)
        if together is not None and together.metrics.max_abs == 0.0:
            self.exact.add(c)
            self._hold_once(r, c)
        changed = None
        if own is not None and c in self.graph_outputs:
            self.ends[c] = self.reference_live[r], self.own_live.get(c, own[c])
            changed = mask_changed(truth, own[c].array)
        return PairResult(r, c, truth.shape, together, alone, None, None, changed)

    def _judged(self, segment: Segment, pair: PairResult, isolated: Array) -> PairResult:
        """The pair with what its isolated error is. Raises EngineError where that cannot be measured."""
        truth = self.reference_live[pair.reference].array
        judgement = self._judgement(segment, pair, truth, isolated)
        floor = floor_of(self.probe.unit(segment)) if pair.cumulative else 0.0
        if pair.cumulative and size_of(pair.cumulative) <= floor:
            self.alike.add(pair.candidate)
        measured = judgement.fault and not self.probe.thresholds.given  # else the user decides
        if measured and {pair.candidate, *(c for _, c in segment.inputs)} <= self.alike:
            judgement = Judgement("unsure", judgement.noise, detail=CONTRADICTION)
        if not judgement.fault:
            return replace(pair, judgement=judgement)
        sketches = sketch_of(truth), sketch_of(isolated)
        return replace(pair, judgement=judgement, digest=digest_of(truth), sketches=sketches)

    def _judgement(self, segment: Segment, pair: PairResult, truth: Array, isolated: Array) -> Judgement:
        assert pair.isolated is not None
        for r, name in segment.inputs:
            if r in self.reference_live and self.probe.unfit(name, self.reference_live[r]):
                return Judgement("unfed", detail=f"{r!r} does not fit the type of {name!r}")
        return self.probe.judged(
            segment,
            pair.isolated,
            truth.shape,
            self._input_shapes(segment),
            lambda: self.probe.disturb(segment, pair.candidate, isolated, self._isolated_feeds(segment)),
            lambda: self.probe.unmoved(
                segment, pair.candidate, (truth, isolated), self._isolated_feeds(segment)
            ),
            lambda: self.probe.disturb_finely(
                segment, pair.candidate, isolated, self._isolated_feeds(segment)
            ),
        )

    def _input_shapes(self, segment: Segment) -> list[tuple[int, ...]]:
        return [self.reference_live[r].array.shape for r, _ in segment.inputs if r in self.reference_live]

    @cached_property
    def graph_outputs(self) -> frozenset[str]:
        """The candidate's outputs, and what they repeat."""
        return frozenset(view_of(self.start.graph).outputs)

    def _isolated_feeds(self, segment: Segment) -> dict[str, Tensor]:
        return {c: self._as_candidate(r, c) for r, c in segment.inputs}

    def _as_candidate(self, r: str, c: str) -> Tensor:
        """The reference's tensor in the shape and type that the candidate has in its place."""
        tensor = self.reference_live.get(r)
        if tensor is None:
            if c not in self.own_live:
                raise EngineError(f"no tensor is known for {c!r}")
            return self.own_live[c]  # a model input that the reference does not have
        return self.probe.fitting(c, tensor)

    def _let_own_inputs_go(self, segment: Segment) -> None:
        """Let go of the candidate's tensors that nothing reads after its own run of the segment.

        One that the reference lacks stays: the isolated run needs it too.
        """
        for c in {c for r, c in segment.inputs if r in self.reference_live}:
            if self.own_needs[c] <= 1:
                self.own_live.pop(c, None)

    def _hold_once(self, r: str, c: str) -> None:
        """Of two equal tensors hold the reference's alone."""
        ours, theirs = self.reference_live[r], self.own_live.get(c)
        if theirs and (ours.array.dtype, ours.array.shape) == (theirs.array.dtype, theirs.array.shape):
            self.own_live[c] = ours

    def _let_go(self, segment: Segment) -> None:
        for r in {r for r, _ in (*segment.inputs, *segment.outputs)}:
            self.needs[r] -= 1
            if self.needs[r] <= 0:
                self.reference_live.pop(r, None)
        for c in {c for _, c in segment.inputs}:
            self.own_needs[c] -= 1
            if self.own_needs[c] <= 0:
                self.own_live.pop(c, None)


class Waiting:
    """Which segments can run? Those whose reference tensors are there and whose predecessors have run.

    >>> first = Segment((("a", "s"),), (("x", "x"),), (0,), (0,), (0,), True)
    >>> second = Segment((("y", "z"),), (("a", "s"),), (1,), (1,), (1,), True)
    >>> waiting = Waiting((first, second))
    >>> waiting.ready("x"), waiting.ready("a"), waiting.ready("y"), waiting.ready(0)
    ([], [0], [], [1])
    """

    def __init__(self, segments: tuple[Segment, ...]) -> None:
        maker = {pair: number for number, segment in enumerate(segments) for pair in segment.outputs}
        self.missing: list[set[str | int]] = []
        self.waiters: dict[str | int, list[int]] = defaultdict(list)
        for number, segment in enumerate(segments):
            values: set[str | int] = {r for r, _ in (*segment.inputs, *segment.outputs) if r}
            values.update(maker[pair] for pair in segment.inputs if pair in maker)
            self.missing.append(values)
            for needed in values:
                self.waiters[needed].append(number)

    def ready(self, arrived: str | int) -> list[int]:
        """The segments that only waited for this value, or for this segment to have run; in order."""
        done = []
        for number in self.waiters.pop(arrived, ()):
            self.missing[number].discard(arrived)
            if not self.missing[number]:
                done.append(number)
        return done


def digest_of(array: Array) -> int:
    """A checksum of an array's bytes."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def mask_changed(reference: Array, candidate: Array) -> float | None:
    """Share of pixels whose class differs; None where the tensor is not a map of classes.

    Integers are classes already; of a float ``(N, C, H, W)`` with C > 1 the class is the argmax over C.
    """
    if reference.shape != candidate.shape or reference.size == 0 or reference.ndim < 3:
        return None
    if reference.dtype.kind in "iu":
        return float(np.mean(reference != candidate))
    if reference.ndim != 4 or reference.shape[1] < 2:
        return None
    return float(np.mean(reference.argmax(axis=1) != candidate.argmax(axis=1)))


def pixels_of(classes: Array) -> int:
    """How many pixels a map of classes has (``mask_changed`` says which tensors are one)."""
    return classes.size if classes.dtype.kind in "iu" else classes.size // classes.shape[1]


def _chain(feeds: Mapping[str, Tensor], stream: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    yield from feeds.items()
    yield from stream


def _unknown(segment: Segment, problem: str) -> Step:
    pairs = tuple(PairResult(r, c, (), None, None, None) for r, c in segment.outputs)
    return Step(segment, pairs, problem)
