"""Where do the two models part? The method, from two files and an image to a report.

read -> align -> walk both in lockstep -> put every origin to the proof -> explain and weigh it -> run both as
deployed -> report
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segdiff.align import Alignment, Segment, align, cut
from segdiff.deployed import NOT_DEPLOYED, as_deployed
from segdiff.diagnose import explain, tensors_of
from segdiff.engines import Tensor
from segdiff.errors import EngineError, InputError
from segdiff.evidence import Evidence, collect
from segdiff.graph import Array
from segdiff.inputs import (
    CandidateInput,
    InputComparison,
    Prepared,
    compare_inputs,
    picture_input,
    prepare,
    read_candidate_input,
)
from segdiff.memory import PeakMemory, give_back
from segdiff.metrics import compare_arrays
from segdiff.readers import ModelFiles, find, read
from segdiff.result import AsFed, Cause, OutputInfo, Report
from segdiff.session import Clock, Engines, default_memory, deploy_config, input_specs, started
from segdiff.verdict import Findings, conclude
from segdiff.walk import Lockstep, Recall, Thresholds, Walk, repeats_itself, settle
from segdiff.walk.lockstep import mask_changed
from segdiff.weigh import NOT_WEIGHED, Weights, weigh

Progress = Callable[[str, int, int], None]
"""``progress(phase, done, total)``"""

Image = str | Path | Array | Mapping[str, Array]


def locate(
    reference: str | Path,
    candidate: str | Path,
    image: Image,
    *,
    candidate_input: CandidateInput | None = None,
    cosine: float | None = None,
    abs_error: float | None = None,
    rel_l2: float | None = None,
    deployed: bool = True,
    memory: int | None = None,
    timeout: float = 300.0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Find the operator at which a candidate model departs from its reference, and prove it.

    reference, candidate   a folder with a Paddle model, or a ``.pdmodel``, ``.json`` (PIR) or ``.onnx`` file
    image                  a picture, a ``.npy`` or ``.npz`` file; an HWC uint8 array (BGR, as OpenCV reads
                           it); a ready float32 NCHW array; or a dict of input names to arrays
    candidate_input        what the candidate is really fed: a tensor (an array or a ``.npy`` file), or your
                           own function from image path to tensor (``module:function``,
                           ``script.py:function`` or a callable); it is judged first, and the walk runs on
                           the reference's input
    cosine, abs_error, rel_l2   thresholds of your own for a segment's isolated error; by default an error
                           counts when it is many times the segment's own float32 rounding
    deployed               whether both models also run as their users run them, whole and optimised: an
                           optimiser's fault vanishes while it is watched
    memory                 bytes of tensors that may wait between the two engines
    timeout                seconds an engine may stay silent before it is stopped
    threads                threads of each engine; by default one for Paddle, every core for onnxruntime

    Raises ModelError (a file cannot be read), InputError (the image cannot be used) or EngineError (a model
    does not even start to run). A failure in mid-run ends in the verdict ``inconclusive``, with everything
    measured until then.
    """
    clock = Clock()
    files = find(reference), candidate_files(candidate)
    thresholds = Thresholds(cosine, abs_error, rel_l2)
    report_progress = progress or (lambda phase, done, total: None)
    with ExitStack() as stack:
        peak = stack.enter_context(PeakMemory())
        engines = stack.enter_context(started(files, memory, timeout, threads))
        graphs = read(files[0]), read(files[1])
        config = deploy_config(files)
        prepared = prepare(image, input_specs(graphs), config)
        clock.lap("read")
        fed = fed_input(candidate_input, image, prepared, config, timeout)
        clock.lap("input")
        engines.wait_until_ready()
        clock.lap("start")
        alignment = observable(align(*graphs), engines.hidden(graphs[0]))
        give_back()
        clock.lap("align")
        feeds = engines.feeds(graphs, alignment, prepared)
        walk, lockstep = walked(engines, alignment, feeds, thresholds, report_progress)
        clock.lap("walk")
        run = recall(engines, alignment, walk, feeds, memory)
        alignment, walk, random = proven(engines, alignment, walk, lockstep, run)
        clock.lap("settle")
        causes = explained(alignment, walk, lockstep, run, report_progress)
        clock.lap("explain")
        weights = weighed(alignment, walk, lockstep, run, causes)
        clock.lap("weigh")
        evidence = collected(files, alignment, walk, lockstep, run)
        as_fed = run_as_fed(alignment, lockstep, run, prepared, fed)
        optimised = NOT_DEPLOYED
        if deployed:
            optimised = as_deployed(
                engines,
                alignment,
                walk,
                lockstep,
                feeds,
                thresholds,
                lambda n: report_progress("deployed", n, 2),
            )
            clock.lap("deployed")
    how = prepared.how + (fed.how if fed else ())
    findings = Findings(graphs, alignment, walk, thresholds, random, how, causes, weights, as_fed, optimised)
    report = conclude(findings)
    return replace(
        report,
        timing_s=clock.laps,
        peak_memory_mb=round(peak.bytes / 2**20, 1),
        image=str(image) if isinstance(image, str | Path) else None,
        evidence=evidence,
    )


