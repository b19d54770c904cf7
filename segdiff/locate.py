"""Where do the two models part? The method, from two files and an image to a report.

read -> align -> walk both in lockstep -> put every origin to the proof -> explain and weigh it -> report
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segdiff.align import Alignment, Segment, align, cut
from segdiff.diagnose import explain, tensors_of
from segdiff.engines import Blocks, Engine, Tensor
from segdiff.engines.names import undelivered
from segdiff.errors import EngineError, InputError
from segdiff.evidence import Evidence, collect
from segdiff.graph import Array, Graph, Shape
from segdiff.inputs import (
    CandidateInput,
    InputComparison,
    InputSpec,
    Prepared,
    compare_inputs,
    picture_input,
    prepare,
    read_candidate_input,
    read_deploy_yaml,
)
from segdiff.memory import PeakMemory, give_back
from segdiff.metrics import compare_arrays
from segdiff.readers import ModelFiles, find, read
from segdiff.result import AsFed, Cause, OutputInfo, Report
from segdiff.verdict import Findings, conclude
from segdiff.walk import Candidate, Lockstep, Recall, Thresholds, Walk, repeats_itself, settle
from segdiff.walk.lockstep import mask_changed
from segdiff.weigh import NOT_WEIGHED, Weights, weigh

Progress = Callable[[str, int, int], None]
"""``progress(phase, done, total)``"""

Image = str | Path | Array | Mapping[str, Array]

SHARE_OF_MEMORY = 32
"""The default budget is the machine's memory divided by this (768 MB of 24 GB)."""


def locate(
    reference: str | Path,
    candidate: str | Path,
    image: Image,
    *,
    candidate_input: CandidateInput | None = None,
    cosine: float | None = None,
    abs_error: float | None = None,
    rel_l2: float | None = None,
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
    memory                 bytes of tensors that may wait between the two engines
    timeout                seconds an engine may stay silent before it is stopped
    threads                threads of each engine; by default one for Paddle, every core for onnxruntime

    Raises ModelError (a file cannot be read), InputError (the image cannot be used) or EngineError (a model
    does not even start to run). A failure in mid-run ends in the verdict ``inconclusive``, with everything
    measured until then.
    """
    clock = Clock()
    files = find(reference), find(candidate)
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
    how = prepared.how + (fed.how if fed else ())
    findings = Findings(graphs, alignment, walk, thresholds, random, how, causes, weights, as_fed)
    report = conclude(findings)
    return replace(
        report,
        timing_s=clock.laps,
        peak_memory_mb=round(peak.bytes / 2**20, 1),
        image=str(image) if isinstance(image, str | Path) else None,
        evidence=evidence,
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


@dataclass
class Engines:
    """Both models in their worker processes."""

    blocks: Blocks
    reference: Engine
    candidate: Candidate

    def wait_until_ready(self) -> None:
        """Wait for both models to be loaded."""
        self.reference.wait_until_ready()
        self.candidate.engine.wait_until_ready()

    def hidden(self, graph: Graph) -> frozenset[str]:
        """Reference values that its engine cannot show."""
        return undelivered(graph)

    def feeds(
        self, graphs: tuple[Graph, Graph], alignment: Alignment, prepared: Prepared
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The prepared tensors, under each side's input names."""
        ours = {name: self.blocks.tensor(prepared.tensors[name]) for name in graphs[0].inputs}
        partner = {c: r for r, c in alignment.pairs.items()}
        missing = [name for name in graphs[1].inputs if name not in partner]
        if missing:
            raise InputError(
                f"{graphs[1].path}: input {missing[0]!r} has no counterpart in {graphs[0].path}; "
                f"its inputs are {', '.join(graphs[0].inputs) or 'none'}"
            )
        return ours, {name: ours[partner[name]] for name in graphs[1].inputs}


@contextmanager
def started(
    files: tuple[ModelFiles, ModelFiles], memory: int | None, timeout: float, threads: int | None
) -> Iterator[Engines]:
    """Both engines, starting while the caller reads the files; stopped at the end, whatever happens."""
    blocks = Blocks()
    cores = os.cpu_count() or 1
    options: dict[str, Any] = {
        "timeout": timeout,
        "allowance": (memory or default_memory()) // 8,  # the rest is for what must stay alive
    }

    def start(which: ModelFiles) -> Engine:
        # Paddle's threads spin while they wait; one leaves the other cores to onnxruntime.
        return Engine(which, blocks, threads=threads or (cores if which.format == "onnx" else 1), **options)

    reference = start(files[0])
    candidate = Candidate(lambda: start(files[1]), start(files[1]))
    try:
        yield Engines(blocks, reference, candidate)
    finally:
        reference.close()
        candidate.engine.close()
        blocks.close()


def default_memory() -> int:
    """Bytes of tensors that may wait, where the user says nothing."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE_OF_MEMORY


def input_specs(graphs: tuple[Graph, Graph]) -> tuple[InputSpec, ...]:
    """What the reference wants to be fed; where it leaves a length open, the candidate's counts."""
    theirs = dict(zip(graphs[0].inputs, graphs[1].inputs, strict=False))
    specs = []
    for name in graphs[0].inputs:
        ours = graphs[0].value(name)
        other = graphs[1].value(name if name in graphs[1].inputs else theirs.get(name, name))
        specs.append(InputSpec(name, narrowed(ours.shape, other.shape), ours.dtype or "float32"))
    return tuple(specs)


def narrowed(ours: Shape | None, theirs: Shape | None) -> Shape | None:
    """A shape with its open lengths filled from another of the same rank."""
    if ours is None or theirs is None or len(ours) != len(theirs):
        return ours or theirs
    return tuple(b if a is None else a for a, b in zip(ours, theirs, strict=True))


def deploy_config(files: tuple[ModelFiles, ModelFiles]) -> Any:
    """The transforms of the ``deploy.yaml`` beside either model, the reference's first."""
    found = [each.deploy_yaml for each in files if each.deploy_yaml]
    return read_deploy_yaml(found[0]) if found else None


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
    pairs = [(r, c, truth[r].array, got[c].array) for r, c in ends if r in truth and c in got]
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


class Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """Close a phase."""
        now = time.perf_counter()
        self.laps[phase] = round(now - self.last, 3)
        self.last = now
