"""What do two models say to one image, once they run? Walk, prove, explain, weigh, run as deployed.

``locate`` asks it once, several batches and sizes for each of them, with one start of the engines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segdiff.align import Alignment, Segment, outline_of
from segdiff.core.answer import AsFed, Cause, OutputInfo, Report
from segdiff.core.errors import EngineError
from segdiff.core.fed import InputComparison
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Array
from segdiff.core.kept import KeptTensors
from segdiff.core.metrics import compare_arrays
from segdiff.core.progress import Progress
from segdiff.core.thresholds import Thresholds
from segdiff.deployed import NOT_DEPLOYED, as_deployed
from segdiff.deployed.legs import Legs
from segdiff.deployed.whole import to_walk_again
from segdiff.diagnose import explain, proven_again
from segdiff.engines import Engine
from segdiff.engines.cache import Cache
from segdiff.engines.cached import CachedEngine
from segdiff.engines.session import Clock
from segdiff.finding.checkpoint import other_checkpoint
from segdiff.finding.device import kept_with, on_device, with_device
from segdiff.finding.dump import tensors_written
from segdiff.finding.findings import Findings
from segdiff.finding.fingerprint import fingerprinted
from segdiff.finding.idle import without_idle
from segdiff.finding.inside import Limits, causes_with, look_inside
from segdiff.finding.kept import keep
from segdiff.finding.outputs import Endings, endings, without
from segdiff.finding.pictures import maps_of, pictured
from segdiff.finding.precision import precision_of
from segdiff.finding.read_otherwise import read_otherwise
from segdiff.finding.refused import refusal
from segdiff.finding.side_by_side import (
    Image,
    Sides,
    passed_with,
    proven,
    unrepeated,
    walked_once,
    walked_with,
)
from segdiff.finding.verdict import conclude
from segdiff.finding.weigh import NOT_WEIGHED, Weights, weigh, without_harm
from segdiff.inputs import CandidateInput, Prepared, compare_inputs, picture_input, read_candidate_input
from segdiff.walk import Run, Whole
from segdiff.walk.dump_check import CheckedDump
from segdiff.walk.masks import mask_changed


@dataclass(frozen=True)
class Terms:
    """What holds for every image that two models are compared on.

    ``legs`` says which models also run as deployed, ``full_walk`` whether every one of the candidate's own
    tensors is looked at; ``known`` are causes that another image has proven, by
    the segment that errs: they are tried before any is looked for. ``dump`` is what a device left that ran
    the candidate's file, ``keep_tensors`` a folder for every value of both sides. ``once``: both sides are
    one file in one environment, which need not be walked against itself.
    """

    thresholds: Thresholds
    limits: Limits
    legs: Legs
    full_walk: bool = False
    known: Mapping[Segment, Cause] = field(default_factory=dict)
    dump: CheckedDump | None = None
    keep_tensors: Path | None = None
    once: bool = False


def compared(
    sides: Sides,
    alignment: Alignment,
    prepared: Prepared,
    fed: FedInput | None,
    terms: Terms,
    clock: Clock,
    told: Progress,
    whole: Callable[[], Whole] | None = None,
    beside: Callable[[], Whole] | None = None,
) -> tuple[Report, Mapping[Segment, Cause]]:
    """Both models, aligned and running, compared on one prepared image: walk, prove, explain, weigh, run as
    deployed. The report without what is known of the files, and the causes by the segment that errs.
    ``whole`` and ``beside`` wait for what the candidate's and the reference's file give that run as deployed
    meanwhile, where they do.

    Raises EngineError where a model does not even start to run.
    """
    files, limits = sides.files, terms.limits
    asked = sides, alignment, prepared, terms.thresholds, limits.memory, told
    if terms.once:
        run = walked_once(*asked)
    else:
        run = walked_with(*asked) if terms.full_walk else passed_with(*asked, terms.legs, whole)
    clock.lap("walk")
    reasons: list[str] = []
    checkpoint = other_checkpoint(run)
    run = run if checkpoint else proven(run, reasons)
    if to_walk_again(run):
        run = proven(replace(walked_with(sides, run.alignment, *asked[2:]), whole=run.whole), reasons)
    clock.lap("settle")
    run, ends = endings(run)
    reasons += unmeasured(run) if run.origins or ends.origins else []
    if checkpoint:
        ends = replace(ends, causes={**checkpoint.causes, **ends.causes})
    causes = explained(run, told, ends, terms.known)
    random = () if checkpoint else unrepeated(run, causes, reasons)
    inside = look_inside(run, files, limits, causes, reasons)
    causes = causes_with(causes, inside)
    clock.lap("explain")
    weights = NOT_WEIGHED if checkpoint else weighed(run, causes, reasons, told)
    run = without_idle(run, causes, weights.idle, reasons)
    clock.lap("weigh")
    kept = tensors_kept(files, run, reasons) if run.walk.diverges or ends.origins else None
    as_fed = run_as_fed(run, prepared, fed)
    if terms.keep_tensors is not None:
        try:
            tensors_written(run, terms.keep_tensors)
        except EngineError as error:
            reasons.append(f"Not every tensor was written to {terms.keep_tensors}: {error}")
    clock.lap("keep")
    device = None if terms.dump is None else on_device(run, terms.dump, files, told)
    if device is not None:
        clock.lap("device")
    optimised = NOT_DEPLOYED
    if terms.legs != "none":
        optimised = as_deployed(run, terms.legs, lambda done: told("deployed", done, 2), beside)
        clock.lap("deployed")
    outlines = outline_of(run.alignment.reference), outline_of(run.alignment.candidate)
    precision = precision_of(run, reasons)
    causes = without_harm(causes, weights)
    pictures = pictured(run, prepared, weights, causes, kept, as_fed, reasons)
    if device is not None:
        pictures = pictured(device.run, prepared, NOT_WEIGHED, {}, device.kept, as_fed, reasons)
    others = bool(run.origins or ends.origins) or any(step.problem for step in run.walk.steps)
    refused = refusal(run, optimised.refused, asked=terms.legs != "none", others=others)
    if refused is not None and kept is None:
        kept = tensors_kept(files, run, reasons)
    reasons += [f"{restart}; another one has gone on." for restart in sides.engines.restarted]
    findings = Findings(
        run=run,
        random=random,
        how=prepared.how + (fed.how if fed else ()),
        causes=causes,
        endings=ends,
        inside=inside,
        weights=weights,
        as_fed=as_fed,
        optimised=optimised,
        refused=refused,
        reasons=tuple(reasons),
        precision=precision,
        checkpoint=checkpoint,
    )
    report = conclude(findings)
    if device is not None:
        report, kept = with_device(report, device), kept_with(kept, device)
    report = replace(
        report,
        origins=fingerprinted(report.origins, sides.graphs),
        remarks=(*report.remarks, *prepared.notes),
        assumed=prepared.assumed,
        device_remarks=read_otherwise(sides.graphs[1]),
        evidence=kept,
        pictures=pictures,
        outlines=outlines,
    )
    clock.lap("conclude")
    return report, causes


@dataclass(frozen=True)
class FedInput:
    """What the candidate is really fed, how it was made, and how it compares with the reference's input."""

    tensor: Array
    how: tuple[str, ...]
    comparison: InputComparison


