"""Where do the two models part? The method, from two files and an image to a report.

read -> align -> walk both in lockstep -> put every origin to the proof -> explain and weigh it -> run both as
deployed -> report
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdiff.align import Segment, outline_of
from segdiff.core.answer import AsFed, Cause, OutputInfo, Report
from segdiff.core.errors import EngineError
from segdiff.core.fed import InputComparison
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Array
from segdiff.core.kept import KeptTensors
from segdiff.core.memory import PeakMemory
from segdiff.core.metrics import compare_arrays
from segdiff.core.progress import Progress, told_to
from segdiff.core.question import Question
from segdiff.core.thresholds import Thresholds
from segdiff.deployed import NOT_DEPLOYED, as_deployed
from segdiff.diagnose import explain
from segdiff.engines.session import Clock, default_memory
from segdiff.finding.checkpoint import other_checkpoint
from segdiff.finding.findings import Findings
from segdiff.finding.fingerprint import fingerprinted
from segdiff.finding.identity import hashes_of, identified, image_file
from segdiff.finding.inside import Limits, causes_with, look_inside
from segdiff.finding.kept import keep
from segdiff.finding.outputs import Endings, endings, without
from segdiff.finding.pictures import maps_of, pictured
from segdiff.finding.precision import precision_of
from segdiff.finding.refused import refusal
from segdiff.finding.side_by_side import (
    Image,
    aligned,
    both_sides,
    candidate_files,
    once_ready,
    prepared_for,
    proven,
    walked_with,
)
from segdiff.finding.verdict import conclude
from segdiff.finding.weigh import NOT_WEIGHED, Weights, weigh, without_harm, without_idle
from segdiff.inputs import (
    CandidateInput,
    Prepared,
    compare_inputs,
    picture_input,
    read_candidate_input,
)
from segdiff.readers import find
from segdiff.walk import Run
from segdiff.walk.walker import mask_changed

if TYPE_CHECKING:
    import onnx

PHASES = (
    *("read", "input", "start", "align", "walk", "settle"),
    *("explain", "weigh", "keep", "deployed", "conclude", "stop"),
)
"""What the progress and the report's times speak of, in order."""


