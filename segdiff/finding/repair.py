"""What works? A copy of the ONNX file with the proven changes, and nothing else changed; then it is run."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segdiff.core.answer import Cause, Repaired, RepairedOutput, Report
from segdiff.core.errors import EngineError, InputError, RepairError
from segdiff.core.graph import Array
from segdiff.core.kept import KeptTensors
from segdiff.core.metrics import compare_arrays
from segdiff.core.outputs import refuse_input, refuse_other_suffix, refuse_unwritable_file
from segdiff.core.pictured import Pictures, class_map, nearest
from segdiff.core.precision import EPSILON, unit_named
from segdiff.engines import Blocks, Engine
from segdiff.engines.registry import engine_for, threads_of
from segdiff.finding.again import located_again
from segdiff.finding.draft import move_external_data, write
from segdiff.finding.idle import WORSE
from segdiff.finding.weigh import damage_of
from segdiff.readers import find, read
from segdiff.readers.companions import companions
from segdiff.walk.masks import mask_changed

NOTHING = 1e-6
"""A relative error that is none: two right files differ by that much."""


def repair(
    report: Report,
    path: str | Path,
    *,
    timeout: float = 300.0,
    threads: int | None = None,
    candidate_python: str | None = None,
) -> Repaired:
    """Write the candidate with every proven cause mended to ``path``, and run it from the report's image.

    timeout   seconds that the repaired model's engine may be silent before it is stopped
    threads   of that engine; by default every core
    candidate_python   the Python of another environment to run it with, as in :func:`segdiff.locate`

    An older file at ``path`` is replaced, but never one that the report's run has read. Raises InputError
    where ``path`` is one of those, does not end in ``.onnx`` or cannot be written, RepairError where no cause
    is proven, the changed model fails ONNX's checker, or no change brings the outputs nearer, EngineError
    where it does not run; then nothing is written.

    >>> from segdiff.example import example_files
    >>> from segdiff.finding.locate import locate
    >>> with example_files() as files, tempfile.TemporaryDirectory() as folder:
    ...     repaired = repair(locate(*files), Path(folder) / "fixed.onnx")
    >>> repaired.agrees, [cause.kind for cause in repaired.changes]
    (True, ['resize.coordinate_mode'])
    """
    evidence, target = _evidence(report), Path(path)
    proven = {id(o): o.cause for o in report.origins if o.cause and o.cause.mends}
    if not proven:
        raise RepairError(
            "no cause is proven, so there is nothing that could be repaired with certainty; "
            "report.repro(), or --repro, writes the operator down for a bug report"
        )
    source = evidence.files[1].program
    _check_target(report, evidence, target)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".segdiff-") as folder:
        workbench = _Workbench(report, evidence, Path(folder), timeout, threads, candidate_python)
        kept = _nearer(workbench, proven)
        if not kept:
            raise RepairError(
                "no change brings the outputs nearer to the reference's, so nothing was written; "
                "report.repro(), or --repro, writes the operator down for a bug report"
            )
        changes = [proven[key] for key in kept]
        draft, remarks = workbench.write(changes)
        outputs, arrays = workbench.outputs(draft, changes)
        again = located_again(evidence, draft, timeout, threads) if report.precision else None
        move_external_data(source, draft, target)
        draft.replace(target)
    taken_back = tuple(
        f"Taken back, for the outputs came no nearer: {cause.text} [{cause.kind}]"
        for key, cause in proven.items()
        if key not in kept
    )
    left = tuple(o.pair.candidate for o in report.origins if id(o) not in kept and not o.runtime)
    if again is not None and again.verdict != "agrees":
        left += tuple(o.pair.candidate for o in again.origins if o.pair.candidate not in left)
        remarks += (f"Located once more, the repaired file is not right yet: {again.sentence}",)
    sides = (report.precision.reference, report.precision.candidate) if report.precision else ()
    unit = max(map(unit_named, sides), default=EPSILON)
    remarks += taken_back + _beside(report)
    pictures = seen_after(report.pictures, evidence.feeds, arrays)
    return Repaired(target, tuple(changes), left, outputs, remarks, unit, pictures)


def seen_after(
    pictures: Pictures | None, feeds: Mapping[str, Array], outputs: Iterable[Array]
) -> Pictures | None:
    """The pictures of the run that a repair rests on, with the mask that the repaired file makes."""
    fed = next((array.shape for array in feeds.values() if array.ndim == 4), None)
    if pictures is None or fed is None or "candidate" not in pictures.masks:
        return pictures
    size = (fed[2], fed[3]) if fed[1] in (1, 3) else (fed[1], fed[2])
    masks = (class_map(array, size) for array in outputs)
    mask = next((each for each in masks if each is not None), None)
    if mask is None:
        return pictures
    height, width = pictures.image.shape[:2]
    seen = {**pictures.masks, "repaired": nearest(mask, (height, width))}
    return replace(pictures, masks=seen, by_repair=True)


@dataclass(frozen=True)
class _Workbench:
    """Where drafts are written, each in a folder of its own, and run."""

    report: Report
    evidence: KeptTensors
    folder: Path
    timeout: float
    threads: int | None
    python: str | None

    def write(self, causes: Sequence[Cause]) -> tuple[Path, tuple[str, ...]]:
        """A draft with these changes, and remarks on it. Raises RepairError."""
        draft = Path(tempfile.mkdtemp(dir=self.folder)) / "model.onnx"
        return draft, write(self.evidence.files[1].program, draft, causes, self.evidence.finals)

    def outputs(
        self, draft: Path, changes: Sequence[Cause]
    ) -> tuple[tuple[RepairedOutput, ...], list[Array]]:
        """A draft's outputs from the image, beside those of before, and as they are. Raises EngineError."""
        if any(cause.ends is not None for cause in changes):
            listed = self.listed(draft)
            return tuple(_placed(self.report, self.evidence.finals, listed)), listed
        got = self.run(draft, self.evidence.outputs)
        return _outputs(self.report, self.evidence.outputs, got), list(got.values())

    def listed(self, model: Path) -> list[Array]:
        """The outputs of a model from the image, in its own order. Raises EngineError."""
        graph = read(find(model))
        held = {name: graph.parameters[name] for name in graph.outputs if name in graph.parameters}
        got = self.run(model, [name for name in graph.outputs if name not in held])
        return [held[name].load() if name in held else got[name] for name in graph.outputs]

    def run(self, model: Path, wanted: Iterable[str]) -> dict[str, Array]:
        """These values of a model from the image. Raises EngineError."""
        files, blocks = find(model), Blocks()
        threads = threads_of(engine_for(files.format), self.threads)
        try:
            with Engine(files, blocks, timeout=self.timeout, threads=threads, python=self.python) as engine:
                tensors = {name: blocks.tensor(array) for name, array in self.evidence.feeds.items()}
                stream = engine.stream(tensors, dict.fromkeys(wanted))
                return {name: tensor.array.copy() for name, tensor in stream}
        finally:
            blocks.close()

    def error(self, model: Path) -> float:
        """How far the outputs of a model are from the reference's (finding/weigh.Damage)."""
        got = self.run(model, self.evidence.outputs)
        return damage_of((truth, got[name]) for name, truth in self.evidence.outputs.items()).error

    def misplaced(self, causes: Sequence[Cause]) -> float:
        """The error with these changes, every output in the reference's place; one lost or added counts 1.

        Raises EngineError where the engine died.
        """
        try:
            source = self.evidence.files[1].program
            return misplaced(self.evidence.finals, self.listed(self.write(causes)[0] if causes else source))
        except EngineError as error:
            if error.died:
                raise
            return math.inf
        except RepairError:
            return math.inf

    def before(self) -> float:
        """The error of the candidate as it is; infinite where it does not run.

        Raises EngineError where the engine died: then nothing is known that a change could be held against.
        """
        try:
            return self.error(self.evidence.files[1].program)
        except EngineError as error:
            if error.died:
                raise
            return math.inf

    def tried(self, causes: Sequence[Cause]) -> float:
        """The error with these changes; infinite where the file does not pass, or does not run.

        Raises EngineError where the engine died: that says nothing of the changes.
        """
        try:
            return self.error(self.write(causes)[0])
        except EngineError as error:
            if error.died:
                raise
            return math.inf
        except RepairError:
            return math.inf