def fed_input(
    given: CandidateInput | None, image: Image, prepared: Prepared, config: Any, timeout: float
) -> FedInput | None:
    """Judge the candidate's own input, where there is one."""
    if given is None:
        return None
    fed = read_candidate_input(given, image, timeout=timeout)
    return FedInput(fed.tensor, fed.how, compare_inputs(prepared, fed.tensor, config))


def unmeasured(run: Run) -> list[str]:
    """Why something beside the origins was not measured; without any the verdict itself says so."""
    problems = list(dict.fromkeys(step.problem for step in run.walk.steps if step.problem))
    if run.walk.problem or not problems:
        return []
    rest = f" (and {len(problems) - 1} reasons more)" if len(problems) > 1 else ""
    return [f"Not everything could be measured: {problems[0]}{rest}"]


REPLACED = ".replaced"
"""How a kind ends that says no more than that the reference's own operators are right in the place of others:
an output that ends in one operator more or less is told as that."""


def explained(
    run: Run, progress: Progress, ends: Endings, known: Mapping[Segment, Cause]
) -> dict[Segment, Cause]:
    """The cause of every origin, as far as it can be found; the outputs have told some already, and those
    that are ``known`` of another image are tried first."""
    told = {**ends.causes, **proven_again(without(run, ends.causes), known)}
    rest = without(run, told)
    total = len(rest.origins)
    if not total:
        return told
    found = explain(rest, lambda done: progress("explain", done, total))
    weak = {segment for segment, cause in found.items() if not cause.proven or cause.kind.endswith(REPLACED)}
    instead = {segment: cause for segment, cause in ends.otherwise.items() if segment in weak}
    return {**told, **found, **instead}


def weighed(run: Run, causes: Mapping[Segment, Cause], reasons: list[str], progress: Progress) -> Weights:
    """What repairing each origin gives back; why that is not known goes to ``reasons``."""
    if not run.walk.diverges or not run.outputs:
        return NOT_WEIGHED
    return weigh(run, causes, reasons, lambda done, total: progress("weigh", done, total))


def run_as_fed(run: Run, prepared: Prepared, fed: FedInput | None) -> AsFed | None:
    """The candidate run from its own input, against the reference from its own: what the user sees."""
    if fed is None:
        return None
    probe, view, ends = run.probe, run.alignment.reference, run.outputs
    name = run.alignment.pairs.get(picture_input(prepared))
    if fed.comparison.same or name is None:
        return AsFed(fed.comparison, ())
    feeds = {**probe.feeds, name: probe.blocks.tensor(fed.tensor)}
    try:
        got = probe.candidate.run(feeds, [c for _, c in ends])
        truth = dict(run.reference([r for r, _ in ends]))
    except EngineError as error:
        return AsFed(fed.comparison, (), str(error))
    names = dict(zip(view.outputs, view.graph.outputs, strict=True))
    pairs = [(names[r], c, truth[r].array, got[c].array) for r, c in ends if r in truth and c in got]
    outputs = [OutputInfo(r, c, compare_arrays(a, b), mask_changed(a, b)) for r, c, a, b in pairs]
    masks = maps_of({c: b for _, c, _, b in pairs}, prepared)
    return AsFed(fed.comparison, tuple(outputs), masks=masks)


def tensors_kept(files: tuple[ModelFiles, ModelFiles], run: Run, reasons: list[str]) -> KeptTensors:
    """The tensors that a repair and a repro will need; why some are missing goes to ``reasons``."""
    kept = keep(files, run)
    if kept.problem:
        reasons.append(f"Not all that a repair or a repro needs was kept: {kept.problem}")
    return kept


def from_cache(engine: Engine, cache: Cache | None) -> tuple[str, ...]:
    """What is to be said of the reference's values, where a cache was asked for."""
    if cache is None:
        return ()
    if not isinstance(engine, CachedEngine):
        unknown = f"No version of {engine.name} is known here, so nothing of the reference was cached."
        return (unknown,) if isinstance(engine, Engine) else ()
    if not engine.kept.taken:
        return ()
    return (
        f"{engine.kept.taken} tensors of the reference are those of an earlier run, from {cache.folder}.",
    )
