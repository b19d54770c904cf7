"""What do the measurements add up to? From the walk's steps to the report.

*agrees* needs every segment clean: then the candidate, step by step from the reference's own tensors, is the
reference. *diverges* needs an origin. Anything less is *inconclusive*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from segdiff.align import Alignment, Segment, coverage
from segdiff.align.kinds import kind_of
from segdiff.align.view import View
from segdiff.core.answer import (
    AsFed,
    Cause,
    ModelInfo,
    OpInfo,
    Origin,
    OutputInfo,
    PairInfo,
    Precision,
    Reason,
    Report,
    State,
    Verdict,
)
from segdiff.core.graph import Graph, Op
from segdiff.core.metrics import Comparison
from segdiff.core.thresholds import CROSSING, Thresholds
from segdiff.deployed.leg import NOT_DEPLOYED, AsDeployed
from segdiff.finding.weigh import NOT_WEIGHED, Weights
from segdiff.walk import PairResult, Run, Step, Walk
from segdiff.walk.judge import NOISE_FACTOR

LEAST_COVERAGE = 0.5
"""Below this share of ops in matched segments a blamed segment says too little to be a finding."""


COARSE = 1e-3
"""From this share of a value on, its own rounding is worth a word."""


@dataclass(frozen=True)
class Findings:
    """All that was measured.

    ``run`` the walk as verified; ``random`` the values that the reference does not repeat; ``how`` the input
    was made; of each origin (by its segment) the cause and what repairing it gives back; ``reasons`` why
    something is not known; ``precision`` what half precision or quantisation costs.
    """

    run: Run
    random: tuple[str, ...] = ()
    how: tuple[str, ...] = ()
    causes: Mapping[Segment, Cause] = field(default_factory=dict)
    weights: Weights = NOT_WEIGHED
    as_fed: AsFed | None = None
    optimised: AsDeployed = NOT_DEPLOYED
    reasons: tuple[str, ...] = ()
    precision: Precision | None = None

    @property
    def alignment(self) -> Alignment:
        """The pairs as verified."""
        return self.run.alignment

    @property
    def walk(self) -> Walk:
        """The steps as verified."""
        return self.run.walk

    @property
    def thresholds(self) -> Thresholds:
        """The user's."""
        return self.run.probe.thresholds

    @property
    def graphs(self) -> tuple[Graph, Graph]:
        """The reference's and the candidate's."""
        return self.run.probe.reference, self.run.probe.graph


def conclude(findings: Findings) -> Report:
    """The report, its timing left open."""
    alignment, walk = findings.alignment, findings.walk
    pairs = [pair for step in walk.steps for pair in pair_infos(findings, step)]
    origins = tuple(origin_of(findings, step, pairs) for step in walk.steps if is_finding(findings, step))
    crossing = next((pair for pair in pairs if crosses(findings.thresholds, pair.cumulative)), None)
    share = coverage(alignment)
    outputs = output_infos(findings)
    verdict, sentence, remarks = decide(findings, origins, share, pairs)
    verdict, sentence = with_optimisers(findings.optimised, verdict, sentence)
    verdict, sentence = with_input(findings.as_fed, verdict, sentence)
    ours, theirs = alignment.reference, alignment.candidate
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
        outputs=outputs,
        origins=origins + findings.optimised.origins,
        together=findings.weights.together,
        as_fed=findings.as_fed,
        precision=findings.precision,
        first_crossing=crossing,
        pairs=tuple(pairs),
        unmatched=(
            tuple(name for name in ours.values if name not in alignment.pairs),
            tuple(name for name in theirs.values if name not in set(alignment.pairs.values())),
        ),
        input_findings=findings.how,
        remarks=remarks + findings.optimised.remarks + findings.reasons,
    )


def is_finding(findings: Findings, step: Step) -> bool:
    """Whether a step is an origin, and not just the reference drawing other numbers."""
    return step.is_origin and not draws(findings, step)


def draws(findings: Findings, step: Step) -> bool:
    """Whether the segment draws random numbers on the reference's side."""
    graph = findings.graphs[0]
    return any(kind_of(graph.op(index)) == "random" for index in step.segment.reference_ops)


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
    if found.kind == "unfed":
        return "inherited", told
    if crosses(findings.thresholds, pair.cumulative):
        return "inherited", Reason("inherited")
    return "clean", told


