"""Do two models part at some batch or size? One start of the engines, a report for every shape of the input.

Each shape is compared as ``locate`` compares one image. What is proven at the smallest is tried first at the
others, so that the same fault is looked for once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdiff.align import Alignment, Segment
from segdiff.core.answer import Cause, Repaired, Report
from segdiff.core.environment import Environment
from segdiff.core.equal_masks import masks_alone_equal
from segdiff.core.errors import EngineError, InputError
from segdiff.core.graph import Graph
from segdiff.core.memory import PeakMemory
from segdiff.core.printable import clean
from segdiff.core.progress import Progress, told_to
from segdiff.core.question import Question
from segdiff.core.shapes_report import Entry, NotRun, ShapesReport, Size
from segdiff.core.thresholds import Thresholds
from segdiff.deployed.legs import legs_of
from segdiff.engines.cache import opened
from segdiff.engines.session import Clock, default_memory, input_specs, own_specs
from segdiff.finding.identity import hashes_of, identified, image_file
from segdiff.finding.inside import Limits
from segdiff.finding.one_image import Terms, compared, from_cache
from segdiff.finding.side_by_side import Image, Sides, aligned, both_sides, candidate_files, once_ready
from segdiff.inputs import InputSpec, Prepared, is_ready, prepare
from segdiff.inputs.several import at_size, batched, config_at, open_spec, resized
from segdiff.readers import find
from segdiff.readers.urls import a_file, a_model, takes_urls

if TYPE_CHECKING:
    import onnx

PHASES = ("walk", "settle", "explain", "weigh", "keep", "deployed", "conclude")
"""What the progress speaks of for every shape, in order."""

RESTARTS = 5
"""How often an engine may be started again for one shape."""

MOST = 32
"""Shapes that one call takes: each is a whole run of both models."""


@takes_urls(reference=a_model, candidate=a_model, image=a_file)
def locate_shapes(
    reference: str | Path | onnx.ModelProto,
    candidate: str | Path | onnx.ModelProto,
    image: Image,
    *,
    batch: Sequence[int] | None = None,
    sizes: Sequence[Size] | None = None,
    cosine: float | None = None,
    abs_error: float | None = None,
    rel_l2: float | None = None,
    deployed: bool | str = "usual",
    full_walk: bool = False,
    allow_nan: bool = False,
    memory: int | None = None,
    timeout: float = 300.0,
    threads: int | None = None,
    reference_python: str | None = None,
    candidate_python: str | None = None,
    cache: str | Path | None = None,
    cache_size: int | None = None,
    progress: Progress | None = None,
) -> ShapesReport:
    """Compare two models at several batches and sizes of the input, with one start of the engines.

    batch     numbers of images: ``(1, 4, 8)``; a batch is made of the one image, each element shifted,
              mirrored and darker, so that no two are alike; of ready tensors the given elements come first
    sizes     (height, width) in pixels: ``((512, 512), (500, 500))``; a picture is resized to it as its
              config, or PaddleSeg's default, does; where that ends at another size, and for ready tensors,
              the tensor is resampled linearly

    With both, every batch is compared at every size. The other arguments are those of :func:`segdiff.locate`.
    A shape that a file does not take, because it declares another one, is told and not run.

    Raises InputError where neither is given, or a number makes no sense, and what ``locate`` raises.

    >>> from segdiff.example import example_files
    >>> with example_files() as files:
    ...     swept = locate_shapes(*files, batch=(1, 2))
    >>> swept.verdict, swept.entries[0].verdict, swept.entries[1].not_run.kind, swept.entries[1].not_run.takes
    ('diverges', 'diverges', 'fixed', (1, 3, 96, 128))
    """
    asked = shapes_asked(batch, sizes)
    options = {
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
    limits = Limits(memory or default_memory(), timeout, threads)
    terms = Terms(Thresholds(cosine, abs_error, rel_l2), limits, legs_of(deployed), full_walk)
    with ExitStack() as stack:
        told = stack.enter_context(told_to(progress))
        files = find(reference), candidate_files(candidate)
        peak = stack.enter_context(PeakMemory())
        told("start", 0, 0)
        pythons, kept = (reference_python, candidate_python), None
        if cache is not None:
            kept = opened(cache, cache_size)
        sides = stack.enter_context(both_sides(files, limits, pythons, cache=kept))
        images = [made(sides, image, each, allow_nan=allow_nan) for each in asked]
        hashes, picture = hashes_of(files), image_file(image)
        sweeping = Sweeping(sides, once_ready(sides), aligned(sides), terms, told)
        entries = sweeping.entries(images)
    path = str(image) if isinstance(image, str | Path) else None

    def finished(entry: Entry, made: Made) -> Entry:
        if entry.report is None:
            return entry
        report = replace(
            identified(entry.report, sides.graphs, hashes),
            image=path,
            image_file=picture,
            at=entry.options,
            asked=Question(reference, candidate, dict(made.prepared.tensors), options),
        )
        return replace(entry, report=report)

    whole = tuple(finished(entry, each) for entry, each in zip(entries, images, strict=True))
    return ShapesReport(
        sentence_of(whole),
        whole,
        (files[0].program, files[1].program, path),
        how=tuple(dict.fromkeys(line for each in images for line in each.prepared.how)),
        remarks=from_cache(sides.engines.reference.engine, kept),
        timing_s=added(entry.report.timing_s for entry in whole if entry.report),
        peak_memory_mb=round(peak.bytes / 2**20, 1),
    )


def repaired(swept: ShapesReport, path: str | Path, **options: Any) -> Repaired:
    """Repair by the entry that is told in full. Raises InputError where nothing was compared."""
    if swept.told is None or swept.told.report is None:
        raise InputError(f"there is nothing to repair by: {swept.sentence}")
    return swept.told.report.repair(path, **options)


@dataclass(frozen=True)
class Shape:
    """One batch and size that was asked for; None for the image's own."""

    batch: int | None
    size: Size | None

    @property
    def options(self) -> tuple[str, ...]:
        """As one types it."""
        batch = ("--batch", str(self.batch)) if self.batch else ()
        return (*batch, *(("--sizes", f"{self.size[0]}x{self.size[1]}") if self.size else ()))


