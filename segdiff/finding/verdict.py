"""What do the measurements add up to? From the walk's steps to the report.

*agrees* needs every segment clean: then the candidate, step by step from the reference's own tensors, is the
reference. *diverges* needs an origin. Anything less is *inconclusive*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from segdiff.align import Alignment, Segment
from segdiff.align.kinds import drops, kind_of
from segdiff.align.view import View
from segdiff.core.answer import (
    ModelInfo,
    OpInfo,
    Origin,
    PairInfo,
    Reason,
    Report,
    State,
)
from segdiff.core.measured import Inner, Measured
from segdiff.core.precision import Precision
from segdiff.core.thresholds import CROSSING, crosses
from segdiff.finding.decide import compared, cost_of, decide, with_input, with_optimisers
from segdiff.finding.findings import Findings
from segdiff.finding.outputs import SAME, op_info
from segdiff.walk import PairResult, Run, Step, Walk
from segdiff.walk.judge import NOISE_FACTOR
from segdiff.walk.same import not_run
from segdiff.walk.steps import Own

COARSE = 1e-3
"""From this share of a value on, its own rounding is worth a word."""


LIST_OPS = "builtin."
"""How the ops of a PIR program begin that put tensors into lists and take them out."""


def conclude(findings: Findings) -> Report:
    """The report, its timing left open."""
    alignment, walk = findings.alignment, findings.walk
    rows = [pair_infos(findings, step) for step in walk.steps]
    pairs = [pair for infos in rows for pair in infos]
    readers = readers_of(walk)
    origins = tuple(
        origin_of(findings, step, infos, readers)
        for step, infos in zip(walk.steps, rows, strict=True)
        if is_finding(findings, step)
    )
    origins += findings.endings.origins
    if findings.refused is not None:
        origins = (findings.refused, *besides(findings.refused, origins))
    crossing = next((pair for pair in pairs if crosses(findings.thresholds, pair.cumulative)), None)
    share = compared(findings.run)
    verdict, sentence, more = decide(findings, origins, share, pairs)
    remarks = (*remarks_on(findings, pairs), *findings.endings.remarks, *more)
    verdict, sentence = with_optimisers(findings.optimised, verdict, sentence)
    verdict, sentence = with_input(findings.as_fed, verdict, sentence)
    ours, theirs = alignment.reference, alignment.candidate
    known = {*alignment.pairs, *(r for r, _ in alignment.output_values)}
    partners = {*alignment.pairs.values(), *(c for _, c in alignment.output_values)}
    return Report(
        verdict=verdict,
        sentence=sentence,
        coverage=(round(share[0], 4), round(share[1], 4)),
        reference=ModelInfo(ours.graph.path, ours.graph.format, len(ours.ops)),
        candidate=ModelInfo(theirs.graph.path, theirs.graph.format, len(theirs.ops)),
        thresholds={
            "cosine": findings.thresholds.cosine,
            "abs_error": findings.thresholds.abs_error,
            "rel_l2": findings.thresholds.rel_l2,
            "noise_factor": NOISE_FACTOR,
        },
        outputs=findings.outputs,
        origins=origins + findings.optimised.origins,
        together=findings.weights.together,
        as_fed=findings.as_fed,
        precision=findings.precision,
        measured=measured(findings.run),
        first_crossing=crossing,
        pairs=tuple(pairs),
        unmatched=(
            tuple(name for name in ours.values if name not in known),
            tuple(name for name in theirs.values if name not in partners),
        ),
        input_findings=findings.how,
        remarks=remarks + (() if findings.refused else findings.optimised.remarks) + findings.reasons,
    )


INNER: Mapping[Own, Inner] = {
    "everywhere": "all",
    "from the first origin": "from_first_origin",
    "nowhere": "none",
}


def measured(run: Run) -> Measured | None:
    """Which errors the run has; None where the reference did not get to the end."""
    if run.walk.problem:
        return None
    whole = run.whole is not None and run.whole.acquitted and run.walk.own != "everywhere"
    same = sum(len(step.pairs) for step in run.walk.steps if not_run(step))
    return Measured(INNER[run.walk.own], "as_deployed" if whole else "as_written", same)


def besides(refused: Origin, origins: tuple[Origin, ...]) -> tuple[Origin, ...]:
    """What was found in a file that does not run.

    Where a change makes it run and its outputs agree then, their form is right: the walk has fed segments
    what the file itself does not make. Nor does an operator stand there that could not be put to the proof:
    what does not run leaves wrong pairs unmended.
    """
    residual = refused.cause.residual if refused.cause else None
    if residual is None or not residual.rel_l2 < SAME:
        return origins
    proven = (origin for origin in origins if origin.confirmed)
    return tuple(o for o in proven if o.cause is None or not o.cause.kind.startswith("output."))


def is_finding(findings: Findings, step: Step) -> bool:
    """Whether a step is an origin, and not just the reference drawing other numbers."""
    return step.is_origin and not draws(findings, step)


def draws(findings: Findings, step: Step) -> bool:
    """Whether the segment draws random numbers on the reference's side."""
    graph = findings.graphs[0]
    ops = map(graph.op, step.segment.reference_ops)
    return any(kind_of(op) == "random" or drops(graph, op) for op in ops)