def misplaced(truth: Sequence[Array], got: Sequence[Array]) -> float:
    """The error of outputs that are read by their place (finding/weigh.Damage); one lost or added counts 1,
    and so does one of another shape, axes of length one included, or that has whole numbers for floats."""
    pairs = list(zip(truth, got, strict=False))
    other = sum(other_form(*pair) for pair in pairs)
    return math.hypot(damage_of(pairs).error, math.sqrt(other + abs(len(truth) - len(got))))


def other_form(ours: Array, theirs: Array) -> bool:
    """Whether one of two outputs cannot be read in the place of the other, whatever it holds."""
    return (ours.dtype.kind == "f") != (theirs.dtype.kind == "f") or (
        ours.shape != theirs.shape and ours.size > 1
    )


def _nearer(workbench: _Workbench, proven: Mapping[int, Cause]) -> list[int]:
    """The changes to keep: every one must let the outputs come nearer, or at least not farther.

    First those of nodes, with the outputs paired by what they hold, then those of the outputs themselves,
    with every output in its place.
    """
    nodes = {key: cause for key, cause in proven.items() if cause.edits}
    kept = _nearer_by_nodes(workbench, nodes) if nodes else []
    ends = [key for key, cause in proven.items() if cause.ends is not None and key not in kept]
    if not ends or not workbench.evidence.finals:
        return kept
    now = workbench.misplaced([proven[key] for key in kept])
    for keys in (ends, *([key] for key in ends if len(ends) > 1)):
        more = [key for key in keys if key not in kept]
        error = workbench.misplaced([proven[key] for key in (*kept, *more)]) if more else math.inf
        if error < now:
            kept, now = [*kept, *more], error
    return kept