@dataclass(frozen=True)
class Made:
    """The input at one batch and size, and the shape of its picture."""

    asked: Shape
    shape: tuple[int, ...]
    prepared: Prepared


def shapes_asked(batch: Sequence[int] | None, sizes: Sequence[Size] | None) -> tuple[Shape, ...]:
    """Every batch at every size, each once. Raises InputError where there is none, or one makes no sense."""
    if not batch and not sizes:
        raise InputError(
            "name what to compare at: batch=(1, 4, 8), or sizes=((512, 512), (500, 500)), or both"
        )
    for number in batch or ():
        if not _whole(number):
            raise InputError(f"a batch is a whole number from 1 up, and {number!r} is none")
    for size in sizes or ():
        if len(tuple(size)) != 2 or not all(map(_whole, size)):
            raise InputError(f"a size is (height, width) in pixels, and {size!r} is none")
    planes = [None] if not sizes else [(int(height), int(width)) for height, width in sizes]
    found = tuple(dict.fromkeys(Shape(n and int(n), size) for size in planes for n in (batch or (None,))))
    if len(found) > MOST:
        raise InputError(f"{len(found)} batches and sizes are more than the {MOST} that one run compares")
    return found


def _whole(number: Any) -> bool:
    try:
        return bool(int(number) == number and number >= 1)
    except (TypeError, ValueError):
        return False


def made(sides: Sides, image: Image, shape: Shape, *, allow_nan: bool) -> Made:
    """The input at this batch and size. Raises InputError."""
    graphs, ready = sides.graphs, is_ready(image)
    specs = own_specs(graphs[0]) if ready else input_specs(graphs)
    config = sides.config
    if shape.size is not None:
        stated = config is not None and (config.transforms is not None or config.is_planned)
        config = config_at(config, shape.size)
        specs = tuple(
            open_spec(each, plane=True) if ready or stated else at_size(each, shape.size) for each in specs
        )
    elif ready:
        specs = tuple(open_spec(each, plane=True) for each in specs)
    if shape.batch is not None:
        specs = tuple(open_spec(each, plane=False) for each in specs)
    prepared = prepare(image, specs, config, allow_nan=allow_nan)
    if shape.size is not None:
        prepared = resized(prepared, shape.size)
    if shape.batch is not None:
        prepared = batched(prepared, shape.batch, batched_inputs(graphs[0], prepared))
    return Made(shape, prepared.tensors[main_inputs(prepared)[0]].shape, prepared)


def main_inputs(prepared: Prepared) -> tuple[str, ...]:
    """The inputs that are pictures; where none is, all of them."""
    pictures = tuple(name for name, tensor in prepared.tensors.items() if tensor.ndim == 4)
    return pictures or tuple(prepared.tensors)


def batched_inputs(graph: Graph, prepared: Prepared) -> list[str]:
    """The inputs that have an element for every image: the pictures, and what leaves its first axis open."""
    open_ones = {name for name in prepared.tensors if (graph.value(name).shape or (None,))[0] is None}
    wanted = {*main_inputs(prepared), *open_ones}
    return [name for name, tensor in prepared.tensors.items() if name in wanted and tensor.ndim]


