"""What has the device done? Its values against the file's, and against the reference's: a report of both.

The file itself was compared with the reference before: what a converter did is not the device's fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from segdiff.align import Segment
from segdiff.align.segments import swallows
from segdiff.core.answer import Cause, OpInfo, Origin, OutputInfo, PairInfo, Reason, Report, State, Verdict
from segdiff.core.device import DeviceInfo
from segdiff.core.errors import EngineError
from segdiff.core.files import ModelFiles
from segdiff.core.kept import KeptTensors
from segdiff.core.metrics import compare_arrays
from segdiff.core.precision import Precision, arithmetic
from segdiff.core.progress import Progress
from segdiff.diagnose.device import explain_device
from segdiff.diagnose.device_layouts import writings
from segdiff.diagnose.reading.difference_map import statistics
from segdiff.finding.device_misread import misread
from segdiff.finding.kept import keep
from segdiff.finding.outputs import SAME, form, op_info
from segdiff.finding.verdict import confirmed, crosses, maker, readers_of
from segdiff.walk import Run, Step
from segdiff.walk.device import (
    multiplied_in_half,
    seen_from_the_reference,
    walked_on_device,
    without_unfed,
)
from segdiff.walk.dump_check import CheckedDump, Handed
from segdiff.walk.steps import PairResult


@dataclass(frozen=True)
class OnDevice:
    """What a dump has shown.

    ``run`` has the device in the reference's place; ``network`` is that of the file against the reference;
    ``causes`` by the segment of an origin; ``kept`` the tensors of a repro; ``reasons`` why something is not
    known.
    """

    run: Run
    network: Run
    dump: CheckedDump
    info: DeviceInfo
    causes: Mapping[Segment, Cause] = field(default_factory=dict)
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


def on_device(
    network: Run, dump: CheckedDump, files: tuple[ModelFiles, ModelFiles], progress: Progress
) -> OnDevice:
    """Everything that the dump can show. Never raises for what an engine does."""
    reasons: list[str] = []
    run = walked_on_device(network, dump, lambda *done: progress("device", *done))
    inside: frozenset[str] = frozenset()
    try:
        inside = multiplied_in_half(run)
    except EngineError as error:
        reasons.append(f"Whether the device multiplies in half precision is not known: {error}")
    if inside:
        run = walked_on_device(network, dump, lambda *done: progress("device", *done), inside)
    run = without_unfed(run, dump.broken)
    try:
        run = seen_from_the_reference(run, network)
    except EngineError as error:
        reasons.append(f"How far the device is from the reference is not known: {error}")
    run, misread_tensors = misread(run)
    total = len(run.origins)
    causes = explain_device(run, misread_tensors, lambda done: progress("explain", done, total))
    kept = keep(files, run) if total else None
    if kept is not None and kept.problem:
        reasons.append(f"Not all that a repro needs was kept: {kept.problem}")
    info = info_of(run, dump, (IN_HALF,) if inside else ())
    return OnDevice(run, network, dump, info, causes, kept, tuple(reasons))


IN_HALF = (
    "It stores float32, but multiplies numbers of half precision (TF32, or float16 in its matrix unit): its "
    "convolutions and products are judged in that."
)


def info_of(run: Run, dump: CheckedDump, more: tuple[str, ...]) -> DeviceInfo:
    """The dump, and how many of the file's ops it shows."""
    size = len(run.alignment.candidate.ops)
    isolated: set[int] = set()
    seen: set[int] = set()
    for step in run.walk.steps:
        judged = all(pair.judgement is not None and pair.judgement.kind != "unfed" for pair in step.pairs)
        ops = step.segment.ops
        alone = judged and not swallows((len(ops), len(ops)), (size, size))
        (isolated if alone else seen).update(ops)
    seen -= isolated
    found = dump.dump
    remarks = (*found.remarks, *undone(dump), *more)
    if not set(run.alignment.candidate.graph.inputs) <= found.tensors.keys():
        remarks += ("The dump holds no input: the device is taken to be fed what the reference is fed.",)
    return DeviceInfo(
        path=found.path,
        form=found.form,
        precision=dump.arithmetic,
        values=len(found.tensors),
        isolated=len(isolated),
        seen=len(seen),
        missing=size - len(isolated) - len(seen),
        remarks=remarks,
        problems=found.problems,
    )


def undone(dump: CheckedDump) -> tuple[str, ...]:
    """What the reader undid, each once, with how often."""
    ways = [way for tensor in dump.dump.tensors.values() for way in tensor.how]
    return tuple(f"{way}: undone in {ways.count(way)} tensors." for way in dict.fromkeys(ways))


