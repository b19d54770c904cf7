"""How do both models walk side by side? The reference streams its values; each segment runs when it can.

As soon as the reference's tensors at both ends of a segment are there, the candidate's segment runs on the
reference's (same inputs on both sides, the *isolated* error). From the first segment on that errs it runs
twice: on the candidate's own tensors, too (what the user's model does, the *cumulative* error). Until then
these are the reference's within rounding, and tell nothing more. Tensors are let go when no later segment
needs them, so memory follows what is alive at one moment and not the sum of all activations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain

from segdiff.align import Segment
from segdiff.align.view import view_of
from segdiff.core.errors import EngineError
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.precision import EPSILON
from segdiff.engines import Tensor
from segdiff.walk.gathered import gathered, nbytes_of
from segdiff.walk.hidden import Hidden, hidden_in, look_behind
from segdiff.walk.isolated import Isolated, Question, isolated_error, isolated_errors
from segdiff.walk.judge import Judgement, floor_of, size_of
from segdiff.walk.kept import Kept
from segdiff.walk.masks import mask_changed
from segdiff.walk.probe import Probe
from segdiff.walk.sketch import digest_of, sketch_of
from segdiff.walk.steps import Form, Own, PairResult, Step, Walk, caught_up, form_of, spoils, unmeasured
from segdiff.walk.upstream import upstream


def walk_through(
    probe: Probe,
    reference: Iterator[tuple[str, Tensor]],
    segments: tuple[Segment, ...],
    feeds: Mapping[str, Tensor],
    progress: Callable[[int], None],
    own: Own = "everywhere",
    room: int = 0,
) -> Walk:
    """Walk the segments, one step each.

    ``reference`` streams the reference's values by name, ``feeds`` are its inputs; the candidate starts from
    ``probe.feeds`` (its own tensors are left out where that is empty); ``own`` says from where on it does;
    with ``nowhere`` the walk ends where a segment errs or does not run.
    Up to ``room`` bytes of the reference's tensors at the ends of what errs, and of the candidate's own at
    the first origin, are kept for the proofs.
    Never raises for what an engine does: a segment that fails is unknown with the reason, and what stops the
    reference is the walk's ``problem``.
    """
    started = own == "everywhere" or not probe.feeds
    alone = own == "nowhere"
    walker = _Walker(probe, forms=dict(probe.forms), started=started, kept=Kept(room), alone=alone)
    return walker.walk(reference, segments, feeds, progress)


CONTRADICTION = "it errs on the reference's inputs, but not on its own, though these are the same"
"""Of an isolated error where inputs and output agree in the run from the image."""


@dataclass
class _Walker:
    """The state of one walk: tensors alive on both sides, and how often each will still be needed."""

    start: Probe
    forms: dict[str, Form]
    started: bool
    alone: bool = False
    reference_live: dict[str, Tensor] = field(default_factory=dict)
    own_live: dict[str, Tensor] = field(default_factory=dict)
    exact: set[str] = field(default_factory=set)
    alike: set[str] = field(default_factory=set)
    needs: Counter[str] = field(default_factory=Counter)
    own_needs: Counter[str] = field(default_factory=Counter)
    ends: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    finals: dict[str, Tensor] = field(default_factory=dict)
    walked: dict[str, str] = field(default_factory=dict)
    caught: dict[str, PairResult] = field(default_factory=dict)
    lost: str | None = None
    apart: bool = False  # segments run one by one: some have failed together
    late: bool = False
    leaps: bool = False
    hidden: Hidden = field(default_factory=Hidden)
    kept: Kept = field(default_factory=lambda: Kept(0))

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
        if not self.started:
            self.hidden = hidden_in(self.start.graph, segments)
        for segment in segments:
            self.needs.update({r for r, _ in (*segment.inputs, *segment.outputs)})
            self.own_needs.update({c for _, c in segment.inputs})
        own = self.start.feeds
        self.own_live.update(own)
        self.forms.update({c: form_of(tensor) for c, tensor in own.items()})
        self.exact.update(own)
        self.alike.update(own)
        steps: dict[int, Step] = {}
        problem = None
        try:
            arriving = self._arriving(chain(feeds.items(), reference))
            sized = partial(nbytes_of, self.start.graph, live=self.reference_live)
            for group in gathered(arriving, segments, sized, lambda: self.started):
                together = self._together([segments[number] for number in group])
                for number in group:
                    steps[number] = self._step(segments[number], together)
                    progress(len(steps))
                    if self.alone and spoils(steps[number]):
                        raise EngineError("the walk ends where a segment errs")
        except EngineError as error:
            problem = str(error)
        for number, segment in enumerate(segments):
            steps.setdefault(
                number, unmeasured(segment, problem or "the reference did not deliver its values")
            )
        found = tuple(caught_up(steps[number], self.caught) for number in range(len(segments)))
        return Walk(
            found,
            problem,
            self.forms,
            self.ends,
            finals=self.finals,
            held=self.kept.held,
            frontier=self.kept.frontier,
            own=self._own_from(),
            lost=self.lost,
            leaps=self.leaps,
        )

    def _arriving(self, values: Iterator[tuple[str, Tensor]]) -> Iterator[str]:
        """The reference's values that a segment needs, as they come; each is alive from then on."""
        for name, tensor in values:
            if name in self.needs:
                self.reference_live[name] = tensor
                del tensor
                yield name

    def _together(self, segments: list[Segment]) -> dict[Segment, Isolated]:
        """What several segments make of the reference's tensors, run in one go where they can be."""
        if self.started or self.apart or len(segments) == 1:
            return {}
        questions = []
        for segment in segments:
            with suppress(EngineError):  # it is told of where it runs by itself
                if segment not in self.hidden.watched:
                    questions.append(self._question(segment))
        try:
            return isolated_errors(self.probe, questions)
        except EngineError:
            self.apart = True
            return {}

    def _question(self, segment: Segment) -> Question:
        truths = {(r, c): self.reference_live[r] for r, c in segment.outputs}
        return Question(segment, self._isolated_feeds(segment), truths)

    def _own_from(self) -> Own:
        if not self.started:
            return "nowhere"
        return "from the first origin" if self.late else "everywhere"

    def _step(self, segment: Segment, together: Mapping[Segment, Isolated]) -> Step:
        try:
            step = self._measure(segment, together.get(segment))
        except EngineError as error:
            step = unmeasured(segment, str(error))
        if step.is_origin:
            ends = (r for r, _ in (*segment.inputs, *segment.outputs))
            self.kept.hold(ends, self.reference_live)
        self._let_go(segment)
        return step

    def _measure(self, segment: Segment, known: Isolated | None) -> Step:
        if self.started:
            return self._both(segment)
        isolated, problem = self._isolated(segment, known)
        step = self._compared(segment, None, isolated, problem)
        if not spoils(step):
            if isolated is not None and isolated.made is not None and segment in self.hidden.watched:
                truths = {c: self.reference_live[r] for r, c in segment.outputs}
                feeds = self._isolated_feeds(segment)
                self.leaps |= look_behind(self.hidden, self.probe, segment, feeds, isolated.made, truths)
            return step
        if self.alone:
            return step
        self._catch_up()
        return self._both(segment)

    def _both(self, segment: Segment) -> Step:
        """The step on the candidate's own tensors, as far as these are known, and on the reference's."""
        wanted = [c for _, c in segment.outputs]
        own, problem = None, None
        if all(c in self.own_live for _, c in segment.inputs):
            try:
                own = self.probe.run(segment, {c: self.own_live[c] for _, c in segment.inputs}, wanted)
                self.own_live.update({c: own[c] for c in wanted if self.own_needs[c] > 0})
                self.forms.update({c: form_of(own[c]) for c in wanted})
            except EngineError as error:
                problem = str(error)
            self._let_own_inputs_go(segment)
        if own is not None and all(c in self.exact for _, c in segment.inputs):
            feeds = self._isolated_feeds(segment)
            return self._compared(segment, own, Isolated(self.probe, segment, feeds, {}, own), problem)
        isolated, failed = self._isolated(segment)
        return self._compared(segment, own, isolated, failed or problem)

    def _isolated(
        self, segment: Segment, known: Isolated | None = None
    ) -> tuple[Isolated | None, str | None]:
        """What the segment makes of the reference's tensors, where it is not ``known``; or None, and why."""
        try:
            if segment in self.hidden.watched and not self.started:  # its tensors are looked at
                feeds = self._isolated_feeds(segment)
                made = self.probe.run(segment, feeds, [c for _, c in segment.outputs])
                isolated = Isolated(self.probe, segment, feeds, {}, made)
            elif known is not None and known.fits(self.forms):
                isolated = known
            else:
                isolated = isolated_error(self.probe, self._question(segment))
        except EngineError as error:
            return None, str(error)
        if not self.started:
            self.forms.update(isolated.forms())
        return isolated, None

    def _compared(
        self,
        segment: Segment,
        own: dict[str, Tensor] | None,
        isolated: Isolated | None,
        problem: str | None,
    ) -> Step:
        """The step from what both runs of a segment gave."""
        pairs = []
        for r, c in segment.outputs:
            pair = self._pair(r, c, own, isolated)
            if isolated is not None and pair.isolated is not None:
                try:
                    pair = self._judged(segment, pair, isolated)
                except EngineError as error:
                    problem = str(error)
            pairs.append(pair)
        return Step(segment, tuple(pairs), problem)

    def _catch_up(self) -> None:
        """From this segment on the candidate's own tensors count: those that are still read, and the outputs
        that have gone by, come from one run of its nodes up to here.

        Where it does not run, the walk tells why (``lost``)."""
        self.started = self.late = True
        wanted = [
            c
            for c in self.walked
            if (self.own_needs[c] > 0 or c in self.graph_outputs) and c not in self.own_live
        ]
        if not wanted:
            return
        nodes = upstream(self.start.graph, wanted, frozenset())
        read = {name for index in nodes for name in self.start.graph.op(index).inputs}
        feeds = {name: tensor for name, tensor in self.start.feeds.items() if name in read}
        try:
            got = self.start.candidate.run(feeds, wanted, nodes)
        except EngineError as error:
            self.lost = str(error)
            return
        self.kept.start_from(got)
        for c, tensor in got.items():
            if self.own_needs[c] > 0:
                self.own_live[c] = tensor
            self.forms[c] = form_of(tensor)
            r = self.walked[c]
            truth = self.reference_live.get(r) or self.finals.get(r)
            if truth is not None:
                self.caught[c] = self._own_error(r, c, truth, tensor)

    def _own_error(self, r: str, c: str, truth: Tensor, own: Tensor) -> PairResult:
        """The cumulative error of a value that was walked before the candidate's own tensors counted."""
        together = compare_arrays(truth.array, own.array)
        self._note(r, c, together)
        if size_of(together) <= floor_of(EPSILON):
            self.alike.add(c)
        changed = None
        if c in self.graph_outputs:
            self.ends[c] = truth, own
            changed = mask_changed(truth.array, own.array)
        return PairResult(r, c, truth.array.shape, together, None, None, None, changed)

    def _note(self, r: str, c: str, together: Comparison) -> None:
        """Keep in mind which of the candidate's own values are the reference's, to the last bit."""
        if together.metrics.max_abs == 0.0:
            self.exact.add(c)
            self._hold_once(r, c)

    def _pair(self, r: str, c: str, own: dict[str, Tensor] | None, isolated: Isolated | None) -> PairResult:
        """Both errors, as far as both runs came; not judged yet."""
        truth = self.reference_live[r].array
        alone = isolated.error(c, truth) if isolated else None
        together = None
        if own is not None:
            same = isolated is not None and isolated.made is own
            together = alone if same else compare_arrays(truth, own[c].array)
        if together is not None:
            self._note(r, c, together)
        changed = None
        if c in self.graph_outputs:
            self.finals[r] = self.reference_live[r]
        if own is not None and c in self.graph_outputs:
            self.ends[c] = self.reference_live[r], self.own_live.get(c, own[c])
            changed = mask_changed(truth, own[c].array)
        return PairResult(r, c, truth.shape, together, alone, None, None, changed)

    def _judged(self, segment: Segment, pair: PairResult, isolated: Isolated) -> PairResult:
        """The pair with what its isolated error is. Raises EngineError where that cannot be measured."""
        truth = self.reference_live[pair.reference].array
        judgement = isolated.judged(pair, truth, self.reference_live)
        floor = floor_of(self.probe.unit(segment)) if pair.cumulative else 0.0
        if pair.cumulative and size_of(pair.cumulative) <= floor:
            self.alike.add(pair.candidate)
        measured = judgement.fault and not self.probe.thresholds.given  # else the user decides
        if measured and {pair.candidate, *(c for _, c in segment.inputs)} <= self.alike:
            judgement = Judgement("unsure", judgement.noise, detail=CONTRADICTION)
        if not judgement.fault:
            return replace(pair, judgement=judgement)
        sketches = sketch_of(truth), sketch_of(isolated.array(pair.candidate))
        return replace(pair, judgement=judgement, digest=digest_of(truth), sketches=sketches)

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
        ours, theirs = self.reference_live.get(r), self.own_live.get(c)
        if (
            ours
            and theirs
            and (ours.array.dtype, ours.array.shape) == (theirs.array.dtype, theirs.array.shape)
        ):
            self.own_live[c] = ours

    def _let_go(self, segment: Segment) -> None:
        self.walked.update({c: r for r, c in segment.outputs})
        for r in {r for r, _ in (*segment.inputs, *segment.outputs)}:
            self.needs[r] -= 1
            if self.needs[r] <= 0:
                self.reference_live.pop(r, None)
        for c in {c for _, c in segment.inputs}:
            self.own_needs[c] -= 1
            if self.own_needs[c] <= 0:
                self.own_live.pop(c, None)
                self.hidden.own.pop(c, None)