@dataclass
class Sweeping:
    """Both models, running, aligned once; what one shape has proven is known for the next."""

    sides: Sides
    environment: Environment
    alignment: Alignment
    terms: Terms
    told: Progress

    def entries(self, images: Sequence[Made]) -> list[Entry]:
        """An entry for every image, in their order; the smallest shape is compared first."""
        found: dict[int, Entry] = {}
        for index in sorted(range(len(images)), key=lambda index: prod(images[index].shape)):
            found[index] = self.entry(images[index])
        return [found[index] for index in range(len(images))]

    def entry(self, made: Made) -> Entry:
        """Both models compared on one image; or why not."""
        shape, prepared, options = made.shape, made.prepared, made.asked.options
        fixed = next(self.not_taken(prepared), None)
        if fixed is not None:
            return Entry(shape, options, None, fixed)
        words = shape_words(shape)

        def told(phase: str, done: int, total: int) -> None:
            self.told(f"{words}: {phase}", done, total)

        clock = Clock(lambda phase: told(phase, 0, 0), PHASES)
        engines = self.sides.engines
        for side in (engines.reference, engines.candidate):
            side.restarts_left = RESTARTS
            side.living()
            side.restarted.clear()
        try:
            report, causes = compared(self.sides, self.alignment, prepared, None, self.terms, clock, told)
        except EngineError as error:
            return Entry(shape, options, None, NotRun("failed", detail=str(error)))
        self.terms = replace(self.terms, known={**causes_proven(causes), **self.terms.known})
        return Entry(shape, options, self.finished(report, clock))

    def finished(self, report: Report, clock: Clock) -> Report:
        """The report with what was computed by whom, and its time."""
        return replace(report, environment=self.environment, timing_s=clock.laps)

    def not_taken(self, prepared: Prepared) -> Iterator[NotRun]:
        """The files that declare another shape than these tensors have."""
        partner = {c: r for r, c in self.alignment.pairs.items()}
        for graph, names in zip(self.sides.graphs, ({}, partner), strict=True):
            for name in graph.inputs:
                tensor = prepared.tensors.get(names.get(name, name))
                spec = InputSpec(name, graph.value(name).shape, "float32")
                if tensor is not None and not spec.fits(tensor.shape):
                    yield NotRun("fixed", graph.path, spec.dims or ())


def causes_proven(causes: Mapping[Segment, Cause]) -> dict[Segment, Cause]:
    """Those that can be tried at another shape."""
    return {segment: cause for segment, cause in causes.items() if cause.proven and cause.edits}


def added(times: Iterator[Mapping[str, float]]) -> dict[str, float]:
    """Seconds by phase, of all shapes together."""
    whole: dict[str, float] = {}
    for laps in times:
        for phase, seconds in laps.items():
            whole[phase] = round(whole.get(phase, 0.0) + seconds, 3)
    return whole


def sentence_of(entries: tuple[Entry, ...]) -> str:
    """The verdict over all shapes in words."""
    run = [entry for entry in entries if entry.report]
    bad = [entry for entry in run if entry.verdict == "diverges"]
    if bad:
        smallest = min(bad, key=lambda entry: prod(entry.shape))
        where = f"{len(bad)} of {len(entries)} shapes of the input, the smallest of them {named(smallest)}"
        said = f"The models diverge at {where if len(bad) > 1 else named(smallest)}."
        if all(entry.report and masks_alone_equal(entry.report) for entry in bad):
            said += " The masks are equal, the values are not."
    elif not run:
        said = "The models were compared at no shape of the input."
    elif all(entry.verdict == "agrees" for entry in entries):
        shapes = "every shape" if len(run) > 1 else "the shape"
        said = f"The models agree at {shapes} of the input: {listed(run)}."
    elif all(entry.verdict == "agrees" for entry in run):
        said = f"The models agree at {listed(run)}; at the rest they were not compared."
    else:
        open_ones = [entry for entry in run if entry.verdict == "inconclusive"]
        said = f"It could not be told whether the models agree at {listed(open_ones)}."
    return " ".join((said, *not_run_words(entries)))


def not_run_words(entries: Sequence[Entry]) -> Iterator[str]:
    """A sentence for each reason why shapes were not compared."""
    reasons: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.not_run is not None:
            reasons.setdefault(reason_of(entry.not_run), []).append(entry)
    for reason, those in reasons.items():
        was = "was" if len(those) == 1 else "were"
        yield f"{reason}, so {listed(those)} {was} not compared."


def reason_of(not_run: NotRun) -> str:
    """Why a shape was not compared."""
    if not_run.kind == "fixed":
        name = clean(not_run.file.name if not_run.file else "the file")
        return f"{name} takes {shape_words(not_run.takes)} alone"
    return f"An engine failed ({clean(not_run.detail, 300).rstrip('.')})"


def shape_words(shape: Sequence[int | None]) -> str:
    """``1x3x?x?``, a question mark for what is left open."""
    return "x".join("?" if each is None else str(each) for each in shape)


def named(entry: Entry) -> str:
    """An entry's shape."""
    return shape_words(entry.shape)


def listed(entries: Sequence[Entry]) -> str:
    """The shapes of some entries."""
    return ", ".join(map(named, entries))