def with_device(report: Report, device: OnDevice) -> Report:
    """The report of the file against the reference, with what the device did otherwise."""
    rows = [rows_of(device, step) for step in device.run.walk.steps]
    pairs = tuple(row for group in rows for row in group)
    readers = readers_of(device.run.walk)
    origins = tuple(
        origin_of(device, step, group, confirmed(step, readers))
        for step, group in zip(device.run.walk.steps, rows, strict=True)
        if step.is_origin
    )
    origins += tuple(handovers(device, origins))
    verdict, sentence = decided(report, device, origins, pairs)
    thresholds = device.run.probe.thresholds
    size = max(1, len(device.run.alignment.candidate.ops))
    return replace(
        report,
        verdict=verdict,
        sentence=sentence,
        coverage=(report.coverage[0], round(device.info.isolated / size, 4)),
        outputs=tuple(outputs_of(device)),
        origins=(*report.origins, *origins),
        first_crossing=next((pair for pair in pairs if crosses(thresholds, pair.cumulative)), None),
        pairs=pairs,
        precision=device.precision,
        remarks=(*report.remarks, *other_size(device), *device.reasons),
        device=device.info,
    )


def other_size(device: OnDevice) -> Iterator[str]:
    """A word on a device that was fed another size than the image has here."""
    for name, ours in device.network.probe.feeds.items():
        theirs = device.dump.dump.tensors.get(name)
        if theirs is not None and tuple(theirs.shape) != ours.array.shape:
            yield (
                f"The device was fed {name!r} as {list(theirs.shape)}, and the image gives "
                f"{list(ours.array.shape)}: give the picture in the size that the device was built for."
            )


def decided(
    report: Report, device: OnDevice, origins: tuple[Origin, ...], pairs: tuple[PairInfo, ...]
) -> tuple[Verdict, str]:
    """Verdict and sentence: the device's first, for that is what was asked."""
    if origins:
        return "diverges", f"{blame(origins, device)} {of_the_file(report)}"
    if device.run.walk.problem:
        return "inconclusive", device.run.walk.problem
    told = unless_unseen(device, pairs)
    if told is not None:
        return (
            "diverges" if report.verdict == "diverges" else "inconclusive"
        ), f"{told} {of_the_file(report)}"
    if report.verdict != "agrees":
        return report.verdict, f"{report.sentence} The device computes what the file says{cost(device)}."
    return "agrees", f"The device agrees with the file, and the file with the reference{cost(device)}."


def of_the_file(report: Report) -> str:
    """What the file itself does, against the reference."""
    if report.verdict == "agrees":
        return "The file itself agrees with the reference."
    return f"The file itself: {report.sentence}"


def blame(origins: tuple[Origin, ...], device: OnDevice) -> str:
    """The sentence for a device that departs from the file."""
    first = origins[0]
    size = len(device.run.alignment.candidate.ops)
    if swallows((len(first.candidate_nodes), len(first.candidate_nodes)), (size, size)):
        return (
            f"What the device gives as {first.pair.candidate!r} is not what the file makes of the device's "
            f"input, and the dump holds too little of the {len(first.candidate_nodes)} operators in between: "
            "dump every operator to find the one."
        )
    more = f"; {len(origins) - 1} more further down" if len(origins) > 1 else ""
    return (
        f"The device departs from the file at {first.pair.candidate_op} {first.pair.candidate!r}, "
        f"on its own inputs{more}."
    )


def unless_unseen(device: OnDevice, pairs: tuple[PairInfo, ...]) -> str | None:
    """Why nothing can be said for a device of which nothing errs; None where all of it was seen."""
    unknown = [pair for pair in pairs if pair.state == "unknown" or pair.why.kind == "unfed"]
    info = device.info
    total = info.isolated + info.seen + info.missing
    if unknown:
        count = f"{len(unknown)} of {len(pairs)} values of the dump"
        return f"{count} could not be judged, first {unknown[0].candidate!r}: {unknown[0].why.detail}."
    if not info.isolated and total:
        return (
            "The device's outputs are within what its arithmetic costs, but the dump holds nothing in "
            "between: no operator was run on the device's own tensors."
        )
    if info.missing:
        return f"No operator errs that the dump shows, but {info.missing} of {total} are not in it."
    if any(output.cumulative is None for output in outputs_of(device)):
        name = next(o.candidate for o in outputs_of(device) if o.cumulative is None)
        return f"No operator errs that the dump shows, but output {name!r} is not known."
    return None


def cost(device: OnDevice) -> str:
    """What its arithmetic costs, as the end of a sentence."""
    found = device.precision
    if found is None:
        return ""
    count = f"{found.within} of {found.segments} segments err within that precision"
    told = f": it stores {found.candidate}; {count}"
    if found.mask_changed is not None:
        return f"{told}; {found.mask_changed:.2%} of the mask changes"
    return told if found.final_error is None else f"{told}; the outputs err by {found.final_error:.2g}"


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
    return Origin(worst, ops, ops, inputs, sure, cause)


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


def kept_with(kept: KeptTensors | None, device: OnDevice) -> KeptTensors | None:
    """What outlives the run: around the file's own origins as ever, and around the device's."""
    if kept is None or device.kept is None:
        return kept or device.kept
    return replace(kept, segments={**device.kept.segments, **kept.segments})
