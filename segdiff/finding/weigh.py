"""How much does each origin matter? The candidate runs from the image once more with that origin mended.

A proven cause is mended by its own change. Of any other, the segment's isolated error is taken away from the
candidate's tensor, which puts the reference's tensor in where nothing upstream errs. A change that makes the
outputs worse, whatever it does to its segment, is no cause: it is taken for a guess again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from segdiff.align import Segment
from segdiff.core.answer import Cause, Effect
from segdiff.core.edit import Edit, merged
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array, Graph
from segdiff.core.metrics import compare_arrays
from segdiff.engines import Tensor
from segdiff.finding.idle import WORSE, tolerable
from segdiff.walk import Run, Step, ends_of
from segdiff.walk.masks import mask_changed, pixels_of
from segdiff.walk.upstream import upstream

MOST = 8
"""Origins that are weighed; each costs a run of the candidate."""


@dataclass(frozen=True)
class Damage:
    """What is wrong with the outputs: the root of the summed squares of their relative errors, and the
    changed pixels of all maps of classes (None where there is none)."""

    error: float
    pixels: float | None

    def effect(self, after: Damage) -> Effect:
        """What goes away from here to ``after``."""
        restored = None
        if self.pixels and after.pixels is not None:
            restored = 1 - after.pixels / self.pixels
        return Effect(1 - after.error / self.error if self.error else 0.0, restored)


def damage_of(outputs: Iterable[tuple[Array, Array]]) -> Damage:
    """What is wrong with the outputs, (reference's, candidate's)."""
    squares, pixels, maps = 0.0, 0.0, False
    for ours, theirs in outputs:
        found = compare_arrays(ours, theirs)
        error = 1.0 if found.mismatch else found.metrics.rel_l2
        squares += error**2 if np.isfinite(error) else 1.0
        changed = mask_changed(ours, theirs)
        if changed is not None:
            maps, pixels = True, pixels + changed * pixels_of(ours)
    return Damage(squares**0.5, pixels if maps else None)


@dataclass(frozen=True)
class Weights:
    """Effects by segment, of each origin mended alone, and of all of them ``together``; ``harmful`` are the
    segments whose proven change makes the outputs worse; ``mended`` the candidate's outputs, by its names, of
    the run with all of them mended; ``idle`` the segments that only round more coarsely than they need to,
    lose what their type does not hold, or hide by another number, and whose mending brings the outputs no
    nearer."""

    alone: Mapping[Segment, Effect]
    together: Effect | None
    harmful: frozenset[Segment] = frozenset()
    mended: Mapping[str, Tensor] = field(default_factory=dict, repr=False, compare=False)
    idle: frozenset[Segment] = frozenset()


NOT_WEIGHED = Weights({}, None)


def weigh(
    run: Run,
    causes: Mapping[Segment, Cause],
    reasons: list[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Weights:
    """Weigh the origins of a run: what repairing each alone, and all together, gives back.

    causes   by segment; one that is proven is mended by its own change, of any other origin the isolated
             error is taken away from the candidate's tensor (float, the shape it has on this run)
    progress is told how many of how many origins are weighed

    The effects are shares without a unit: 1 means that the whole final error (the root of the summed squared
    rel_l2 of all paired outputs) goes away, a negative one that it grows; and the share of the changed pixels
    of all maps of classes that comes back. An origin whose run fails has no effect in the result; beyond
    ``MOST`` origins the rest is left out. Raises nothing that an engine does: why something is not known is
    added to ``reasons``.
    """
    reasons = [] if reasons is None else reasons
    origins = list(run.origins[:MOST])
    alone: dict[Segment, Effect] = {}
    try:
        scale = Scale(run, dict(run.reference([r for r, _ in run.outputs])), reasons)
        before = scale.damage(scale.as_walked() or scale.finals())
        for done, step in enumerate(origins):
            if progress:
                progress(done, len(origins))
            after = scale.mended([step], causes)
            if after is not None:
                alone[step.segment] = before.effect(after)
        idle = frozenset(scale.idle(origins, causes, alone))
        harmful = frozenset(scale.harmful(origins, causes, alone))
        left = {segment: cause for segment, cause in causes.items() if segment not in harmful}
        for step in origins:
            if step.segment in harmful and (after := scale.mended([step], left)) is not None:
                alone[step.segment] = before.effect(after)
        if len(origins) == 1:
            return Weights(alone, alone.get(origins[0].segment), harmful, scale.last_outputs(), idle)
        together = scale.mended(origins, left)
        effect = before.effect(together) if together else None
        return Weights(alone, effect, harmful, scale.last_outputs() if origins else {}, idle)
    except EngineError as error:
        reasons.append(f"What repairing the origins gives back is not known: {error}")
        return Weights(alone, None)


def weighed_alone(run: Run, step: Step, cause: Cause | None = None) -> Effect:
    """What repairing one segment gives back, whether it errs or not: by its cause's change where that is
    proven, else without its isolated error. Raises EngineError."""
    reasons: list[str] = []
    scale = Scale(run, dict(run.reference([r for r, _ in run.outputs])), reasons)
    before = scale.damage(scale.as_walked() or scale.finals())
    after = scale.mended([step], {step.segment: cause} if cause else {})
    if after is None:
        raise EngineError(reasons[-1])
    return before.effect(after)


def without_harm(causes: Mapping[Segment, Cause], weights: Weights) -> dict[Segment, Cause]:
    """The causes; one whose change makes the outputs worse is a guess, and its change is never made."""
    text = "With this change the segment agrees, but the final error grows: it is no cause."
    return {
        segment: replace(cause, proven=False, edits=(), text=f"{cause.text} {text}")
        if segment in weights.harmful
        else cause
        for segment, cause in causes.items()
    }


@dataclass(frozen=True)
class Scale:
    """The candidate run from the image, with whatever mended, against the reference's outputs ``truth``; why
    something is not known goes to ``reasons``."""

    run: Run
    truth: Mapping[str, Tensor]
    reasons: list[str]
    last: dict[str, Tensor] = field(default_factory=dict)

    def last_outputs(self) -> dict[str, Tensor]:
        """What the last run with origins mended gave out; nothing where it failed."""
        return dict(self.last)

    @property
    def outputs(self) -> tuple[tuple[str, str], ...]:
        """The outputs that have a partner, (reference, candidate)."""
        return self.run.outputs

    def damage(self, got: Mapping[str, Tensor]) -> Damage:
        """What is wrong with these outputs of the candidate, by its names."""
        return damage_of((self.truth[r].array, got[c].array) for r, c in self.outputs if r in self.truth)

    def harmful(
        self, origins: list[Step], causes: Mapping[Segment, Cause], alone: Mapping[Segment, Effect]
    ) -> Iterator[Segment]:
        """The segments whose proven change makes the outputs worse, alone and beside the other repairs."""
        suspects = [
            step
            for step in origins
            if step.segment in causes
            and causes[step.segment].proven
            and step.segment in alone
            and alone[step.segment].final_error_removed < -WORSE
        ]
        whole = self.mended(origins, causes) if suspects and len(origins) > 1 else None
        for step in suspects:
            rest = [other for other in origins if other is not step]
            without = self.mended(rest, causes) if whole else None
            if whole is None or without is None or whole.error > without.error * (1 + WORSE):
                yield step.segment

    def idle(
        self, origins: list[Step], causes: Mapping[Segment, Cause], alone: Mapping[Segment, Effect]
    ) -> Iterator[Segment]:
        """The segments that cost nothing in the end: mending one brings the outputs no nearer than is
        ``tolerable``, neither alone nor beside the other repairs."""
        times: dict[Segment, float] = {}
        for step in origins:
            removed = alone[step.segment].final_error_removed if step.segment in alone else 1.0
            most = tolerable(self.run, step, causes.get(step.segment), removed)
            if most is not None and removed <= 1 - (1 - WORSE) / most:
                times[step.segment] = most
        suspects = [step for step in origins if step.segment in times]
        whole = self.mended(origins, causes) if suspects and len(origins) > 1 else None
        for step in suspects:
            rest = [other for other in origins if other is not step]
            without = self.mended(rest, causes) if whole else None
            allowed = whole.error * times[step.segment] / (1 - WORSE) if whole else 0.0
            if whole is None or without is None or without.error <= allowed:
                yield step.segment

    def as_walked(self) -> dict[str, Tensor]:
        """The candidate's outputs as the walk has seen them; nothing where it has not seen them all."""
        seen = {c: ends[1] for c, ends in self.run.walk.ends.items()}
        return seen if {c for _, c in self.outputs} <= seen.keys() else {}

    def finals(
        self, patches: Mapping[str, Tensor] | None = None, edits: tuple[Edit, ...] = ()
    ) -> dict[str, Tensor]:
        """The candidate's outputs from the image, with tensors patched in and nodes changed."""
        return own_values(self.run, [c for _, c in self.outputs], patches or {}, edits)

    def mended(self, steps: list[Step], causes: Mapping[Segment, Cause]) -> Damage | None:
        """The damage that is left with these origins mended; None, and a reason, where one cannot be."""
        edits: list[Edit] = []
        patches: dict[str, Tensor] = {}
        self.last.clear()
        try:
            for step in steps:
                cause = causes.get(step.segment)
                if cause is not None and cause.proven and cause.edits:
                    edits += cause.edits
                    continue
                patches.update(self._corrected(step, dict(patches), merged(edits)))
            self.last.update(self.finals(patches, merged(edits)))
            return self.damage(self.last)
        except EngineError as error:
            which = ", ".join(repr(step.segment.outputs[0][1]) for step in steps)
            self.reasons.append(f"What repairing {which} gives back is not known: {error}")
            return None

    def _corrected(
        self, step: Step, patches: Mapping[str, Tensor], edits: tuple[Edit, ...]
    ) -> dict[str, Tensor]:
        """The candidate's own tensors at the end of a segment, less the segment's isolated error."""
        probe, segment = self.run.probe, step.segment
        truth = dict(self.run.reference(ends_of(step)))
        wanted = [c for _, c in segment.outputs]
        given = {c: probe.fitting(c, truth[r]) for r, c in segment.inputs if r in truth}
        isolated = probe.candidate.run(given, wanted, segment.nodes)
        own = own_values(self.run, wanted, patches, edits)
        return {
            c: probe.blocks.tensor(corrected(truth[r].array, own[c].array, isolated[c].array))
            for r, c in segment.outputs
            if r in truth
        }


