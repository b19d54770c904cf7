"""Does the candidate give what the reference gives, output for output, in that order and form?

The walk says which operators err. What it does not see is what a user reads: outputs in another order, one
lost or added, one of another shape or type, a tail of operators that only one side has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from segdiff.align import Segment
from segdiff.align.outputs import names_agree
from segdiff.core.answer import Cause, OpInfo, Origin, OutputInfo, PairInfo, Reason, TensorForm
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array, Graph, Op
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.outlets import Outlet, Outlets
from segdiff.core.precision import unit_of
from segdiff.finding.outlets import built, in_form, outlet, shown, whole
from segdiff.finding.output_words import described, nth, source_of
from segdiff.finding.relations import agree, rounds
from segdiff.finding.rows import only_reordered, other_order
from segdiff.finding.tails import cut_tails
from segdiff.walk import Run, Step
from segdiff.walk.masks import mask_changed

SAME = 1e-4
"""Relative error below which two outputs are one for whoever reads the one in the other's place."""


@dataclass(frozen=True)
class End:
    """A pair of outputs by their places, with their tensors as both models give them (None: not known)."""

    places: tuple[int, int]
    names: tuple[str, str]
    values: tuple[str, str]
    ours: Array | None
    theirs: Array | None

    @property
    def comparison(self) -> Comparison | None:
        """The cumulative error."""
        if self.ours is None or self.theirs is None:
            return None
        return compare_arrays(self.ours, self.theirs)


@dataclass(frozen=True)
class Endings:
    """What became of the outputs.

    ``outputs`` as they are paired, then those without a partner; ``origins`` what no operator of the walk is
    to blame for; ``causes`` of origins of the walk that an output's form tells, and ``otherwise`` causes that
    stand where the diagnosis proves none; ``remarks`` what is harmless.
    """

    outputs: tuple[OutputInfo, ...] = ()
    origins: tuple[Origin, ...] = ()
    causes: Mapping[Segment, Cause] = field(default_factory=dict)
    otherwise: Mapping[Segment, Cause] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


NOT_LOOKED_AT = Endings()


def endings(run: Run) -> tuple[Run, Endings]:
    """Compare every output; returns the run with a tail that only the candidate has cut off, too.

    Never raises for what an engine does: an output that cannot be had is unmeasured.
    """
    if run.walk.problem:
        return run, Endings(outputs=tuple(infos(run, partner_outputs(run, fetch=False))))
    ends = partner_outputs(run, fetch=True)
    remarks: list[str] = []
    run, causes, otherwise = cut_tails(run, remarks)
    causes = {**causes, **other_order(run, frozenset(causes), remarks)}
    blamed = {pair for step in run.origins for pair in step.segment.outputs}
    listed = whole(run, {end.places[0]: end.places[1] for end in ends})
    origins = [*exchanged(run, ends, listed), *unpaired(run, listed)]
    for end in ends:
        if end.values not in blamed:
            origins += misformed(run, end, remarks)
        remarks += rows_apart(run, end, causes)
    return run, Endings(
        outputs=tuple(infos(run, ends)),
        origins=tuple(origins),
        causes=causes,
        otherwise=otherwise,
        remarks=(*remarks, *names_crossed(ends)),
    )


def rows_apart(run: Run, end: End, causes: Mapping[Segment, Cause]) -> Iterator[str]:
    """A word on rows in another order, where operators are to blame for it."""
    told = any(cause.kind == "rows.order" for cause in causes.values())
    if not run.origins or told or end.ours is None or end.theirs is None:
        return
    said = only_reordered(end.names[1], end.ours, end.theirs)
    if said is not None:
        yield said


