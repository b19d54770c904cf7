"""Where do two models part on many images? All are run whole; the worst are located, their origins merged.

The images are ranked by the masks that change, or else by the outputs' distance. Those at the top are
compared as ``locate`` compares one, with one start of the engines; what is proven on one is tried first on
the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdiff.core.answer import Repaired, Report
from segdiff.core.errors import EngineError, InputError, SegdiffError
from segdiff.core.images_report import ImagesReport, LocatedImage, SharedOrigin
from segdiff.core.memory import PeakMemory
from segdiff.core.printable import clean
from segdiff.core.progress import Progress, told_to
from segdiff.core.question import Question
from segdiff.core.thresholds import Thresholds
from segdiff.deployed.legs import legs_of
from segdiff.engines.cache import Cache, opened
from segdiff.engines.session import Clock, default_memory, deploy_config
from segdiff.finding.identity import hashes_of, identified, image_file
from segdiff.finding.inside import Limits
from segdiff.finding.locate_shapes import Made, Shape, Sweeping, added, main_inputs
from segdiff.finding.one_image import Terms, from_cache
from segdiff.finding.side_by_side import Sides, aligned, both_sides, candidate_files, once_ready, prepared_for
from segdiff.inputs.image import one_line
from segdiff.readers import ModelFiles, find
from segdiff.readers.urls import a_model, takes_urls
from segdiff.score.compare import Agreement, ImageResult, Summary
from segdiff.score.dataset import Entry, passed_over, read_dataset
from segdiff.score.evaluation import Evaluation, clear_agreement, output_error
from segdiff.score.output import output_of
from segdiff.score.run import LoadedImage
from segdiff.score.started import loader_of, models_started
from segdiff.score.urls import a_dataset, some_masks

if TYPE_CHECKING:
    import onnx

WORST = 3
"""Images that are located where nobody says how many: one shows a fault, three what they share."""


@takes_urls(reference=a_model, candidate=a_model, images=a_dataset, root=some_masks)
def locate_images(
    reference: str | Path | onnx.ModelProto,
    candidate: str | Path | onnx.ModelProto,
    images: str | Path,
    *,
    worst: int = WORST,
    root: str | Path | None = None,
    separator: str = " ",
    cosine: float | None = None,
    abs_error: float | None = None,
    rel_l2: float | None = None,
    deployed: bool | str = "usual",
    full_walk: bool = False,
    memory: int | None = None,
    timeout: float = 300.0,
    threads: int | None = None,
    reference_python: str | None = None,
    candidate_python: str | None = None,
    cache: str | Path | None = None,
    cache_size: int | None = None,
    progress: Progress | None = None,
) -> ImagesReport:
    """Run both models on many images, and locate on those where they differ most.

    images            a folder of pictures, a list with ``image`` or ``image label`` a line, or one picture
    worst             how many of them are located; of equal ones the first
    root, separator   as :func:`segdiff.evaluate` takes them

    The other arguments are those of :func:`segdiff.locate`. An image that cannot be used is skipped and told.
    Raises InputError where none can be used, and what ``locate`` raises.

    >>> from segdiff.example import example_files
    >>> with example_files() as files:
    ...     found = locate_images(*files)
    >>> found.verdict, found.run, [(len(each.images), each.origin.cause.kind) for each in found.origins]
    ('diverges', 1, [(1, 'resize.coordinate_mode')])
    """
    if not isinstance(worst, int) or worst < 1:
        raise InputError(f"the number of images to locate is a whole one from 1 up, and {worst!r} is none")
    options = {
        "cosine": cosine,
        "abs_error": abs_error,
        "rel_l2": rel_l2,
        "memory": memory,
        "timeout": timeout,
        "threads": threads,
        "reference_python": reference_python,
        "candidate_python": candidate_python,
    }
    entries = read_dataset(images, root=root, separator=separator)
    files = find(reference), candidate_files(candidate)
    pythons = reference_python, candidate_python
    store = None if cache is None else opened(cache, cache_size)
    limits = Limits(memory or default_memory(), timeout, threads)
    terms = Terms(Thresholds(cosine, abs_error, rel_l2), limits, legs_of(deployed), full_walk)
    clock = Clock()
    with told_to(progress) as told, PeakMemory() as peak:
        ranking = ranked(files, entries, worst, limits, pythons, store, told)
        clock.lap("evaluate")
        with both_sides(files, limits, pythons, cache=store) as sides:
            located = Locating(sides, terms, told, Asked(reference, candidate, options))
            found = tuple(located.all(ranking.chosen))
            remarks = from_cache(sides.engines.reference.engine, store)
    origins = merged([entry for entry in found if entry.report])
    times = added(entry.report.timing_s for entry in found if entry.report)
    report = ImagesReport(
        "",
        found,
        origins,
        (files[0].program, files[1].program, str(images)),
        ranking.summary.images,
        ranking.differing,
        ranking.summary.skipped,
        tuple(ranking.summary.problems),
        (*passed_over(images, None, entries), *ranking.remarks, *remarks),
        {**clock.laps, **times},
        round(peak.bytes / 2**20, 1),
    )
    return replace(report, sentence=sentence_of(report))


@dataclass(frozen=True)
class Ranking:
    """All images run whole: what they say together, and those to be located, the worst first."""

    summary: Summary
    chosen: tuple[tuple[Entry, ImageResult | None], ...]
    differing: int
    remarks: tuple[str, ...] = ()


class Counting(Summary):
    """A summary that knows how many images differ at all, and which came first."""

    def __init__(self, keep: int) -> None:
        super().__init__(keep)
        self.differing = 0
        self.first: list[str] = []

    def add(self, result: ImageResult) -> None:
        """Count one more image."""
        super().add(result)
        self.differing += bool(result.agreement.changed if result.agreement.pixels else any(result.badness))
        if len(self.first) < self.keep:
            self.first.append(result.name)


def ranked(
    files: tuple[ModelFiles, ModelFiles],
    entries: Sequence[Entry],
    worst: int,
    limits: Limits,
    pythons: tuple[str | None, str | None],
    store: Cache | None,
    told: Progress,
) -> Ranking:
    """Both models run whole on every image. Raises InputError where none could be used."""
    unlabelled = [replace(entry, label=None) for entry in entries]
    summary = Counting(worst)
    remarks: list[str] = []
    told("start", 0, 0)
    try:
        with models_started(files, limits.timeout, limits.threads, pythons, store) as pair:
            looking = Looking(pair, loader_of(pair, deploy_config(files)), (), None, None, lambda: 0)
            looking.into(summary, unlabelled, None, told)
            remarks += (*looking.remarks, *pair.reference.remarks, *pair.candidate.remarks)
    except (EngineError, InputError) as error:  # to be located all the same: why one does not run, for one
        remarks.append(f"The images are not ranked, for the models do not run whole: {one_line(error)}")
        summary.first += [entry.name for entry in unlabelled][: worst - len(summary.first)]
    if not summary.first:
        why = summary.problems[0] if summary.problems else "there is none"
        raise InputError(f"none of the {len(entries)} images could be used: {why}")
    by_name = {entry.name: entry for entry in unlabelled}
    chosen: list[tuple[Entry, ImageResult | None]] = [(by_name[each.name], each) for each in summary.worst]
    taken = {entry.name for entry, _ in chosen}
    rest = [by_name[name] for name in summary.first if name not in taken]
    chosen += [(entry, None) for entry in rest[: worst - len(chosen)]]
    return Ranking(summary, tuple(chosen), summary.differing, tuple(dict.fromkeys(remarks)))


class Looking(Evaluation):
    """Both models run whole, to see how far they are apart: by their masks, or by whatever they give."""

    def one(self, ready: LoadedImage) -> ImageResult:
        """What one image says. Raises EngineError where a model does not run on it."""
        ours, theirs, _ = self.pair.run(ready)
        if ready.assumed is not None and ready.assumed not in self.remarks:
            self.remarks.append(ready.assumed)
        agreed, distance = Agreement(), None
        with suppress(InputError):  # an output that is no mask, or of another shape
            first, second = (
                output_of(outputs[0].array, "The output").without_padding(ready.undo)
                for outputs in (ours, theirs)
            )
            agreed = clear_agreement(first, first.mask(), second.mask())
        with suppress(InputError):
            distance = output_error(ours, theirs)
        return ImageResult(ready.entry.name, {}, agreed, distance)


@dataclass(frozen=True)
class Asked:
    """What was asked for, to be asked again."""

    reference: Any
    candidate: Any
    options: dict[str, Any]


@dataclass
class Locating:
    """Both models, running: one image after the other is located."""

    sides: Sides
    terms: Terms
    told: Progress
    asked: Asked

    def all(self, chosen: Sequence[tuple[Entry, ImageResult | None]]) -> Iterator[LocatedImage]:
        """Every image, in the order given. Raises EngineError where a model cannot be loaded."""
        hashes = hashes_of(self.sides.files)
        environment = once_ready(self.sides)
        walking = Sweeping(self.sides, environment, aligned(self.sides), self.terms, self.told)
        for number, (entry, result) in enumerate(chosen):
            walking.told = self._of(number, len(chosen), entry)
            known = (
                entry.name,
                entry.image,
                result.agreement.share if result else 0.0,
                result.output.max_abs if result and result.output else None,
            )
            try:
                prepared = prepared_for(self.sides, entry.image, allow_nan=False)
            except SegdiffError as error:
                yield LocatedImage(*known, None, one_line(error))
                continue
            shape = prepared.tensors[main_inputs(prepared)[0]].shape
            found = walking.entry(Made(Shape(None, None), shape, prepared))
            if found.report is None:
                why = found.not_run.detail if found.not_run else ""
                yield LocatedImage(*known, None, why or "the candidate does not take an input of this shape")
                continue
            yield LocatedImage(*known, self._finished(found.report, entry, hashes))

    def _finished(self, report: Report, entry: Entry, hashes: Any) -> Report:
        asked = Question(self.asked.reference, self.asked.candidate, str(entry.image), self.asked.options)
        report = identified(report, self.sides.graphs, hashes)
        return replace(report, image=str(entry.image), image_file=image_file(entry.image), asked=asked)

    def _of(self, number: int, total: int, entry: Entry) -> Progress:
        def told(phase: str, done: int, of: int) -> None:
            self.told(
                f"{clean(entry.name, 40)} ({number + 1}/{total}): {phase.rpartition(': ')[2]}", done, of
            )

        return told


def merged(entries: Sequence[LocatedImage]) -> tuple[SharedOrigin, ...]:
    """The origins of all images, each once: by its fingerprint, or else by its value and kind."""
    found: dict[str, SharedOrigin] = {}
    for entry in entries:
        assert entry.report is not None
        for origin in entry.report.origins:
            kind = origin.cause.kind if origin.cause else ""
            key = origin.fingerprint or f"{kind} {origin.pair.candidate}"
            known = found.get(key)
            names = (*(known.images if known else ()), entry.name)
            found[key] = SharedOrigin(known.origin if known else origin, tuple(dict.fromkeys(names)))
    return tuple(sorted(found.values(), key=lambda each: -len(each.images)))


def sentence_of(report: ImagesReport) -> str:
    """The verdict over all images in words."""
    located, total = len(report.entries), report.run
    which = f"the {located} worst of {total} images" if located < total else counted(total, "image")
    bad = [entry for entry in report.entries if entry.verdict == "diverges"]
    if bad:
        where = f"on {len(bad)} of {which}" if located > 1 else f"on {clean(bad[0].name, 80)}"
        said = f"The models diverge {where}"
        shared = report.origins[0] if report.origins else None
        if shared is not None and located > 1:
            whole = "all of them" if len(shared.images) == len(bad) else f"{len(shared.images)} of them"
            what = clean(shared.origin.pair.candidate or shared.origin.pair.reference, 60)
            said += f"; the same origin on {whole}: {clean(shared.origin.pair.candidate_op, 40)} {what!r}"
        said += "."
    elif report.verdict == "agrees":
        said = f"The models agree on {which}."
    else:
        open_ones = [entry for entry in report.entries if entry.verdict == "inconclusive"]
        said = f"It could not be told whether the models agree on {len(open_ones)} of {which}."
    if report.skipped:
        said += f" {counted(report.skipped, 'image')} could not be used."
    return said


def counted(number: int, what: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def repaired(report: ImagesReport, path: str | Path, **options: Any) -> Repaired:
    """Repair by the image that is told in full. Raises InputError where none was located."""
    if report.told is None or report.told.report is None:
        raise InputError(f"there is nothing to repair by: {report.sentence}")
    return report.told.report.repair(path, **options)