def locate(
    reference: str | Path | onnx.ModelProto,
    candidate: str | Path | onnx.ModelProto,
    image: Image,
    *,
    candidate_input: CandidateInput | None = None,
    cosine: float | None = None,
    abs_error: float | None = None,
    rel_l2: float | None = None,
    deployed: bool = True,
    allow_nan: bool = False,
    memory: int | None = None,
    timeout: float = 300.0,
    threads: int | None = None,
    reference_python: str | None = None,
    candidate_python: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Find the operator at which a candidate model departs from its reference, and prove it.

    reference, candidate   a folder with a Paddle model, or a ``.pdmodel``, ``.json`` (PIR) or ``.onnx`` file;
                           an ``onnx.ModelProto``, too
    image                  a picture, a ``.npy`` or ``.npz`` file; an HWC uint8 array (BGR, as OpenCV reads
                           it); a ready float32 NCHW array; or a dict of input names to arrays
    candidate_input        what the candidate is really fed: a tensor (an array or a ``.npy`` file), or your
                           own function from image path to tensor (``module:function``,
                           ``script.py:function`` or a callable); it is judged first, and the walk runs on
                           the reference's input
    cosine, abs_error, rel_l2   thresholds of your own for a segment's isolated error; by default an error
                           counts when it is many times the segment's own rounding
    deployed               whether both models also run as their users run them, whole and optimised: an
                           optimiser's fault vanishes while it is watched
    allow_nan              whether a ready tensor may hold NaN and infinite values; they are compared like any
                           other, and equal where both sides have the same
    memory                 bytes of tensors that may wait between the two engines
    timeout                seconds an engine may stay silent before it is stopped
    threads                threads of each engine; by default one for Paddle, every core for onnxruntime
    reference_python, candidate_python   the Python of another environment, to run a side with the versions
                           that its user has; beside the framework it needs numpy and networkx, for an ONNX
                           file onnx and onnx-graphsurgeon, too

    Raises ModelError (a file cannot be read), InputError (the image cannot be used) or EngineError (a model
    does not even start to run). A failure in mid-run loses nothing that was measured until then: the report
    says what is not known and why, and where that leaves the question open the verdict is ``inconclusive``.

    >>> from segdiff.example import example_files
    >>> with example_files() as files:
    ...     report = locate(*files)
    >>> report.verdict, report.homes, report.first.cause.kind, report.first.cause.proven
    ('diverges', ('network',), 'resize.coordinate_mode', True)
    """
    options = {
        "candidate_input": candidate_input,
        "cosine": cosine,
        "abs_error": abs_error,
        "rel_l2": rel_l2,
        "allow_nan": allow_nan,
        "memory": memory,
        "timeout": timeout,
        "threads": threads,
        "reference_python": reference_python,
        "candidate_python": candidate_python,
    }
    thresholds = Thresholds(cosine, abs_error, rel_l2)
    limits = Limits(memory or default_memory(), timeout, threads)
    pythons = reference_python, candidate_python
    with ExitStack() as stack:
        told = stack.enter_context(told_to(progress))
        clock = Clock(lambda phase: told(phase, 0, 0), PHASES)
        files = find(reference), candidate_files(candidate)
        peak = stack.enter_context(PeakMemory())
        sides = stack.enter_context(both_sides(files, limits, pythons))
        prepared = prepared_for(sides, image, allow_nan=allow_nan)
        clock.lap("read")
        fed = fed_input(candidate_input, image, prepared, sides.config, timeout)
        clock.lap("input")
        hashes, picture = hashes_of(files), image_file(image)
        environment = once_ready(sides)
        clock.lap("start")
        alignment = aligned(sides)
        clock.lap("align")
        run = walked_with(sides, alignment, prepared, thresholds, limits.memory, told)
        clock.lap("walk")
        reasons: list[str] = []
        checkpoint = other_checkpoint(run)
        run, random = (run, ()) if checkpoint else proven(run, reasons)
        clock.lap("settle")
        run, ends = endings(run)
        reasons += unmeasured(run) if run.origins or ends.origins else []
        if checkpoint:
            ends = replace(ends, causes={**checkpoint.causes, **ends.causes})
        causes = explained(run, told, ends)
        inside = look_inside(run, files, limits, causes, reasons)
        causes = causes_with(causes, inside)
        clock.lap("explain")
        weights = NOT_WEIGHED if checkpoint else weighed(run, causes, reasons, told)
        run = without_idle(run, weights, reasons)
        clock.lap("weigh")
        kept = tensors_kept(files, run, reasons) if run.walk.diverges or ends.origins else None
        as_fed = run_as_fed(run, prepared, fed)
        clock.lap("keep")
        optimised = NOT_DEPLOYED
        if deployed:
            optimised = as_deployed(run, lambda done: told("deployed", done, 2))
            clock.lap("deployed")
        outlines = outline_of(run.alignment.reference), outline_of(run.alignment.candidate)
        precision = precision_of(run, reasons)
        causes = without_harm(causes, weights)
        pictures = pictured(run, prepared, weights, causes, kept, as_fed, reasons)
        others = bool(run.origins or ends.origins) or any(step.problem for step in run.walk.steps)
        refused = refusal(run, optimised.refused, asked=deployed, others=others)
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
        report = identified(conclude(findings), sides.graphs, hashes)
        report = replace(report, origins=fingerprinted(report.origins, sides.graphs))
        clock.lap("conclude")
    clock.lap("stop")
    return replace(
        report,
        remarks=(*report.remarks, *prepared.notes),
        timing_s=clock.laps,
        peak_memory_mb=round(peak.bytes / 2**20, 1),
        image=str(image) if isinstance(image, str | Path) else None,
        image_file=picture,
        assumed=prepared.assumed,
        environment=environment,
        evidence=kept,
        pictures=pictures,
        outlines=outlines,
        asked=Question(reference, candidate, image, options),
    )


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


def explained(run: Run, progress: Progress, ends: Endings) -> dict[Segment, Cause]:
    """The cause of every origin, as far as it can be found; the outputs have told some already."""
    rest = without(run, ends.causes)
    total = len(rest.origins)
    if not total:
        return dict(ends.causes)
    found = explain(rest, lambda done: progress("explain", done, total))
    weak = {segment for segment, cause in found.items() if not cause.proven or cause.kind.endswith(REPLACED)}
    instead = {segment: cause for segment, cause in ends.otherwise.items() if segment in weak}
    return {**ends.causes, **found, **instead}


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