def partner_outputs(run: Run, *, fetch: bool) -> list[End]:
    """The outputs that are partners; with ``fetch`` with their tensors: what the walk has not seen comes from
    one more run of its model."""
    ours, theirs = run.alignment.reference, run.alignment.candidate
    places = run.alignment.outputs
    mine: dict[str, Array] = {}
    other: dict[str, Array] = {}
    if fetch:
        mine = known(ours.graph, {**run.reference.feeds, **run.reference.held})
        seen = {c: tensors[1] for c, tensors in run.walk.ends.items()}
        other = known(theirs.graph, {**run.probe.feeds, **seen})
        missing = [ours.outputs[i] for i, _ in places if ours.outputs[i] not in mine]
        absent = [theirs.outputs[j] for _, j in places if theirs.outputs[j] not in other]
        try:
            mine |= {name: t.array for name, t in run.reference(missing)} if missing else {}
            if absent:
                got = run.probe.candidate.run(run.probe.feeds, dict.fromkeys(absent))
                other |= {name: tensor.array for name, tensor in got.items()}
        except EngineError:
            pass  # they stay unmeasured, and the verdict says so
    return [
        End(
            (i, j),
            (ours.graph.outputs[i], theirs.graph.outputs[j]),
            (ours.outputs[i], theirs.outputs[j]),
            mine.get(ours.outputs[i]),
            other.get(theirs.outputs[j]),
        )
        for i, j in places
    ]


def references(run: Run) -> list[Array | None]:
    """The reference's outputs in their order, also those without a partner. Raises EngineError."""
    view = run.alignment.reference
    mine = known(view.graph, {**run.reference.feeds, **run.reference.held})
    missing = [name for name in view.outputs if name not in mine]
    mine |= {name: tensor.array for name, tensor in run.reference(missing)} if missing else {}
    return [mine.get(name) for name in view.outputs]


def known(graph: Graph, tensors: Mapping[str, object]) -> dict[str, Array]:
    """Tensors by name; an output that is a constant of the file needs no run."""
    found = {name: graph.parameters[name].load() for name in graph.outputs if name in graph.parameters}
    return found | {name: tensor.array for name, tensor in tensors.items()}  # type: ignore[attr-defined]


def infos(run: Run, ends: list[End]) -> Iterator[OutputInfo]:
    """The rows of the report: pairs in the reference's order, then what has no partner."""
    measured = {(p.reference, p.candidate): p for step in run.walk.steps for p in step.pairs}
    for end in ends:
        pair = measured.get(end.values)
        found = pair.cumulative if pair and pair.cumulative else end.comparison
        changed = pair.mask_changed if pair else None
        if changed is None and end.ours is not None and end.theirs is not None:
            changed = mask_changed(end.ours, end.theirs)
        yield OutputInfo(*end.names, found, changed, (form(end.ours), form(end.theirs)), end.places)
    ours, theirs = run.alignment.reference.graph, run.alignment.candidate.graph
    for i in alone(run)[0]:
        yield OutputInfo(ours.outputs[i], "", None, None, places=(i, None))
    for j in alone(run)[1]:
        yield OutputInfo("", theirs.outputs[j], None, None, places=(None, j))


def form(array: Array | None) -> TensorForm | None:
    """Shape and dtype of a tensor."""
    return None if array is None else TensorForm(tuple(array.shape), str(array.dtype))


def alone(run: Run) -> tuple[list[int], list[int]]:
    """The places of the outputs of either side that have no partner."""
    paired = run.alignment.outputs
    ours = range(len(run.alignment.reference.outputs))
    theirs = range(len(run.alignment.candidate.outputs))
    return (
        [i for i in ours if i not in {i for i, _ in paired}],
        [j for j in theirs if j not in {j for _, j in paired}],
    )


# --- order