def uncertainty(pair: PairInfo) -> float:
    """A value's own rounding relative to it, as far as it was measured; nothing for integers."""
    known = pair.noise is not None and not pair.noise.discrete and not pair.noise.mismatch
    return pair.noise.metrics.rel_l2 if known and pair.noise else 0.0


def crosses(thresholds: Thresholds, cumulative: Comparison | None) -> bool:
    """Whether a cumulative error is one that the user would see; picking other elements is not one yet."""
    if cumulative is None:
        return False
    bounds = thresholds if thresholds.given else CROSSING
    return cumulative.mismatch is not None or bounds.crossed(cumulative)


def maker(view: View, name: str) -> str:
    """The type of the op that writes a value."""
    op = view.producer.get(name)
    return op.type if op else "input"


def origin_of(findings: Findings, step: Step, pairs: list[PairInfo]) -> Origin:
    """One origin, with the operators of both sides."""
    ends = set(step.segment.outputs)
    infos = [pair for pair in pairs if (pair.reference, pair.candidate) in ends]
    worst = max(infos, key=lambda pair: (pair.state == "origin", error_of(pair)))
    ours, theirs = findings.graphs
    return Origin(
        pair=worst,
        reference_ops=tuple(op_info(ours.op(index)) for index in step.segment.reference_ops),
        candidate_nodes=tuple(op_info(theirs.op(index)) for index in step.segment.ops),
        inputs=step.segment.inputs,
        confirmed=confirmed(findings.walk, step),
        cause=findings.causes.get(step.segment),
        effect=findings.weights.alone.get(step.segment),
    )


def error_of(pair: PairInfo) -> float:
    """Relative error, for picking the worst of several outputs."""
    return pair.isolated.metrics.rel_l2 if pair.isolated else 0.0


def confirmed(walk: Walk, origin: Step) -> bool:
    """Whether every segment that reads the origin's values agrees on the reference's tensors."""
    made = set(origin.segment.outputs)
    behind = [step for step in walk.steps if step is not origin and made & set(step.segment.inputs)]
    return all(not step.is_origin and step.problem is None for step in behind)


def op_info(op: Op) -> OpInfo:
    """An operator for the report."""
    return OpInfo(op.type, op.name, op.outputs, dict(op.attributes))


def output_infos(findings: Findings) -> tuple[OutputInfo, ...]:
    """The model's outputs, with what the user sees of the error."""
    alignment = findings.alignment
    measured = {pair.reference: pair for step in findings.walk.steps for pair in step.pairs}
    infos = []
    for name, source in zip(alignment.reference.graph.outputs, alignment.reference.outputs, strict=True):
        pair = measured.get(source)
        infos.append(
            OutputInfo(
                reference=name,
                candidate=alignment.pairs.get(source, ""),
                cumulative=pair.cumulative if pair else None,
                mask_changed=pair.mask_changed if pair else None,
            )
        )
    return tuple(infos)


def decide(
    findings: Findings, origins: tuple[Origin, ...], share: tuple[float, float], pairs: list[PairInfo]
) -> tuple[Verdict, str, tuple[str, ...]]:
    """Verdict, sentence and remarks."""
    unknown = [pair for pair in pairs if pair.state == "unknown" or pair.why.kind == "unfed"]
    unpaired = [
        name
        for name in findings.alignment.candidate.outputs
        if name not in set(findings.alignment.pairs.values())
    ]
    remarks = list(remarks_on(findings, pairs))
    if findings.walk.problem:
        return "inconclusive", findings.walk.problem, tuple(remarks + found_so_far(origins))
    if origins and min(share) < LEAST_COVERAGE:
        words = (
            f"The models differ, but only {min(share):.0%} of the operators could be aligned: "
            "too few to name one. Are the two files the same model?"
        )
        return "inconclusive", words, tuple(remarks + found_so_far(origins))
    if origins:
        return "diverges", blame(origins), tuple(remarks)
    if unpaired:
        words = f"Candidate output {unpaired[0]!r} has no counterpart in the reference."
        return "inconclusive", words, tuple(remarks)
    if unknown:
        why = unknown[0].why.detail
        count = f"{len(unknown)} of {len(pairs)} values"
        words = f"{count} could not be judged, first {unknown[0].candidate!r}: {why}"
        return "inconclusive", words, tuple(remarks)
    broken = next((step.problem for step in findings.walk.steps if step.problem), None)
    if broken:
        remarks.append(f"No operator errs on equal inputs ({len(pairs)} compared).")
        return "inconclusive", f"The candidate could not be run from the image: {broken}", tuple(remarks)
    if findings.precision is not None:
        return "agrees", f"The models agree: {cost_of(findings.precision)}.", tuple(remarks)
    return (
        "agrees",
        f"The models agree: no operator errs on equal inputs ({len(pairs)} compared).",
        tuple(remarks),
    )


