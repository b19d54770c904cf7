"""Which operators does a device compute otherwise than the file says? Each is run on the device's own
tensors, and what comes out is compared with what the device has made of them.

It is the walk of :mod:`segdiff.walk.walker` with the file's own graph on both sides: the device stands where
the reference stands, and a segment is what lies between two values that it has left behind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from segdiff.align import Alignment, Segment, cut
from segdiff.align.view import View
from segdiff.core.dumped import Dump, DumpedTensor
from segdiff.core.edit import Edit, merged
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array, Op
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.precision import EPSILON, disturbed, unit_of
from segdiff.engines import Tensor
from segdiff.engines.dumped import DumpedReference
from segdiff.engines.session import quantised_values
from segdiff.walk.dump_check import CheckedDump
from segdiff.walk.judge import Judgement
from segdiff.walk.last_bit import SEED, Steps, as_stored, quantises
from segdiff.walk.masks import mask_changed
from segdiff.walk.probe import Bench, Probe
from segdiff.walk.reference_tensors import ReferenceTensors
from segdiff.walk.run import Run, ends_of
from segdiff.walk.steps import PairResult, Step
from segdiff.walk.walker import walk_through

WEIGHED = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "InstanceNormalization"}
    | {"LayerNormalization", "GroupNormalization", "Add", "Sub", "Mul", "Div", "PRelu"}
)
"""Operators whose parameters are numbers to compute with, not sizes or axes: a device rounds them, too."""


@dataclass(frozen=True)
class DeviceProbe(Probe):
    """A probe whose "reference" is a device: ``stored`` are the types in which it kept its values, ``fused``
    the groups of ops that it computed in one, ``given`` what an op was seen to read that is not what had been
    made, by the op's index, ``inside`` the values whose products are made of half-precision numbers, whatever
    they are stored in."""

    stored: Mapping[str, str] = field(default_factory=dict)
    fused: tuple[frozenset[int], ...] = ()
    given: Mapping[int, Mapping[str, DumpedTensor]] = field(default_factory=dict)
    inside: frozenset[str] = frozenset()

    def comparable(self, values: Iterable[str]) -> bool:
        """Never: what a device has stored is rounded here, as it was there."""
        return False

    def run(
        self,
        segment: Segment,
        feeds: Mapping[str, Tensor],
        wanted: Iterable[str],
        edits: tuple[Edit, ...] = (),
    ) -> dict[str, Tensor]:
        """As any probe does, on what the device gave these nodes. Raises EngineError."""
        return super().run(segment, self.as_given(segment, feeds), wanted, edits)

    def bench(self, segment: Segment, tensors: Mapping[str, Tensor]) -> Bench:
        """The segment on the device's tensors."""
        found = super().bench(segment, tensors)
        return replace(found, feeds=self.as_given(segment, found.feeds))

    def as_given(self, segment: Segment, feeds: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The feeds, with what the device was seen to give these nodes where that is not what was made."""
        own = {name: t for index in segment.nodes for name, t in self.given.get(index, {}).items()}
        if not own.keys() & feeds.keys():
            return feeds
        read = {name: self.blocks.tensor(self.numbers(own[name])) for name in own.keys() & feeds.keys()}
        return {name: self.fitting(name, read[name]) if name in read else t for name, t in feeds.items()}

    def numbers(self, tensor: DumpedTensor) -> Array:
        """The numbers of a tensor, or those that its bytes stand for."""
        array, how = tensor.load(), self.graph.quantised.get(tensor.value)
        return array if how is None or array.dtype.name != how.dtype else how.numbers(array)

    def _declared(self, c: str, tensor: Tensor) -> np.dtype[Any]:
        """The type that the file computes a value in: the device stores it otherwise, not the file."""
        if self.graph.value(c).dtype is None and tensor.array.dtype == np.float16:
            return np.dtype(self.arithmetic if self.arithmetic == "float16" else np.float32)
        return super()._declared(c, tensor)

    def alike(self, segment: Segment) -> bool:
        """Never: a device that keeps bytes multiplies them by integers of its own, and is a step off."""
        return False

    def unit(self, segment: Segment) -> float:
        """One rounding of the type in which the device stores, as often as it stores on the way.

        Independent roundings add in quadrature; within a fused group the sums are in float32.
        """
        ends = {c for _, c in (*segment.inputs, *segment.outputs)}
        coarsest = max((unit_of(self.stored.get(c)) for c in ends), default=EPSILON)
        if self.inside & {c for _, c in segment.outputs}:
            coarsest = max(coarsest, unit_of("float16"))
        own = super().unit(segment)
        if coarsest <= own:
            return own
        return coarsest * math.sqrt(self.roundings_in(segment))

    def roundings_in(self, segment: Segment) -> int:
        """How often the device stores something between the ends of a segment, itself included."""
        ops = set(segment.ops)
        groups = [group for group in self.fused if len(group) > 1 and group & ops]
        alone = ops.difference(*groups)
        return max(1, len(alone) + len(groups))

    def disturb(
        self,
        segment: Segment,
        c: str,
        undisturbed: Array,
        feeds: Mapping[str, Tensor],
        edits: tuple[Edit, ...] = (),
        steps_of: Steps = as_stored,
    ) -> Comparison | None:
        """What the last bit of the type that the device stores in does, in inputs and parameters."""
        unit, feeds = self.unit(segment), self.as_given(segment, feeds)
        if unit <= EPSILON or quantises(self.graph, segment.nodes):
            return super().disturb(segment, c, undisturbed, feeds, edits, steps_of)
        shaken = {
            name: self.blocks.tensor(disturbed(tensor.array, SEED + place, unit))
            for place, (name, tensor) in enumerate(feeds.items())
        }
        moved = [
            edit for op in map(self.graph.op, segment.nodes) for edit in self._moved_parameters(op, unit)
        ]
        try:
            got = super().run(segment, shaken, [c], merged((*moved, *edits)))[c].array
        except EngineError as error:
            if error.died:
                raise
            return None
        return compare_arrays(undisturbed, got)

    def _moved_parameters(self, op: Op, unit: float) -> Iterator[Edit]:
        """The parameters of an op with their last bit in that unit moved; whole numbers are exact."""
        if op.type not in WEIGHED:
            return
        inputs = {}
        for slot, name in zip(op.slots, op.inputs, strict=True):
            known = self.graph.parameters.get(name)
            if known is None or known.dtype != "float32" or not slot.isdigit():
                continue
            array = known.load()
            inputs[int(slot)] = np.where(array == np.rint(array), array, disturbed(array, SEED, unit))
        if inputs:
            yield Edit(op.outputs[0], inputs=inputs)


def walked_on_device(
    run: Run, checked: CheckedDump, progress: Callable[[int, int], None], inside: frozenset[str] = frozenset()
) -> Run:
    """Run every segment between values of the dump on the device's own tensors.

    ``run`` is that of the ONNX file against the reference, whose engine is asked. In the run that is returned
    the device is the reference: an isolated error is how far it is from what the file makes of its inputs. It
    never raises for what an engine does.
    """
    view = run.alignment.candidate
    dump = in_view(checked.dump, view)
    inputs = dict(zip(view.graph.inputs, view.graph.inputs, strict=True))
    pairs = {**inputs, **{c: c for c in view.values if c in dump.tensors and c in view.producer}}
    segments = cut(view, view, pairs)
    places = tuple((place, place) for place in range(len(view.outputs)))
    alignment = Alignment(view, view, pairs, dict.fromkeys(pairs, ("dumped",)), segments, places)
    blocks = run.probe.blocks
    engine = DumpedReference(dump.path, blocks).opened(dump)
    engine.quantised = engine.dumped.quantised = quantised_values(view.graph)
    feeds = {**run.probe.feeds, **dict(engine.run({}, [name for name in inputs if name in dump.tensors]))}
    probe = DeviceProbe(
        run.probe.candidate,
        view.graph,
        view.graph,
        blocks,
        run.probe.thresholds,
        stored=checked.stored,
        fused=tuple(op.nodes for op in dump.ops),
        given=given_otherwise(checked),
        inside=inside,
    )
    needed = {c for s in segments for _, c in (*s.inputs, *s.outputs) if c and c not in feeds}
    total = len(segments)
    walk = walk_through(
        probe, engine.stream(feeds, needed), segments, feeds, lambda done: progress(done, total)
    )
    every = {*view.graph.inputs, *(name for op in view.graph.ops for name in op.outputs)}
    hidden = frozenset(every - dump.tensors.keys())
    tensors = ReferenceTensors(engine, feeds, 0)
    return Run(replace(probe, feeds=run.probe.feeds), tensors, alignment, walk, hidden)


MULTIPLY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""What a device's matrix unit computes: TF32 and float16 products have 11 bits, whatever is stored around."""

MOST = 0.8
"""Share of the erring products that must be right as products of half-precision numbers."""


def multiplied_in_half(run: Run) -> frozenset[str]:
    """The values of a float32 dump whose products are of half-precision numbers (TF32, or float16 inside), as
    their errors tell; none where most of them are not explained by that."""
    erring = [step for step in run.origins if _multiplies(run, step)]
    if not erring or not isinstance(run.probe, DeviceProbe):
        return frozenset()
    every = frozenset(c for step in run.walk.steps if _multiplies(run, step) for _, c in step.segment.outputs)
    probe = replace(run.probe, inside=every)
    right = 0
    for step in erring:
        tensors = dict(run.reference(ends_of(step)))
        right += probe.bench(step.segment, tensors).attempt().agrees
    return every if right >= MOST * len(erring) else frozenset()


def _multiplies(run: Run, step: Step) -> bool:
    return any(run.probe.graph.op(index).type in MULTIPLY for index in step.segment.ops)


def given_otherwise(checked: CheckedDump) -> dict[int, dict[str, DumpedTensor]]:
    """What ops were seen to read that is not what had been made, by the op's index and the value."""
    found: dict[int, dict[str, DumpedTensor]] = {}
    for each in checked.handed:
        for index in each.op.nodes:
            found.setdefault(index, {})[each.value] = each.given
    return found


def in_view(dump: Dump, view: View) -> Dump:
    """The dump with its tensors under the names of the values that are computed, where they repeat one, and
    in program order."""
    order = {name: place for place, name in enumerate(view.values)}
    found = {view.source(name): tensor for name, tensor in dump.tensors.items()}
    found.update({name: tensor for name, tensor in dump.tensors.items() if view.source(name) == name})
    names = sorted(found, key=lambda name: order.get(name, len(order)))
    return replace(dump, tensors={name: found[name] for name in names})


def without_unfed(run: Run, broken: frozenset[str]) -> Run:
    """The run in which nothing is blamed for what it was fed: ``broken`` values, which are not finite (their
    maker is to blame), and our own input where the device was given one of another size."""
    steps = tuple(_without_unfed(run, step, broken) for step in run.walk.steps)
    return replace(run, walk=replace(run.walk, steps=steps))


def _without_unfed(run: Run, step: Step, broken: frozenset[str]) -> Step:
    inputs = {c for _, c in step.segment.inputs}
    if inputs & broken:
        return _unfed(step, "the device fed it NaN or infinite values")
    assumed = inputs & set(run.alignment.candidate.graph.inputs) & run.hidden
    for pair in step.pairs if assumed else ():
        if pair.isolated is not None and pair.isolated.other_shape:
            return _unfed(
                step, f"the device was fed another size than the image has ({pair.isolated.mismatch})"
            )
    return step


def _unfed(step: Step, detail: str) -> Step:
    pairs = tuple(
        replace(pair, judgement=Judgement("unfed", detail=detail))
        if pair.judgement is not None and pair.judgement.fault
        else pair
        for pair in step.pairs
    )
    return replace(step, pairs=pairs)


def seen_from_the_reference(device: Run, network: Run) -> Run:
    """The run with the cumulative errors: how far the device's values are from the reference's own.

    Values without a partner there have none. Raises EngineError where the reference has to run and fails.
    """
    partner = {c: r for r, c in network.alignment.pairs.items()}
    partner.update({c: r for r, c in network.outputs})
    asked = {partner[c]: c for c in device.alignment.pairs if c in partner and c not in device.hidden}
    finals = {c for _, c in device.outputs}
    errors: dict[str, Comparison] = {}
    ends: dict[str, tuple[Tensor, Tensor]] = {}
    for r, tensor in network.reference(asked):
        c = asked[r]
        for _, theirs in device.reference([c]):
            errors[c] = compare_arrays(tensor.array, theirs.array)
            if c in finals:
                ends[c] = tensor, theirs
    steps = tuple(
        replace(step, pairs=tuple(_placed(pair, errors, ends) for pair in step.pairs))
        for step in device.walk.steps
    )
    return replace(device, walk=replace(device.walk, steps=steps, ends=ends))


def _placed(
    pair: PairResult, errors: Mapping[str, Comparison], ends: Mapping[str, tuple[Tensor, Tensor]]
) -> PairResult:
    c = pair.candidate
    changed = mask_changed(*(tensor.array for tensor in ends[c])) if c in ends else None
    return replace(pair, cumulative=errors.get(c), mask_changed=changed)