def exchanged(run: Run, ends: list[End], listed: Outlets | None) -> Iterator[Origin]:
    """One finding for all outputs that stand in another order, where a reader would notice; ``listed`` are
    the outputs as they should be."""
    order = [end.places[1] for end in ends]
    if order == sorted(order):
        return
    at_place = dict(zip([end.places[0] for end in ends], sorted(order), strict=True))
    theirs = {end.places[1]: end for end in ends}
    moved = []
    for end in ends:
        rival = theirs[at_place[end.places[0]]]
        if rival is not end and noticed(end, rival):
            moved.append((end, rival))
    if not moved:
        return
    graph = run.alignment.candidate.graph
    told = ", ".join(
        f"its {nth(j)} ({graph.outputs[j]!r}) is the reference's {nth(i)}"
        for i, j in (end.places for end, _ in moved[:4])
    )
    by_name = all(names_agree(*end.names) for end, _ in moved)
    hint = "Who reads them by name gets the right ones" if by_name else "Their names do not tell, either"
    text = (
        f"The candidate gives its outputs in another order: {told}. {hint}; by position they are exchanged."
    )
    end, rival = moved[0]
    faulty = {pair for step in run.origins for pair in step.segment.outputs}
    wrong = (
        compare_arrays(end.ours, rival.theirs) if end.ours is not None and rival.theirs is not None else None
    )
    right = end.comparison
    cause = Cause(
        "output.order",
        text,
        all(each.values not in faulty for each, _ in moved),
        right.metrics if right else None,
        wrong.metrics if wrong else None,
        ends=listed,
    )
    yield origin(run, (end.values[0], rival.values[1]), (end.names[0], rival.names[1]), wrong, cause)


def noticed(end: End, rival: End) -> bool:
    """Whether who reads the rival in the partner's place gets other numbers, of the reference even."""
    if end.ours is None or rival.ours is None:
        return True
    wrong = compare_arrays(end.ours, rival.ours)
    return wrong.mismatch is not None or wrong.metrics.rel_l2 > SAME


def names_crossed(ends: list[End]) -> Iterator[str]:
    """A word on names that say otherwise than order and content."""
    for end in ends:
        other = next((e for e in ends if e is not end and names_agree(end.names[0], e.names[1])), None)
        if other and end.places[0] == end.places[1] and not names_agree(*end.names) and noticed(end, other):
            yield (
                "The candidate's outputs stand in the reference's order, under exchanged names: "
                f"{end.names[1]!r} is the reference's {end.names[0]!r}."
            )
            return


# --- lost and added


def unpaired(run: Run, listed: Outlets | None) -> Iterator[Origin]:
    """A finding for each output that only one side has; ``listed`` are the outputs as they should be."""
    ours, theirs = run.alignment.reference, run.alignment.candidate
    backward = {c: r for r, c in run.alignment.pairs.items()}
    for i in alone(run)[0]:
        name, value = ours.graph.outputs[i], ours.outputs[i]
        inner = run.alignment.pairs.get(value, "")
        has = (
            f"it computes it, as {inner!r}, but does not give it out"
            if inner
            else "nothing in it computes it"
        )
        text = f"The candidate lacks the reference's {nth(i)} output, {name!r}: {has}."
        cause = Cause("output.missing", text, True, ends=listed)
        yield origin(run, (value, inner), (name, inner), None, cause)
    for j in alone(run)[1]:
        name, value = theirs.graph.outputs[j], theirs.outputs[j]
        inner = backward.get(value, "")
        has = f"the reference has it inside, as {inner!r}" if inner else "nothing in the reference is like it"
        text = f"The candidate has an output more than the reference, its {nth(j)}, {name!r}: {has}."
        cause = Cause("output.extra", text, True, ends=listed)
        yield origin(run, (inner, value), (inner, name), None, cause)


# --- form