def own_values(
    run: Run,
    wanted: Iterable[str],
    patches: Mapping[str, Tensor] | None = None,
    edits: tuple[Edit, ...] = (),
) -> dict[str, Tensor]:
    """The candidate's own tensors from the image, with tensors patched in and nodes changed; what lies beside
    their way is not run. Raises EngineError."""
    wanted, patches, graph = list(wanted), patches or {}, run.probe.graph
    told = {name for edit in edits for name in edit.reads}  # a change may read what nobody read before
    for passed in (_passed(run, patches, edits), {}):
        known = {**run.probe.feeds, **passed, **patches}
        ops = upstream(graph, [*wanted, *told], frozenset(known))
        if passed.keys().isdisjoint(name for index in ops for name in graph.op(index).outputs):
            break  # else one output of an op is known, and another one that it must make is not
    read = {name for index in ops for name in graph.op(index).inputs} | set(wanted) | told
    feeds = {name: tensor for name, tensor in known.items() if name in read}
    got = {name: feeds[name] for name in wanted if name in feeds}
    rest = [name for name in wanted if name not in feeds]
    own = tuple(edit for edit in edits if _writes(graph, ops, edit.place))
    return got | (run.probe.candidate.run(feeds, rest, ops, own) if rest else {})


def _passed(run: Run, patches: Mapping[str, Tensor], edits: tuple[Edit, ...]) -> Mapping[str, Tensor]:
    """The candidate's own tensors at the first origin, which need not be made again where nothing above them
    is changed."""
    known, graph = run.walk.frontier, run.probe.graph
    above = upstream(graph, known, frozenset())
    made = {name for index in above for name in graph.op(index).outputs}
    return known if made.isdisjoint([*patches, *(edit.place for edit in edits)]) else {}


def corrected(truth: Array, own: Array, isolated: Array) -> Array:
    """``own`` less what the segment alone does wrong; the reference's tensor where that has no meaning.

    All three of one shape, and float; otherwise ``truth`` in the candidate's shape and dtype, or as it
    is where it has another number of elements.
    """
    if truth.shape == own.shape == isolated.shape and own.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):  # infinity less infinity
            fixed = own + (truth - isolated)
        if np.isfinite(fixed).all():
            return np.asarray(fixed, own.dtype)
    if truth.size != own.size:
        return truth
    with np.errstate(over="ignore"):
        fitted: Array = np.asarray(truth, own.dtype)
    return fitted.reshape(own.shape)


def _writes(graph: Graph, ops: Iterable[int], name: str) -> bool:
    return any(name in graph.op(index).outputs for index in ops)
