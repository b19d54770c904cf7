"""What does a dump say of each value, of each output, and between two operators? The rows of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from segdiff.align import Segment
from segdiff.core.answer import Cause, Effect, OpInfo, Origin, OutputInfo, PairInfo, Reason, State
from segdiff.core.device import DeviceInfo
from segdiff.core.kept import KeptTensors
from segdiff.core.metrics import compare_arrays
from segdiff.core.precision import Precision, arithmetic
from segdiff.core.thresholds import crosses
from segdiff.diagnose.device_layouts import writings
from segdiff.diagnose.reading.difference_map import statistics
from segdiff.finding.outputs import SAME, form, op_info
from segdiff.finding.verdict import maker
from segdiff.walk import Run, Step
from segdiff.walk.dump_check import CheckedDump, Handed
from segdiff.walk.steps import PairResult


@dataclass(frozen=True)
class OnDevice:
    """What a dump has shown.

    ``run`` has the device in the reference's place; ``network`` is that of the file against the reference;
    ``causes`` and ``effects`` by the segment of an origin; ``kept`` the tensors of a repro; ``reasons`` why
    something is not known.
    """

    run: Run
    network: Run
    dump: CheckedDump
    info: DeviceInfo
    causes: Mapping[Segment, Cause] = field(default_factory=dict)
    effects: Mapping[Segment, Effect] = field(default_factory=dict)
    kept: KeptTensors | None = None
    reasons: tuple[str, ...] = ()

    @property
    def precision(self) -> Precision | None:
        """What the device's arithmetic costs; None where it is float32, as the reference's."""
        ours, theirs = arithmetic(self.network.probe.reference), self.info.precision
        if {ours, theirs} <= {"float32"}:
            return None
        steps = self.run.walk.steps
        judged = [step for step in steps if all(pair.judgement is not None for pair in step.pairs)]
        found = [output for output in outputs_of(self) if output.cumulative is not None]
        errors = [o.cumulative.metrics.rel_l2 for o in found if o.cumulative and not o.cumulative.mismatch]
        changed = [o.mask_changed for o in found if o.mask_changed is not None]
        return Precision(
            ours,
            theirs,
            len(steps),
            sum(not step.is_origin for step in judged),
            max(errors, default=None),
            max(changed, default=None),
        )


def rows_of(device: OnDevice, step: Step) -> tuple[PairInfo, ...]:
    """The rows of one step."""
    return tuple(row_of(device, step, pair) for pair in step.pairs)


def row_of(device: OnDevice, step: Step, pair: PairResult) -> PairInfo:
    """A value of the dump: the reference's, where it has a partner there, against the device's."""
    c = pair.candidate
    alignment = device.network.alignment
    partner = {c: r for r, c in alignment.pairs.items()} | {c: r for r, c in alignment.output_values}
    r = partner.get(c)
    state, why = state_of(device, step, pair)
    return PairInfo(
        reference=c if r is None else r,
        candidate=c,
        reference_op=maker(alignment.candidate if r is None else alignment.reference, c if r is None else r),
        candidate_op=maker(alignment.candidate, c),
        shape=pair.shape,
        evidence=("dumped", *(alignment.evidence.get(r, ()) if r is not None else ())),
        state=state,
        cumulative=pair.cumulative,
        isolated=pair.isolated,
        noise=pair.judgement.noise if pair.judgement else None,
        why=why,
    )


def state_of(device: OnDevice, step: Step, pair: PairResult) -> tuple[State, Reason]:
    """The verdict on one value of the dump, and why."""
    found = pair.judgement
    if found is None:
        return "unknown", Reason("unmeasured", detail=step.problem or "not measured")
    told = Reason(found.kind, found.times, found.detail)
    if found.fault:
        return "origin", told
    if found.kind == "unsure":
        return "unknown", told
    if found.kind == "unfed":
        return "inherited", told
    if crosses(device.run.probe.thresholds, pair.cumulative):
        return "inherited", Reason("inherited")
    return "clean", told


def origin_of(device: OnDevice, step: Step, rows: tuple[PairInfo, ...], sure: bool) -> Origin:
    """One operator that the device computes otherwise."""
    worst = max(
        rows, key=lambda row: (row.state == "origin", row.isolated.metrics.rel_l2 if row.isolated else 0.0)
    )
    graph = device.run.probe.graph
    ops: tuple[OpInfo, ...] = tuple(op_info(graph.op(index)) for index in step.segment.ops)
    inputs = tuple((c, c) for _, c in step.segment.inputs)
    cause = device.causes.get(step.segment)
    effect = device.effects.get(step.segment)
    return Origin(worst, ops, ops, inputs, sure, cause, effect)


def handovers(device: OnDevice, origins: tuple[Origin, ...]) -> Iterator[Origin]:
    """What changed between two operators of the device, each value once: whoever made it was right."""
    blamed = {origin.pair.candidate for origin in origins}
    graph, view = device.run.probe.graph, device.network.alignment.candidate
    for each in device.dump.handed:
        if each.value in blamed:
            continue
        blamed.add(each.value)
        ops = tuple(op_info(graph.op(index)) for index in sorted(each.op.nodes))
        pair = PairInfo(
            reference=each.value,
            candidate=each.value,
            reference_op=maker(view, each.value),
            candidate_op=ops[0].type,
            shape=each.made.shape,
            evidence=("dumped",),
            state="origin",
            cumulative=None,
            isolated=each.comparison,
            why=Reason("differs"),
        )
        yield Origin(pair, ops, ops, ((each.value, each.value),), True, handed_over(each))


def handed_over(each: Handed) -> Cause:
    """Why an operator was given another tensor than was made."""
    made, given = each.made.load(), each.given.load()
    before = each.comparison.metrics
    for words, array in writings(made, given.shape):
        after = compare_arrays(given, array)
        if not after.mismatch and after.metrics.rel_l2 < SAME:
            text = f"{each.op.name!r} was given the tensor in another layout than it was made in: {words}."
            return Cause("device.layout", text, True, after.metrics, before)
    text = (
        f"{each.op.name!r} was given another tensor than the operator before it had made "
        f"({statistics(given)}; made were {statistics(made)})."
    )
    return Cause("device.handover", text, True, None, before)


def outputs_of(device: OnDevice) -> list[OutputInfo]:
    """The model's outputs: the reference's against the device's."""
    alignment = device.network.alignment
    ours, theirs = alignment.reference, alignment.candidate
    found = []
    errors = {pair.candidate: pair for step in device.run.walk.steps for pair in step.pairs}
    for i, j in alignment.outputs:
        c = theirs.outputs[j]
        ends = device.run.walk.ends.get(c)
        forms = (form(ends[0].array), form(ends[1].array)) if ends else (None, None)
        pair = errors.get(c)
        found.append(
            OutputInfo(
                ours.graph.outputs[i],
                theirs.graph.outputs[j],
                pair.cumulative if pair else None,
                pair.mask_changed if pair else None,
                forms,
                (i, j),
            )
        )
    return found