def misformed(run: Run, end: End, remarks: list[str]) -> Iterator[Origin]:
    """A finding where an output that no operator is to blame for has another form or value."""
    if end.ours is None or end.theirs is None:
        return
    found = end.comparison
    assert found is not None
    forms = f"the reference gives {described(end.ours)}, the candidate {described(end.theirs)}"
    name, same_shape = repr(end.names[1]), end.ours.shape == end.theirs.shape
    cause = None
    unit = max(unit_of(array.dtype.name) for array in (end.ours, end.theirs))
    if not walked(run, end) and not (agree(found, unit) and rounds(run, end.values[0], found, unit)):
        source = source_of(run, end.values)
        words = f"Output {name} is another ({found.mismatch or found.metrics}): {forms}; {source}."
        cause = remade(run, end, Cause("output.value", words, False, None, found.metrics))
    elif found.mismatch:
        return
    elif not same_shape and end.ours.size > 1:
        cause = Cause("output.shape", f"Output {name} has another shape: {forms}.", True, found.metrics)
        cause = replace(cause, ends=formed(run, end))
    elif group(end.ours) != group(end.theirs):
        cause = Cause("output.dtype", f"Output {name} has another type: {forms}.", True, found.metrics)
        cause = replace(cause, ends=formed(run, end))
    elif not same_shape or end.ours.dtype != end.theirs.dtype:
        remarks.append(f"Of output {name} {forms}.")
    if cause is not None:
        yield origin(run, end.values, end.names, found, cause)


def formed(run: Run, end: End) -> Outlet | None:
    """The output in the form of the reference's, where a cast and axes of length one make it so."""
    assert end.ours is not None and end.theirs is not None
    return outlet(run, end.values[1], in_form(run, end.values[1], end.theirs, end.ours))


def remade(run: Run, end: End, cause: Cause) -> Cause:
    """The cause of an output that nothing computes, proven where the reference's constant or operators in its
    place give what the reference gives."""
    others = {r: c for r, c in run.alignment.pairs.items() if r != end.values[0]}
    made = built(run, end.values[0], others)
    got = None if made is None else shown(run, end.names[1], made)
    if got is None or end.ours is None:
        return cause
    after = compare_arrays(end.ours, got)
    if not agree(after, unit_of(got.dtype.name)):
        return cause
    what = run.alignment.reference.graph.producer.get(end.values[0])
    held = f"what the reference's {what.type} gives" if what else "what the reference has"
    text = f"{cause.text} With {held} in its place it is right."
    ends = outlet(run, end.names[1], made)
    return replace(cause, text=text, proven=True, residual=after.metrics, ends=ends)


def walked(run: Run, end: End) -> bool:
    """Whether the walk has judged what makes the output."""
    return any(
        (p.reference, p.candidate) == end.values and p.judgement for s in run.walk.steps for p in s.pairs
    )


def group(array: Array) -> str:
    """Floats are read as floats, whatever their width; integers and truth values as numbers that count."""
    return "f" if array.dtype.kind == "f" else "i"


def origin(
    run: Run,
    values: tuple[str, str],
    names: tuple[str, str],
    error: Comparison | None,
    cause: Cause,
) -> Origin:
    """A finding in the form of every other one: the operators that make the two values."""
    ours, theirs = run.alignment.reference, run.alignment.candidate
    makers = ours.graph.producer.get(values[0]), theirs.graph.producer.get(values[1])
    shown = end_shape(run, values[0])
    pair = PairInfo(
        reference=names[0],
        candidate=names[1],
        reference_op=makers[0].type if makers[0] else "",
        candidate_op=makers[1].type if makers[1] else "",
        shape=shown,
        evidence=(),
        state="origin",
        cumulative=error,
        isolated=error,
        why=Reason("output"),
    )
    before, after = (tuple(op_info(op) for op in [maker] if op) for maker in makers)
    return Origin(pair, before, after, (), confirmed=cause.proven, cause=cause)


def end_shape(run: Run, name: str) -> tuple[int, ...]:
    """The shape of a reference output, as far as it is known."""
    held = run.reference.held.get(name) or run.reference.feeds.get(name)
    return tuple(held.array.shape) if held else ()


def op_info(op: Op) -> OpInfo:
    """An operator for the report."""
    return OpInfo(op.type, op.name, op.outputs, dict(op.attributes))


def without(run: Run, causes: Mapping[Segment, Cause]) -> Run:
    """The run without the origins whose cause is known already, for the diagnosis of the others."""
    steps: list[Step] = [step for step in run.walk.steps if step.segment not in causes]
    return replace(run, walk=replace(run.walk, steps=tuple(steps)))
