"""Do the models agree, diverge, or can it not be told? The verdict, and the sentence for a person.

*agrees*: every segment compared and right, every output paired in order and form. *diverges*: an origin that
stands, whatever the rest could show. *inconclusive* speaks of what could not be looked at.
"""

from __future__ import annotations

from segdiff.align import coverage
from segdiff.align.segments import swallows
from segdiff.core.answer import AsFed, Origin, PairInfo, Verdict
from segdiff.core.precision import Precision
from segdiff.core.thresholds import crosses
from segdiff.deployed.leg import AsDeployed
from segdiff.finding.findings import Findings
from segdiff.walk import Run

LEAST_COVERAGE = 0.5
"""Below this share of compared ops an origin that holds most of a model says too little to be a finding, and
of any other it is told."""


def compared(run: Run) -> tuple[float, float]:
    """The share of each side's ops that were compared."""
    judged = [s.segment for s in run.walk.steps if s.pairs and all(p.judgement for p in s.pairs)]
    return coverage(run.alignment, judged)


def decide(
    findings: Findings, origins: tuple[Origin, ...], share: tuple[float, float], pairs: list[PairInfo]
) -> tuple[Verdict, str, tuple[str, ...]]:
    """Verdict, sentence and further remarks."""
    if findings.walk.problem:
        return "inconclusive", findings.walk.problem, found_so_far(origins)
    left = unproven(findings, origins)
    if left and all_equal(findings):
        words = f"The outputs agree, but {left} could not be put to the proof: {findings.walk.reasons[-1]}"
        return "inconclusive", words, found_so_far(origins)
    all_named = all(map(named, origins))
    standing = [origin for origin in origins if stands(findings, origin, all_named)]
    few = (
        f"only {min(share):.0%} of the operators could be compared"
        if origins and min(share) < LEAST_COVERAGE
        else ""
    )
    if few and not standing and findings.checkpoint:
        return "inconclusive", f"{findings.checkpoint.sentence} {few.capitalize()}.", found_so_far(origins)
    if few and not standing:
        words = f"The models differ, but {few}: too few to name one. Are the two files the same model?"
        return "inconclusive", words, found_so_far(origins)
    if origins:
        told = f"{findings.checkpoint.sentence} " if findings.checkpoint else ""
        return "diverges", told + blame(origins), (f"Of the models {few}.",) if few else ()
    return unless_unseen(findings, share, pairs)


def unproven(findings: Findings, origins: tuple[Origin, ...]) -> str:
    """How many origins there are, in words, where the time did not suffice to put any to the proof; nothing
    otherwise."""
    pairs = {pair for segment in findings.walk.unproven for pair in segment.outputs}
    left = [each for each in origins if (each.pair.reference, each.pair.candidate) in pairs]
    if not origins or len(left) < len(origins):
        return ""
    return "an origin" if len(left) == 1 else f"{len(left)} origins"


def all_equal(findings: Findings) -> bool:
    """Whether every output of the candidate is the reference's, as far as the run from the image tells."""
    return bool(findings.outputs) and not any(
        output.cumulative is None or crosses(findings.thresholds, output.cumulative)
        for output in findings.outputs
    )


def unless_unseen(
    findings: Findings, share: tuple[float, float], pairs: list[PairInfo]
) -> tuple[Verdict, str, tuple[str, ...]]:
    """Nothing errs: *agrees*, if nothing was left out."""
    unknown = [pair for pair in pairs if pair.state == "unknown" or pair.why.kind == "unfed"]
    if unknown:
        why = unknown[0].why.detail
        count = f"{len(unknown)} of {len(pairs)} values"
        return "inconclusive", f"{count} could not be judged, first {unknown[0].candidate!r}: {why}", ()
    clean = f"no operator errs on equal inputs ({len(pairs)} compared)."
    broken = next((step.problem for step in findings.walk.steps if step.problem), None)
    if broken:
        remark = clean[0].upper() + clean[1:]
        return "inconclusive", f"The candidate could not be run from the image: {broken}", (remark,)
    unmeasured = [output for output in findings.outputs if output.cumulative is None]
    if unmeasured:
        name = unmeasured[0].candidate
        return "inconclusive", f"Output {name!r} could not be compared; otherwise {clean}", ()
    views = findings.alignment.reference, findings.alignment.candidate
    if any(view.ops and not compared for view, compared in zip(views, share, strict=True)):
        words = (
            "The outputs agree on this input, but none of the operators could be compared by itself. "
            "Are the two files the same model?"
        )
        return "inconclusive", words, ()
    if findings.precision is not None:
        told = cost_of(findings.precision)
        if costs_much(findings.precision):
            return "agrees", f"The models agree operator by operator: {told}.", (dear(findings.precision),)
        return "agrees", f"The models agree: {told}.", ()
    return "agrees", f"The models agree: {clean}", ()


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