def candidate_files(candidate: str | Path) -> ModelFiles:
    """The candidate's files. Raises InputError where it is no ONNX model."""
    files = find(candidate)
    if files.format != "onnx":
        raise InputError(
            f"{files.program}: the candidate must be an .onnx file; it comes after the reference"
        )
    return files


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


def observable(alignment: Alignment, hidden: frozenset[str]) -> Alignment:
    """The alignment without the pairs whose reference value no engine can show."""
    pairs = {r: c for r, c in alignment.pairs.items() if r not in hidden}
    if len(pairs) == len(alignment.pairs):
        return alignment
    segments = cut(alignment.reference, alignment.candidate, pairs)
    return replace(alignment, pairs=pairs, segments=segments)


def walked(
    engines: Engines,
    alignment: Alignment,
    feeds: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    thresholds: Thresholds,
    progress: Progress,
) -> tuple[Walk, Lockstep]:
    """Both models side by side, every segment measured on equal inputs."""
    graph, total = alignment.candidate.graph, len(alignment.segments)
    lockstep = Lockstep(engines.candidate, alignment.reference.graph, graph, engines.blocks, thresholds)
    wanted = {r for s in alignment.segments for r, _ in (*s.inputs, *s.outputs) if r and r not in feeds[0]}
    stream = engines.reference.stream(feeds[0], wanted)
    walk = lockstep.walk(stream, alignment.segments, feeds, lambda done: progress("walk", done, total))
    return walk, lockstep


def recall(
    engines: Engines,
    alignment: Alignment,
    walk: Walk,
    feeds: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    memory: int | None,
) -> Recall:
    """A way to run the reference again, which keeps what the proofs of the origins will ask for."""

    def stream(names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        return engines.reference.stream(feeds[0], names)

    run = Recall(stream, feeds[0], (memory or default_memory()) // 2)
    for step in walk.steps:
        run.keep(tensors_of(step) if step.is_origin else ())
    run.keep(alignment.reference.outputs)
    return run


def proven(
    engines: Engines, alignment: Alignment, walk: Walk, lockstep: Lockstep, run: Recall
) -> tuple[Alignment, Walk, tuple[str, ...]]:
    """Every origin put to the proof; also the values in which the reference contradicts itself."""
    if walk.problem or not walk.diverges:
        return alignment, walk, ()
    try:
        random = repeats_itself(run, walk)
        hidden = engines.hidden(alignment.reference.graph)
        alignment, walk = settle(alignment, walk, lockstep, run, hidden)
    except EngineError as error:
        return alignment, replace(walk, problem=str(error)), ()
    return alignment, walk, tuple(random)


def explained(
    alignment: Alignment, walk: Walk, lockstep: Lockstep, run: Recall, progress: Progress
) -> dict[Segment, Cause]:
    """The cause of every origin, as far as it can be found."""
    steps = [step for step in walk.steps if step.is_origin]
    if walk.problem or not steps:
        return {}
    return explain(alignment, steps, lockstep, run, lambda done: progress("explain", done, len(steps)))


def weighed(
    alignment: Alignment, walk: Walk, lockstep: Lockstep, run: Recall, causes: Mapping[Segment, Cause]
) -> Weights:
    """What repairing each origin gives back."""
    ends = paired_outputs(alignment)
    if walk.problem or not walk.diverges or not ends:
        return NOT_WEIGHED
    return weigh(walk.steps, causes, lockstep, ends, run)


def run_as_fed(
    alignment: Alignment, lockstep: Lockstep, run: Recall, prepared: Prepared, fed: FedInput | None
) -> AsFed | None:
    """The candidate run from its own input, against the reference from its own: what the user sees."""
    if fed is None:
        return None
    name = alignment.pairs.get(picture_input(prepared))
    ends = paired_outputs(alignment)
    if fed.comparison.same or name is None:
        return AsFed(fed.comparison, ())
    feeds = {**lockstep.feeds, name: lockstep.blocks.tensor(fed.tensor)}
    try:
        got = lockstep.candidate.engine.run(feeds, [c for _, c in ends])
        truth = dict(run([r for r, _ in ends]))
    except EngineError as error:
        return AsFed(fed.comparison, (), str(error))
    view = alignment.reference
    names = dict(zip(view.outputs, view.graph.outputs, strict=True))
    pairs = [(names[r], c, truth[r].array, got[c].array) for r, c in ends if r in truth and c in got]
    outputs = [OutputInfo(r, c, compare_arrays(a, b), mask_changed(a, b)) for r, c, a, b in pairs]
    return AsFed(fed.comparison, tuple(outputs))


def collected(
    files: tuple[ModelFiles, ModelFiles],
    alignment: Alignment,
    walk: Walk,
    lockstep: Lockstep,
    run: Recall,
) -> Evidence | None:
    """The tensors that a repair and a repro will need."""
    if walk.problem or not walk.diverges:
        return None
    try:
        return collect(files, walk.steps, lockstep, paired_outputs(alignment), run)
    except EngineError:
        return None


def paired_outputs(alignment: Alignment) -> list[tuple[str, str]]:
    """The model outputs that have a partner, (reference, candidate)."""
    return [(r, alignment.pairs[r]) for r in alignment.reference.outputs if r in alignment.pairs]
