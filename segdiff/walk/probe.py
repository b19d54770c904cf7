"""What does a segment do on given tensors, and is that right? The probe runs it, with edits, and judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from segdiff.align import Segment
from segdiff.align.kinds import BOUNDED, drops, is_exact, kind_of
from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array, Graph
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.precision import (
    DEQUANTIZE,
    EPSILON,
    STEP,
    arithmetic,
    disturbed,
    held,
    rounded,
    types_of,
    unit_of,
)
from segdiff.core.thresholds import Thresholds
from segdiff.engines import Blocks, Tensor
from segdiff.engines.protocol import Compared, Part
from segdiff.engines.revived import Candidate
from segdiff.readers.dtypes import numpy_dtype
from segdiff.readers.onnx_quantised import edited
from segdiff.walk import last_bit
from segdiff.walk.beside import Beside
from segdiff.walk.drift import drifted
from segdiff.walk.judge import NOISE_FACTOR, STEP_FACTOR, Judgement, judge
from segdiff.walk.last_bit import SEED, Steps, as_stored, for_each_channel
from segdiff.walk.rounding import roundings
from segdiff.walk.steps import Form
from segdiff.walk.ties import PICKING, picks_equal, takes_another_tie
from segdiff.walk.trial import Trial

DRAWS = 6
"""Disturbances that may show that an element jumps."""


@dataclass(frozen=True)
class Probe:
    """What may run a segment of the candidate.

    ``reference`` and ``graph`` are the graphs of both sides; ``feeds`` the candidate's inputs; ``forms``
    dtype and shape of the candidate's own tensors, as the walk has seen them; ``beside`` runs segments of a
    quantised reference (None of any other).
    """

    candidate: Candidate
    reference: Graph
    graph: Graph
    blocks: Blocks
    thresholds: Thresholds
    feeds: Mapping[str, Tensor] = field(default_factory=dict)
    forms: Mapping[str, Form] = field(default_factory=dict)
    beside: Beside | None = None

    def run(
        self,
        segment: Segment,
        feeds: Mapping[str, Tensor],
        wanted: Iterable[str],
        edits: tuple[Edit, ...] = (),
    ) -> dict[str, Tensor]:
        """The values ``wanted`` that the segment's nodes make of ``feeds``. Raises EngineError.

        Of the ``edits``, those that concern the segment's nodes.
        """
        made = {name for index in segment.nodes for name in self.graph.op(index).outputs}
        own = tuple(edit for edit in edits if edit.place in made)
        got = self.candidate.run(feeds, wanted, segment.nodes, own)
        return {name: self._at_its_scale(name, tensor, own) for name, tensor in got.items()}

    def comparable(self, values: Iterable[str]) -> bool:
        """Whether values are compared where they are made: of quantised ones the numbers are to be had."""
        return not self.graph.quantised.keys() & set(values)

    def compared(self, parts: Sequence[Part[Tensor]]) -> Sequence[Mapping[str, Compared]]:
        """How far what segments make, all in one go, is from the truth. Raises EngineError."""
        return self.candidate.compared(parts)

    def _at_its_scale(self, name: str, tensor: Tensor, edits: tuple[Edit, ...]) -> Tensor:
        """The numbers of a quantised value, where an edit gives its bytes another scale or zero point."""
        how = self.graph.quantised.get(name)
        changed = edited(self.graph, name, edits) if how and edits else None
        if how is None or changed is None or tensor.array.dtype.kind != "f":
            return tensor
        return self.blocks.tensor(changed.numbers(how.integers(tensor.array)))

    def fitting(self, c: str, tensor: Tensor) -> Tensor:
        """A reference tensor in the dtype and shape that the candidate has in its place."""
        declared = self._declared(c, tensor)
        dtype, shape = self.forms.get(c) or (declared, tensor.array.shape)
        if tensor.array.dtype == dtype and tensor.array.shape == shape:
            return tensor
        with np.errstate(over="ignore"):
            array: Array = np.asarray(tensor.array, dtype=dtype)
        if array.size == int(np.prod(shape)) and not turned(array.shape, shape):
            array = array.reshape(shape)
        return self.blocks.tensor(array)

    def _declared(self, c: str, tensor: Tensor) -> np.dtype[Any]:
        """The type that the file gives a value; of a quantised one that of the numbers it stands for."""
        if c in self.graph.quantised:
            return np.dtype(np.float32)
        return numpy_dtype(self.graph.value(c).dtype or tensor.array.dtype.name)

    def unfit(self, c: str, tensor: Tensor) -> bool:
        """Whether the type that the candidate has in its place does not hold a reference tensor, or its bytes
        end before the tensor's numbers do: whoever makes them is to blame."""
        if c in self.graph.quantised and self.ends_before(c, tensor):
            return True
        declared = self._declared(c, tensor)
        return not held(tensor.array, self.forms[c][0] if c in self.forms else declared)

    def ends_before(self, c: str, tensor: Tensor) -> bool:
        """Whether the bytes that the candidate has in its place, or has turned back there, end before a
        reference tensor's numbers do."""
        maker = self.graph.producer.get(c)
        name = maker.inputs[0] if maker is not None and maker.type in DEQUANTIZE else c
        how = self.graph.quantised.get(name) if tensor.array.dtype.kind == "f" else None
        return how is not None and how.cut_off(tensor.array) > STEP_FACTOR * STEP

    def kinds(self, segment: Segment) -> set[str]:
        """Kinds of the segment's ops, of both sides."""
        theirs = {kind_of(self.graph.op(index)) for index in segment.ops}
        return theirs | {kind_of(self.reference.op(index)) for index in segment.reference_ops}

    def judged(
        self,
        segment: Segment,
        comparison: Comparison,
        output: tuple[int, ...],
        inputs: list[tuple[int, ...]],
        disturb: Callable[[], Comparison | None],
        unmoved: Callable[[], float],
        finest: Callable[[], Comparison | None],
    ) -> Judgement:
        """Judge an isolated error of a segment; ``output`` and ``inputs`` are shapes of the run's tensors."""
        kinds = self.kinds(segment)
        drawn = "random" in kinds or any(drops(self.graph, self.graph.op(index)) for index in segment.nodes)
        ours, theirs = map(self.reference.op, segment.reference_ops), map(self.graph.op, segment.ops)
        apart = drawn or takes_another_tie(ours, theirs) or self.exact(segment)
        return judge(
            comparison,
            self.thresholds,
            lambda: None if apart else disturb(),
            bounded=bool(kinds & BOUNDED),
            roundings=roundings(self.graph, segment.ops, inputs, output),
            unit=self.unit(segment),
            unmoved=unmoved,
            finest=finest,
        )

    def exact(self, segment: Segment) -> bool:
        """Whether neither side rounds anything, nor chooses among equals: on equal inputs both are the same,
        and no last bit excuses a difference. The candidate has to read the reference's own types, and keep
        no constant in a coarser one."""
        ops = [*map(self.graph.op, segment.nodes), *map(self.reference.op, segment.reference_ops)]
        if not all(map(is_exact, ops)) or self.unit(segment) > EPSILON:
            return False
        types = [(self.reference.value(r).dtype, self.forms.get(c)) for r, c in segment.inputs]
        return all(form is not None and dtype == form[0].name for dtype, form in types)

    @cached_property
    def arithmetic(self) -> str:
        """The coarsest type that the candidate computes in."""
        return arithmetic(self.graph)

    def alike(self, segment: Segment) -> bool:
        """Whether both sides quantise by the same operators, and the same numbers: then bytes are not a step
        apart."""
        if not last_bit.quantises(self.reference, segment.reference_ops):
            return False
        if not last_bit.quantises(self.graph, segment.ops):
            return False
        ours = sorted(self.reference.op(index).type for index in segment.reference_ops)
        if ours != sorted(self.graph.op(index).type for index in segment.ops):
            return False
        sides = (self.reference, segment.reference_ops), (self.graph, segment.ops)
        return last_bit.same_ranges(*sides) and not last_bit.stored_anew(*sides)

    def unit(self, segment: Segment) -> float:
        """One rounding of the coarsest type that the segment is stored in, on either side."""
        if self.alike(segment):
            return EPSILON
        if last_bit.quantises(self.graph, segment.nodes) or last_bit.quantises(
            self.reference, segment.reference_ops
        ):
            return STEP
        types = types_of(self.graph, segment.nodes) | types_of(self.reference, segment.reference_ops)
        types |= {self.forms[c][0].name for _, c in (*segment.inputs, *segment.outputs) if c in self.forms}
        unit = max(map(unit_of, types), default=EPSILON)
        stored = self.arithmetic if unit <= EPSILON else "float32"
        return unit_of(stored) if rounded(self.graph, segment.nodes, stored) else unit

    def disturb(
        self,
        segment: Segment,
        c: str,
        undisturbed: Array,
        feeds: Mapping[str, Tensor],
        edits: tuple[Edit, ...] = (),
        steps_of: Steps = as_stored,
    ) -> Comparison | None:
        """What the last bit of the segment's inputs does to its output ``c``; None where it does not run.

        ``steps_of`` says how large the steps of quantised weights are. Raises EngineError where that brings
        the candidate's process down.
        """
        graph, unit, alike = self.graph, self.unit(segment), self.alike(segment)
        shaken = {
            name: self.blocks.tensor(
                disturbed(tensor.array, SEED + place)
                if alike
                else self._moved(segment, name, tensor.array, SEED + place, unit)
            )
            for place, (name, tensor) in enumerate(feeds.items())
        }
        moved = edits if alike else last_bit.edits(graph, segment.nodes, edits, steps_of)
        try:
            if unit <= EPSILON and not edits:
                moved += drifted(graph, segment, feeds, lambda names: self.run(segment, feeds, names))
            got = self.run(segment, shaken, [c], moved)[c].array
        except EngineError as error:
            if error.died:
                raise
            return None  # it takes the tensors as they are, but not these
        if c in graph.quantised and not alike:
            got = last_bit.moved(graph, c, got, SEED, unit)
        return compare_arrays(undisturbed, got if alike else self._as_theirs(segment, c, got, feeds))

    def _as_theirs(self, segment: Segment, c: str, got: Array, feeds: Mapping[str, Tensor]) -> Array:
        """A disturbed output, moved besides by what the reference rounds for itself."""
        if got.dtype.kind != "f":
            return got
        if self.beside is not None:
            moved = self.beside.moved(segment, c, feeds)
            fits = moved is not None and moved.size == got.size
            return (
                np.asarray(got + moved.reshape(got.shape), got.dtype) if fits and moved is not None else got
            )
        how = last_bit.written(self.reference, segment, c)
        return got if how is None else np.asarray(got + last_bit.steps(how, got.shape, SEED + 1), got.dtype)

    def disturb_finely(
        self,
        segment: Segment,
        c: str,
        undisturbed: Array,
        feeds: Mapping[str, Tensor],
        edits: tuple[Edit, ...] = (),
    ) -> Comparison | None:
        """The same, had every weight a scale for each channel; None where they have, or none is quantised."""
        if self.alike(segment) or not last_bit.share_a_scale(self.graph, segment.nodes):
            return None
        return self.disturb(segment, c, undisturbed, feeds, edits, for_each_channel)

    def _moved(self, segment: Segment, name: str, array: Array, seed: int, unit: float) -> Array:
        """An input with its last bit disturbed, and by a step where the reference makes bytes of it."""
        found = last_bit.moved(self.graph, name, array, seed, unit)
        how = None if self.beside else last_bit.read(self.reference, segment, name)
        if how is None or found.dtype.kind != "f":
            return found
        return np.asarray(found + last_bit.steps(how, found.shape, seed + 1), found.dtype)

    def unmoved(
        self,
        segment: Segment,
        c: str,
        arrays: tuple[Array, Array],
        feeds: Mapping[str, Tensor],
        edits: tuple[Edit, ...] = (),
    ) -> float:
        """The share of an error that lies where several disturbances move nothing that is worth a word.

        ``arrays`` are the reference's tensor and the candidate's, undisturbed. An index that jumps moves some
        elements by much; a fault is an error of elements that stay where they are. Of integers, which pick
        elements, the share of the others is meant that no disturbance turns into the reference's.
        """
        if arrays[0].dtype.kind in "iub":
            return self._unreached(segment, c, arrays, feeds, edits)
        truth, got = (array.astype(np.float64).reshape(-1) for array in arrays)
        moved = np.zeros(got.size)
        for again in self._draws(segment, c, feeds, edits):
            moved = np.fmax(moved, np.abs(again.astype(np.float64).reshape(-1) - got))
        error = np.abs(got - truth)
        whole = float(error @ error)
        stays = error[error > NOISE_FACTOR * moved]
        return float(stays @ stays) / whole if whole else 0.0

    def _unreached(
        self,
        segment: Segment,
        c: str,
        arrays: tuple[Array, Array],
        feeds: Mapping[str, Tensor],
        edits: tuple[Edit, ...],
    ) -> float:
        if self._picks_equal(segment, c, arrays, feeds, edits):
            return 0.0
        truth, got = (array.reshape(-1) for array in arrays)
        left = other = truth != got
        for again in self._draws(segment, c, feeds, edits):
            left = left & (again.reshape(-1) != truth)
        return float(left.sum() / max(1, other.sum()))

    def _picks_equal(
        self,
        segment: Segment,
        c: str,
        arrays: tuple[Array, Array],
        feeds: Mapping[str, Tensor],
        edits: tuple[Edit, ...],
    ) -> bool:
        """Whether both sides pick elements that are the same numbers, as far as that can be seen."""
        op = self.graph.producer.get(c)
        if op is None or op.type not in PICKING or arrays[0].shape != arrays[1].shape:
            return False
        name = op.inputs[0]
        with suppress(EngineError):
            data = feeds[name] if name in feeds else self.run(segment, feeds, [name], edits)[name]
            return picks_equal(op, data.array, *arrays)
        return False

    def _draws(
        self, segment: Segment, c: str, feeds: Mapping[str, Tensor], edits: tuple[Edit, ...]
    ) -> Iterator[Array]:
        """What the segment makes of inputs whose last bit is disturbed, again and again, where it runs."""
        for seed in range(DRAWS):
            shaken = {
                name: self.blocks.tensor(disturbed(tensor.array, SEED + 1000 * (seed + 1) + place))
                for place, (name, tensor) in enumerate(feeds.items())
            }
            with suppress(EngineError):
                yield self.run(segment, shaken, [c], edits)[c].array

    def bench(self, segment: Segment, tensors: Mapping[str, Tensor]) -> Bench:
        """The segment between the reference's ``tensors``, by the reference's names."""
        feeds = {c: self.fitting(c, tensors[r]) for r, c in segment.inputs if r in tensors}
        truth = {c: tensors[r] for r, c in segment.outputs if r in tensors}
        return Bench(self, segment, feeds, truth)