MUCH_OF_THE_MASK = 0.01
MUCH_OF_AN_OUTPUT = 0.1
"""From which share of the mask, or relative error of an output that is none, a user should hear that right
operators alone do not make the file fit for use."""


def costs_much(found: Precision) -> bool:
    """Whether an arithmetic changes what a user sees, though no operator is wrong in it.

    >>> [costs_much(Precision("float32", "int8", 9, 9, error)) for error in (2.8, 0.02)]
    [True, False]
    """
    if found.mask_changed is not None:
        return found.mask_changed > MUCH_OF_THE_MASK
    return found.final_error is not None and found.final_error > MUCH_OF_AN_OUTPUT


def dear(found: Precision) -> str:
    """What to do about an arithmetic that costs much."""
    whose = found.candidate if found.candidate != "float32" else found.reference
    keep = "keep the operators that carry the error in float32"
    what = f"calibrate on more pictures, give each channel a scale, or {keep}"
    return (
        f"No operator is wrong, but {whose} itself costs much on this input: "
        f"{what if whose.startswith('int') else keep}."
    )


def named(origin: Origin) -> bool:
    """Whether a setting or constant is proven wrong: that names its node, however much stands in the segment
    with it. The reference's own nodes in the segment's place would prove any two models."""
    cause = origin.cause
    return cause is not None and cause.proven and not any(edit.nodes for edit in cause.edits)


def stands(findings: Findings, origin: Origin, all_named: bool) -> bool:
    """Whether an origin is a finding by itself: confirmed, and not most of both models in one.

    One that starts from values that were compared and agree is none such. Where ``all_named`` origins have
    their cause, what reads one errs for a reason of its own, and tells nothing against it.
    """
    sizes = len(findings.alignment.reference.ops), len(findings.alignment.candidate.ops)
    whole = swallows((len(origin.reference_ops), len(origin.candidate_nodes)), sizes)
    pairs = (pair for step in findings.walk.steps for pair in step.pairs)
    right = {(p.reference, p.candidate) for p in pairs if p.judgement is not None and not p.judgement.fault}
    begun = bool(right & set(origin.inputs))
    if origin.speaks or all_named:
        return True
    return origin.confirmed and (named(origin) or begun or not whole)


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
    first, speaking = origins[0], [origin for origin in origins if origin.speaks]
    if first.speaks:
        if refuses(first):
            besides = f" Besides: {blame(origins[1:])}" if len(origins) > 1 else ""
            return f"{text_of(first)}{besides}"
        others = [origin for origin in origins if not origin.speaks]
        more = f" And {len(speaking) - 1} more of its outputs." if len(speaking) > 1 else ""
        rest = f" Besides: {blame(tuple(others))}" if others else " No operator errs on equal inputs."
        return f"{text_of(first)}{more}{rest}"
    pair = first.pair
    against = f", where the reference has {pair.reference_op}"
    if pair.reference != pair.candidate:
        against += f" {pair.reference!r}"
    more = f"; {len(origins) - 1} more further down" if len(origins) > 1 else ""
    op_type, value = guilty(first)
    if first.inside:
        ours, theirs = first.reference_ops[-1], first.candidate_nodes[-1]
        if value == pair.candidate:  # no node in the block stands out by its cause: the segment's end
            op_type, value = theirs.type, theirs.outputs[0]
        against = f", where the reference has {ours.type} {ours.outputs[0]!r}"
    told = f"The models diverge at {op_type} {value!r}{against}{within(first)}{more}."
    return f"{told} Besides: {text_of(speaking[0])}" if speaking else told


def guilty(origin: Origin) -> tuple[str, str]:
    """The operator and the value to name: of a proven cause the one node of the segment that it changes; else
    what makes the segment's value."""
    cause, pair = origin.cause, origin.pair
    changed = {edit.output for edit in cause.edits} if cause is not None and cause.proven else set()
    nodes = [node for node in origin.candidate_nodes if changed.intersection(node.outputs)]
    if len(nodes) == 1 and len(changed) == 1:
        return nodes[0].type, next(iter(changed))
    return pair.candidate_op, pair.candidate


def refuses(origin: Origin) -> bool:
    """Whether it is the file that does not run."""
    return origin.cause is not None and origin.cause.kind == "runtime.refused"


def within(origin: Origin) -> str:
    """In which blocks the fault was found, the innermost first; nothing for one outside of blocks."""
    blocks = [
        f"the {each.block} of {each.op_type} {each.node!r}"
        + (f" (from iteration {each.iteration} on)" if each.iteration else "")
        for each in origin.inside
    ]
    return "".join(f", in {block}" for block in reversed(blocks))


def text_of(origin: Origin) -> str:
    """What a cause says."""
    return origin.cause.text if origin.cause else ""


def found_so_far(origins: tuple[Origin, ...]) -> tuple[str, ...]:
    """What an inconclusive run has found all the same."""
    return (f"An operator errs on equal inputs all the same: {blame(origins)}",) if origins else ()