def pair_infos(findings: Findings, step: Step) -> list[PairInfo]:
    """The rows of one step."""
    ours, theirs = findings.alignment.reference, findings.alignment.candidate
    found = []
    for pair in step.pairs:
        state, reason = state_of(findings, step, pair)
        found.append(
            PairInfo(
                reference=pair.reference,
                candidate=pair.candidate,
                reference_op=maker(ours, pair.reference),
                candidate_op=maker(theirs, pair.candidate),
                shape=pair.shape,
                evidence=findings.alignment.evidence.get(pair.reference, ()),
                state=state,
                cumulative=pair.cumulative,
                isolated=pair.isolated,
                noise=pair.judgement.noise if pair.judgement else None,
                why=reason,
            )
        )
    return found


def state_of(findings: Findings, step: Step, pair: PairResult) -> tuple[State, Reason]:
    """The verdict on one pair, and why."""
    found = pair.judgement
    if found is None:
        return "unknown", Reason("unmeasured", detail=step.problem or "not measured")
    if found.fault and draws(findings, step):
        return "unknown", Reason("random", detail="random numbers")
    told = Reason(found.kind, found.times, found.detail)
    if found.fault:
        return "origin", told
    if found.kind == "unsure":
        return "unknown", told
    if found.kind == "unfed":
        return "inherited", told
    if crosses(findings.thresholds, pair.cumulative) and found.kind not in ("tie", "harmless"):
        return "inherited", Reason("inherited")
    return "clean", told


def uncertainty(pair: PairInfo) -> float:
    """A value's own rounding relative to it, as far as it was measured; nothing for integers."""
    known = pair.noise is not None and not pair.noise.discrete and not pair.noise.mismatch
    return pair.noise.metrics.rel_l2 if known and pair.noise else 0.0


def maker(view: View, name: str) -> str:
    """The type of the op that writes a value; of one taken out of a list the op that made the list."""
    op = view.producer.get(name) or view.graph.producer.get(name)
    while op is not None and op.type.startswith(LIST_OPS) and op.inputs:
        op = view.graph.producer.get(op.inputs[0])
    return op.type if op else "input"


Readers = Mapping[tuple[str, str], list[Step]]
"""The steps that start from each pair."""


def readers_of(walk: Walk) -> Readers:
    """Which steps start from which pairs."""
    found: dict[tuple[str, str], list[Step]] = defaultdict(list)
    for step in walk.steps:
        for pair in dict.fromkeys(step.segment.inputs):
            found[pair].append(step)
    return found


def origin_of(findings: Findings, step: Step, infos: list[PairInfo], readers: Readers) -> Origin:
    """One origin, with the operators of both sides; ``infos`` are the rows of its step."""
    worst = max(infos, key=lambda pair: (pair.state == "origin", error_of(pair)))
    ours, theirs = segment_ops(step.segment, findings.alignment)
    inside = findings.inside.get(step.segment)
    inner = segment_ops(inside.step.segment, inside.alignment) if inside else ((), ())
    return Origin(
        pair=worst,
        reference_ops=(*ours, *inner[0]),
        candidate_nodes=(*theirs, *inner[1]),
        inside=inside.path if inside else (),
        inputs=step.segment.inputs,
        confirmed=step.segment not in findings.walk.unproven and confirmed(step, readers),
        cause=findings.causes.get(step.segment),
        effect=findings.weights.alone.get(step.segment),
    )


