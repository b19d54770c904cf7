"""What else would one like to know? An open case: both models stay up, and every step can be asked again.

with segdiff.open("deploy/", "model.onnx", "street.jpg") as case:
    pair = case.first_crossing
    case.tensors(pair).isolated
    case.attempt({"Resize.0": {"coordinate_transformation_mode": "align_corners"}})
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from segdiff.align import Segment
from segdiff.core.answer import AsFed, Cause, Effect, PairInfo, Report
from segdiff.core.environment import Environment
from segdiff.core.errors import EngineError, InputError
from segdiff.core.graph import Array, Graph
from segdiff.core.late import door
from segdiff.core.printable import clean
from segdiff.core.progress import Progress, told_to
from segdiff.core.thresholds import Thresholds, crosses
from segdiff.diagnose import explain
from segdiff.diagnose.explain import bench_of
from segdiff.diagnose.reading.difference_map import where
from segdiff.engines.session import default_memory
from segdiff.finding.case_attempt import Attempted, attempted
from segdiff.finding.case_changes import Changes, edits_of
from segdiff.finding.case_pairs import Named, Pairs, Row, pairs_of
from segdiff.finding.case_run import Nodes, asked_for, ran
from segdiff.finding.case_tensors import Arrays, Compared, Shelf, Tensors
from segdiff.finding.checkpoint import other_checkpoint
from segdiff.finding.inside import Limits
from segdiff.finding.one_image import fed_input, run_as_fed
from segdiff.finding.outputs import endings
from segdiff.finding.side_by_side import (
    Image,
    Sides,
    aligned,
    both_sides,
    candidate_files,
    once_ready,
    prepared_for,
    proven,
    walked_with,
)
from segdiff.finding.verdict import readers_of
from segdiff.finding.weigh import own_values, weighed_alone
from segdiff.inputs import CandidateInput, Prepared
from segdiff.readers import find
from segdiff.readers.urls import a_file, a_model, takes_urls
from segdiff.walk import Run

if TYPE_CHECKING:
    import onnx

T = TypeVar("T")

RESTARTS = 5
"""How often an engine may be started again for one question."""


@takes_urls(reference=a_model, candidate=a_model, image=a_file)
def open_case(
    reference: str | Path | onnx.ModelProto,
    candidate: str | Path | onnx.ModelProto,
    image: Image,
    *,
    candidate_input: CandidateInput | None = None,
    cosine: float | None = None,
    abs_error: float | None = None,
    rel_l2: float | None = None,
    allow_nan: bool = False,
    memory: int | None = None,
    timeout: float = 300.0,
    threads: int | None = None,
    reference_python: str | None = None,
    candidate_python: str | None = None,
    progress: Progress | None = None,
) -> OpenCase:
    """Walk both models with an image, and keep them up to be asked more.

    The arguments are those of :func:`segdiff.locate`. ``memory`` bounds the arrays that are kept for the next
    question, too; ``timeout`` holds for every question. Close the case, or use it as a context manager.

    Raises ModelError, InputError and EngineError as ``locate`` does.

    >>> from segdiff.example import example_files
    >>> with example_files() as files, open_case(*files) as case:
    ...     attempt = case.attempt({"Resize.0": {"coordinate_transformation_mode": "align_corners"}})
    >>> attempt.agrees, attempt.outputs[0].pixels_after
    (True, 0)
    """
    limits = Limits(memory or default_memory(), timeout, threads)
    settings = Settings(Thresholds(cosine, abs_error, rel_l2), limits, allow_nan, candidate_input)
    files = find(reference), candidate_files(candidate)
    with told_to(progress) as told, ExitStack() as stack:
        told("start", 0, 0)
        sides = stack.enter_context(both_sides(files, limits, (reference_python, candidate_python)))
        prepared = prepared_for(sides, image, allow_nan=allow_nan)
        environment = once_ready(sides)
        case = OpenCase(sides, settings, environment, progress)
        case._look(image, prepared, told)
        case._kept_open(stack.pop_all())
    return case


def reopened(report: Report, *, progress: Progress | None = None) -> OpenCase:
    """Open the models of a report again, with its image and options, to ask more.

    Raises InputError where the report does not come from a run of this session.
    """
    asked = report.asked
    if asked is None:
        raise InputError(
            "this report does not know its run any more (it was read from a file); "
            "use segdiff.open(reference, candidate, image)"
        )
    return open_case(asked.reference, asked.candidate, asked.image, progress=progress, **asked.options)


@dataclass(frozen=True)
class Settings:
    """What holds for every picture of a case."""

    thresholds: Thresholds
    limits: Limits
    allow_nan: bool
    candidate_input: CandidateInput | None


@dataclass(frozen=True)
class Seen:
    """What one picture has shown."""

    image: Image
    prepared: Prepared
    run: Run
    pairs: Pairs
    causes: Mapping[Segment, Cause]
    reasons: tuple[str, ...]
    shelf: Shelf


class OpenCase:
    """Both models, running, with one image. Everything it is asked may raise EngineError; an engine that was
    killed or has crashed is started again for the next question, and InputError says that a name does not
    exist, or that the case is closed.

    A *pair* is asked for by a value or a node of either side, by its place in ``pairs``, or is a pair or an
    origin of a report. Not thread-safe.
    """

    def __init__(
        self, sides: Sides, settings: Settings, environment: Environment, told: Progress | None
    ) -> None:
        self._sides, self._settings, self._told = sides, settings, told
        self._alignment = aligned(sides)
        self._seen: Seen
        self._close: Callable[[], None] | None = None
        self.environment = environment

    # --- what is known

    @property
    def pairs(self) -> Pairs:
        """All pairs in walk order; ``case.pairs.filter(...)`` narrows them down."""
        return self._seen.pairs

    def __getitem__(self, which: Named) -> PairInfo:
        return self._seen.pairs[which]

    @property
    def graphs(self) -> tuple[Graph, Graph]:
        """The reference's and the candidate's graph: their operators, values and parameters."""
        return self._sides.graphs

    @property
    def first_crossing(self) -> PairInfo | None:
        """The first pair at which the two runs from the image differ visibly; where to begin to look."""
        thresholds = self._settings.thresholds
        return next((pair for pair in self.pairs if crosses(thresholds, pair.cumulative)), None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why something of the walk is not known."""
        return self._seen.reasons

    @property
    def restarted(self) -> tuple[str, ...]:
        """What has ended an engine that another one has taken the place of."""
        return self._sides.engines.restarted

    @property
    def feeds(self) -> Arrays:
        """The candidate's inputs, as fed."""
        tensors = self._seen.run.probe.feeds
        return Arrays({name: np.array(tensor.array) for name, tensor in tensors.items()}, "Inputs")

    def neighbours(self, which: Named, depth: int = 1) -> Pairs:
        """The pair and those around it, up to ``depth`` segments above and below, in walk order."""
        row, walk = self.pairs.row(which), self._seen.run.walk
        maker = {pair: step for step in walk.steps for pair in step.segment.outputs}
        readers = readers_of(walk)
        found = {row.step.segment}
        above, below = [row.step], [row.step]
        for _ in range(depth):
            above = [maker[pair] for step in above for pair in step.segment.inputs if pair in maker]
            below = [other for step in below for pair in step.segment.outputs for other in readers[pair]]
            found |= {step.segment for step in (*above, *below)}
        title = f"Around {clean(row.pair.candidate, 60)}"
        return Pairs((each for each in self.pairs.rows if each.step.segment in found), title)

    # --- the picture

    @property
    def image(self) -> Image:
        """The image, as it was given. Set another one to walk with it, without a new start."""
        return self._seen.image

    @image.setter
    def image(self, image: Image) -> None:
        prepared = prepared_for(self._sides, image, allow_nan=self._settings.allow_nan)
        with told_to(self._told) as told:
            self._ask(lambda: self._look(image, prepared, told))

    def _look(self, image: Image, prepared: Prepared, told: Progress) -> None:
        """Walk with an image; where that fails, the case stays with the image it had."""
        memory = self._settings.limits.memory
        run = walked_with(self._sides, self._alignment, prepared, self._settings.thresholds, memory, told)
        told("settle", 0, 0)
        reasons: list[str] = []
        run = run if other_checkpoint(run) else proven(run, reasons)
        run, ends = endings(run)
        if run.walk.problem:
            raise EngineError(run.walk.problem)
        self._seen = Seen(
            image, prepared, run, pairs_of(run), ends.causes, tuple(reasons), Shelf(memory // 2)
        )

    # --- what can be asked

    def tensors(self, which: Named) -> Tensors:
        """The three tensors of a pair: the reference's, the candidate's from the image, and what the
        candidate makes of the reference's inputs. Each is fetched when it is asked for."""
        row, seen = self.pairs.row(which), self._seen
        return Tensors(
            row.pair, lambda pair, what: self._fetched(seen, row, what), lambda: self._inputs(seen, row)
        )

    def _fetched(self, seen: Seen, row: Row, what: str) -> Array:
        pair = row.pair

        def fetch() -> Array:
            run = seen.run
            if what == "reference":
                return dict(run.reference([pair.reference]))[pair.reference].array
            if what == "candidate":
                return own_values(run, [pair.candidate])[pair.candidate].array
            return bench_of(run, row.step).run([pair.candidate])[pair.candidate].array

        return seen.shelf.got((what, pair.candidate), lambda: self._ask(fetch))

    def _inputs(self, seen: Seen, row: Row) -> dict[str, Array]:
        bench = self._ask(lambda: bench_of(seen.run, row.step))
        return {name: np.array(tensor.array) for name, tensor in bench.feeds.items()}

    def compare(self, which: Named) -> Compared:
        """A pair measured again: both errors, whether the segment agrees, where the difference sits."""
        row, run, tensors = self.pairs.row(which), self._seen.run, self.tensors(which)
        trial = self._ask(lambda: bench_of(run, row.step).attempt())
        isolated = trial.comparisons.get(row.pair.candidate)
        other = tensors.candidate if trial.agrees or isolated is None else tensors.isolated
        told = where(tensors.reference, other) if not np.array_equal(tensors.reference, other) else "nowhere"
        return Compared(row.pair, row.pair.cumulative, isolated, trial.agrees, told, tensors, trial.problem)

    def run(
        self,
        nodes: Nodes,
        feeds: Mapping[str, Array] | None = None,
        *,
        wanted: Iterable[str] | None = None,
    ) -> Arrays:
        """Run some of the candidate's nodes.

        nodes    a node, several of them, by name or by a value they write; or a pair, for its whole segment
        feeds    arrays by the candidate's values, or the reference's; what is not fed is the candidate's own
                 tensor from the image. ``case.tensors(pair).inputs`` are the reference's
        wanted   the values to return; by default those that another node reads, or nobody does
        """
        seen = self._seen
        which = asked_for(seen.run, seen.pairs, nodes, feeds or {}, wanted)
        return Arrays(self._ask(lambda: ran(seen.run, which)))

    def attempt(self, changes: Changes) -> Attempted:
        """Try a change of one's own, and measure what it does.

        changes   ``{"Resize.0": {"coordinate_transformation_mode": "align_corners"}}``: attributes by node
                  (None takes one away); a word instead of the attributes is another operator, and an array
                  behind a constant's name another constant. Also the edits of a cause, as they are

        The file is not touched; ``attempt.save("mine.onnx")`` writes a copy that has the change.
        """
        seen = self._seen
        edits = edits_of(seen.run.probe.graph, changes)
        return self._ask(lambda: attempted(seen.run, seen.pairs, edits, self._sides.files))

    def explain(self, which: Named) -> Cause:
        """Why a pair errs on equal inputs, as :func:`segdiff.locate` finds it out; a third of a minute at
        most. Raises InputError for a pair that does not err."""
        step, run = self.pairs.row(which).step, self._seen.run
        if not step.is_origin:
            raise InputError(
                f"{clean(self.pairs.row(which).pair.candidate)!r} does not err on equal inputs, "
                "so there is nothing to explain; case.pairs.origins has those that do"
            )
        if step.segment in self._seen.causes:
            return self._seen.causes[step.segment]
        alone = replace(run, walk=replace(run.walk, steps=(step,)))
        return self._ask(lambda: explain(alone))[step.segment]

    def weigh(self, which: Named, cause: Cause | None = None) -> Effect:
        """What goes away in the end with the error that a pair's segment makes on equal inputs; with a
        proven ``cause`` by its change, without by taking the error away from the candidate's tensor."""
        step, run = self.pairs.row(which).step, self._seen.run

        return self._ask(lambda: weighed_alone(run, step, cause))

    @property
    def as_fed(self) -> AsFed | None:
        """The candidate with its own input, where the case was opened with a ``candidate_input``."""
        settings, seen = self._settings, self._seen
        fed = fed_input(
            settings.candidate_input, seen.image, seen.prepared, self._sides.config, settings.limits.timeout
        )
        return self._ask(lambda: run_as_fed(seen.run, seen.prepared, fed))

    def _ask(self, question: Callable[[], T]) -> T:
        """The answer of both engines; one that is gone is started again first.

        What one that died meanwhile was asked is asked again, once: somebody may have killed it. One that the
        user interrupts is ended: it may stand in the middle of an answer.
        """
        if self.closed:
            raise InputError("this case is closed; open it again with segdiff.open, or with report.open()")
        engines = self._sides.engines
        for side in (engines.reference, engines.candidate):
            side.restarts_left = RESTARTS
            side.living()
        before = engines.candidate.engine
        try:
            answer = question()
            if engines.candidate.engine is before:  # a trial tells of a death in its result
                return answer
        except EngineError as error:
            if not error.killed:
                raise
        except KeyboardInterrupt:
            for side in (engines.reference, engines.candidate):
                side.engine.child.stop()
            raise
        return question()

    # --- open and closed

    def _kept_open(self, stack: ExitStack) -> None:
        self._close = weakref.finalize(self, stack.close)

    def close(self) -> None:
        """End both engines. What was fetched stays."""
        if self._close is not None:
            self._close()
            self._close = None

    @property
    def closed(self) -> bool:
        """Whether the engines were ended."""
        return self._close is None

    def __enter__(self) -> OpenCase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return str(door("text")(self)).rstrip()

    def _repr_html_(self) -> str:
        return str(door("html")(self))