def _nearer_by_nodes(workbench: _Workbench, proven: Mapping[int, Cause]) -> list[int]:
    """The changes of nodes to keep.

    Where each has been weighed alone, and all together do no harm, nothing more is asked. Otherwise they are
    made one after the other, the weightiest first, and one that does harm is taken back; and all of them once
    more, because faults can hide one another. On the way rounding may let an error grow a little; what is
    kept must not leave a larger one than there was.
    """
    weight = {id(o): o.effect.final_error_removed for o in workbench.report.origins if o.effect}
    ranked = sorted(proven, key=lambda key: -weight.get(key, 0.0))
    before = workbench.before()
    whole = workbench.tried([proven[key] for key in ranked])
    allowed = before + NOTHING
    if whole <= allowed and all(weight.get(key, -1.0) >= -WORSE for key in ranked):
        return ranked
    kept: list[int] = []
    now = before
    for key in ranked if len(ranked) > 1 else ():
        error = workbench.tried([proven[each] for each in (*kept, key)])
        if error <= now * (1 + WORSE) + NOTHING:
            kept, now = [*kept, key], error
    if whole <= min(allowed, now * (1 + WORSE) + NOTHING):
        return ranked
    return kept if now <= allowed else []


def _beside(report: Report) -> tuple[str, ...]:
    """What no repair of the file mends."""
    fed = report.as_fed.comparison.findings if report.as_fed and report.as_fed.comparison.accused else ()
    texts = [o.cause.text for o in report.origins if o.runtime and o.cause]
    texts += [f"{finding.text} [{finding.kind}]" for finding in fed]
    return tuple(f"No repair of the file helps here: {text}" for text in texts)


def _evidence(report: Report) -> KeptTensors:
    if report.verdict != "diverges":
        raise InputError(f"there is nothing to repair: the verdict is '{report.verdict}'")
    if "network" not in report.homes:
        raise InputError(
            f"the file is right as it is, so there is nothing to repair in it: {report.sentence}"
        )
    if report.evidence is None:
        raise InputError("this report has lost the tensors of its run; locate again")
    if report.evidence.problem and not report.evidence.outputs:
        raise InputError(f"the run has lost the reference's outputs: {report.evidence.problem}; locate again")
    return report.evidence


def _check_target(report: Report, evidence: KeptTensors, target: Path) -> None:
    what = "The repaired model"
    if target.exists():
        refuse_input(target, inputs_of(report, evidence), what)
    refuse_other_suffix(target, what)
    refuse_unwritable_file(target, what)


def inputs_of(report: Report, evidence: KeptTensors) -> Iterator[Path]:
    """The files that the report's run has read: both models, the image."""
    for files in evidence.files:
        yield from companions(files.program)
    if report.image is not None:
        yield Path(report.image)


def _outputs(
    report: Report, truth: Mapping[str, Array], got: Mapping[str, Array]
) -> tuple[RepairedOutput, ...]:
    """The repaired model's outputs from the image, beside those of before."""
    found = []
    for before in report.outputs:
        if before.candidate in got:
            ours, array = truth[before.candidate], got[before.candidate]
            found.append(RepairedOutput(before, compare_arrays(ours, array), mask_changed(ours, array)))
    return tuple(found)


def _placed(report: Report, truth: Sequence[Array], got: Sequence[Array]) -> Iterator[RepairedOutput]:
    """The reference's outputs beside those in their places."""
    before = {output.places[0]: output for output in report.outputs if output.places[0] is not None}
    for place, (ours, theirs) in enumerate(zip(truth, got, strict=False)):
        if place in before:
            after = compare_arrays(ours, theirs)
            yield RepairedOutput(before[place], after, mask_changed(ours, theirs))