def cost_of(found: Precision) -> str:
    """What half precision or quantisation costs, in words."""
    who, what = (
        ("candidate", found.candidate) if found.candidate != "float32" else ("reference", found.reference)
    )
    who = "both compute" if found.candidate == found.reference else f"the {who} computes"
    count = f"{found.within} of {found.segments} segments err within its precision"
    if found.mask_changed is not None:
        return f"{who} in {what}; {count}; {found.mask_changed:.2%} of the mask changes"
    if found.final_error is not None:
        return f"{who} in {what}; {count}; the outputs err by {found.final_error:.2g}"
    return f"{who} in {what}; {count}"


def with_optimisers(optimised: AsDeployed, verdict: Verdict, sentence: str) -> tuple[Verdict, str]:
    """Verdict and sentence once both models have run as deployed, too."""
    causes = [origin.cause for origin in optimised.origins if origin.cause]
    if not causes:
        return verdict, sentence
    told = causes[0].text
    if verdict == "agrees":
        return "diverges", f"The models agree as written, but as deployed they do not: {told}."
    return verdict, f"{sentence} Besides, as deployed: {told}."


def with_input(as_fed: AsFed | None, verdict: Verdict, sentence: str) -> tuple[Verdict, str]:
    """Verdict and sentence once the candidate's own input is looked at, too."""
    if as_fed is None or as_fed.comparison.same:
        return verdict, sentence
    found = as_fed.comparison.findings
    proven = "" if as_fed.comparison.proven else " (perhaps)"
    what = ", ".join(dict.fromkeys(finding.kind for finding in found)) or "input.unexplained"
    if not as_fed.comparison.accused:
        told = f"The candidate's own input differs from the one that was assumed here ({what}{proven}); "
        return verdict, f"{sentence} {told}nothing beside the models says which is right."
    told = f"The candidate is fed another input than the reference: {what}{proven}."
    if verdict == "agrees":
        return "diverges", f"{told} The network agrees on equal inputs."
    return verdict, f"{told} {sentence}"


def blame(origins: tuple[Origin, ...]) -> str:
    """The sentence for a divergence."""
    first = origins[0]
    pair = first.pair
    against = f", where the reference has {pair.reference_op}"
    if pair.reference != pair.candidate:
        against += f" {pair.reference!r}"
    rest = f"; {len(origins) - 1} more further down" if len(origins) > 1 else ""
    return f"The models diverge at {pair.candidate_op} {pair.candidate!r}{against}{rest}."


def found_so_far(origins: tuple[Origin, ...]) -> list[str]:
    """What an inconclusive run has found all the same."""
    return [f"An operator errs on equal inputs all the same: {blame(origins)}"] if origins else []


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


def remarks_on(findings: Findings, pairs: list[PairInfo]) -> list[str]:
    """What else one should know."""
    remarks = []
    if findings.precision is not None and findings.walk.diverges:
        remarks += remarks_on_precision(findings.precision, pairs)
    drawing = [step for step in findings.walk.steps if step.is_origin and draws(findings, step)]
    if drawing:
        graph = findings.graphs[0]
        ops = [graph.op(i) for step in drawing for i in step.segment.reference_ops]
        op = next(op for op in ops if kind_of(op) == "random")
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