def turned(ours: tuple[int, ...], theirs: tuple[int, ...]) -> bool:
    """Whether the axes of one are those of the other in another order: whoever turned them is to blame."""
    return ours != theirs and sorted(ours) == sorted(theirs)


@dataclass(frozen=True)
class Bench:
    """One segment with the reference's tensors: ``feeds`` by the candidate's value, ``truth`` as well."""

    probe: Probe
    segment: Segment
    feeds: Mapping[str, Tensor]
    truth: Mapping[str, Tensor]

    def run(self, wanted: Iterable[str], edits: tuple[Edit, ...] = ()) -> dict[str, Tensor]:
        """Values of the segment on the reference's tensors. Raises EngineError."""
        return self.probe.run(self.segment, self.feeds, wanted, edits)

    def attempt(self, edits: tuple[Edit, ...] = ()) -> Trial:
        """Run with the edits; an edit that onnxruntime refuses is a trial with a problem."""
        wanted = [c for _, c in self.segment.outputs if c in self.truth]
        comparisons: dict[str, Comparison] = {}
        try:
            got = self.run(wanted, edits)
            comparisons.update({c: compare_arrays(self.truth[c].array, got[c].array) for c in wanted})
            right = [self.judged(c, got[c], comparisons[c], edits).right for c in wanted]
        except EngineError as error:
            return Trial(False, comparisons, str(error))
        return Trial(all(right), comparisons)

    def judged(self, c: str, got: Tensor, comparison: Comparison, edits: tuple[Edit, ...]) -> Judgement:
        """What an error at the output ``c`` is, ``got`` being what the segment makes with the edits."""
        probe, segment = self.probe, self.segment
        shapes = [tensor.array.shape for tensor in self.feeds.values()]
        return probe.judged(
            segment,
            comparison,
            self.truth[c].array.shape,
            shapes,
            lambda: probe.disturb(segment, c, got.array, self.feeds, edits),
            lambda: probe.unmoved(segment, c, (self.truth[c].array, got.array), self.feeds, edits),
            lambda: probe.disturb_finely(segment, c, got.array, self.feeds, edits),
        )