def segment_ops(segment: Segment, alignment: Alignment) -> tuple[tuple[OpInfo, ...], tuple[OpInfo, ...]]:
    """The operators of a segment, the reference's and the candidate's."""
    ours, theirs = alignment.reference.graph, alignment.candidate.graph
    return (
        tuple(op_info(ours.op(index)) for index in segment.reference_ops),
        tuple(op_info(theirs.op(index)) for index in segment.ops),
    )


def error_of(pair: PairInfo) -> float:
    """Relative error, for picking the worst of several outputs."""
    return pair.isolated.metrics.rel_l2 if pair.isolated else 0.0


def confirmed(origin: Step, readers: Readers) -> bool:
    """Whether every segment that reads the origin's values agrees on the reference's tensors."""
    reading = [step for pair in origin.segment.outputs for step in readers.get(pair, ())]
    behind = [step for step in reading if step is not origin]
    return all(not step.is_origin and step.problem is None for step in behind)


def retyped(findings: Findings) -> Iterator[str]:
    """A word on inputs that the candidate takes in another width than the reference."""
    run = findings.run
    partner = {c: r for r, c in findings.alignment.pairs.items()}
    for name, tensor in run.probe.feeds.items():
        given = run.reference.feeds.get(partner.get(name, ""))
        if given is not None and given.array.dtype != tensor.array.dtype:
            yield (
                f"The candidate takes {name!r} as {tensor.array.dtype} and was fed it so; "
                f"the reference takes {given.array.dtype}."
            )


def remarks_on(findings: Findings, pairs: list[PairInfo]) -> list[str]:
    """What else one should know."""
    remarks = list(retyped(findings))
    if findings.precision is not None and findings.walk.diverges:
        remarks += remarks_on_precision(findings.precision, pairs)
    drawing = [step for step in findings.walk.steps if step.is_origin and draws(findings, step)]
    if drawing:
        graph = findings.graphs[0]
        ops = [graph.op(i) for step in drawing for i in step.segment.reference_ops]
        op = next(op for op in ops if kind_of(op) == "random" or drops(graph, op))
        remarks.append(
            f"The reference is random at inference: {op.type} {op.outputs[0]!r} draws new numbers "
            "on every run."
        )
    elif findings.random:
        remarks.append(f"The reference disagrees with itself on a second run, at {findings.random[0]!r}.")
    ties = [pair for pair in pairs if pair.why.kind == "tie"]
    if ties:
        remarks.append(f"{len(ties)} values pick other elements where two are equal within rounding (ties).")
    coarse = [pair for pair in pairs if pair.state == "clean" and uncertainty(pair) > COARSE]
    if coarse:
        others = f", and {len(coarse) - 1} more values" if len(coarse) > 1 else ""
        remarks.append(
            f"The last bit of its inputs moves {coarse[0].candidate!r} by {uncertainty(coarse[0]):.2g} "
            f"of its size{others}: a smaller fault could not be told from rounding there."
        )
    inherited = [pair for pair in pairs if pair.state == "inherited"]
    if inherited and not any(pair.state == "origin" for pair in pairs) and not drawing:
        remarks.append(
            f"Rounding grows on its way: from {inherited[0].candidate!r} on it is visible, "
            "though every operator is right on equal inputs."
        )
    return remarks


def remarks_on_precision(found: Precision, pairs: list[PairInfo]) -> list[str]:
    """What half precision or quantisation costs beside the faults, and where a fault does not show."""
    told = cost_of(found)
    remarks = [f"{told[:1].upper()}{told[1:]}."]
    infinite = any(pair.state == "origin" and pair.cumulative and pair.cumulative.mismatch for pair in pairs)
    if infinite and found.final_error is not None and found.final_error < (CROSSING.rel_l2 or 0.0):
        remarks.append(
            f"onnxruntime's CPU keeps float32 between the operators, so the outputs err by no more than "
            f"{found.final_error:.2g} here; a device that stores each value as the file says shows the fault."
        )
    return remarks
