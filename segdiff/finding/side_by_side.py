"""What must stand before two models can be compared? Both read and started; then aligned, walked, proven.

These are the first steps of the method. ``locate`` takes them once, an open case with every picture anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdiff.align import Alignment, Segment, align, cut
from segdiff.align.kinds import kind_of
from segdiff.core.answer import Cause
from segdiff.core.environment import Environment
from segdiff.core.errors import EngineError, InputError, ModelError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Array, Graph
from segdiff.core.memory import give_back
from segdiff.core.precision import arithmetic
from segdiff.core.progress import Progress
from segdiff.core.sequences import sequences
from segdiff.core.thresholds import Thresholds
from segdiff.deployed.legs import Legs
from segdiff.deployed.whole import unexplained, with_outputs
from segdiff.engines import Deployed
from segdiff.engines.cache import Cache
from segdiff.engines.dumped import DumpedReference
from segdiff.engines.registry import engine_for
from segdiff.engines.session import Engines, deploy_config, input_specs, own_specs, started
from segdiff.finding.inside import Limits
from segdiff.inputs import Prepared, is_ready, prepare
from segdiff.readers import find, read
from segdiff.readers.dumps import read_dump
from segdiff.walk import Run, Whole, walked, walked_by_itself
from segdiff.walk.same import NOTHING, need_not_run, spoiled, with_earlier
from segdiff.walk.steps import Own
from segdiff.walk.verify import doubtful, repeats_itself, surfaced, verify

if TYPE_CHECKING:
    import onnx

Image = str | Path | Array | Mapping[str, Array]


@dataclass(frozen=True)
class Sides:
    """Both models: their files, their engines, their graphs (the reference's first), and the config that says
    how a picture becomes their input. ``one_python``: the same interpreter was asked for to run both."""

    files: tuple[ModelFiles, ModelFiles]
    engines: Engines
    graphs: tuple[Graph, Graph]
    config: Any
    one_python: bool = False


def candidate_files(candidate: str | Path | onnx.ModelProto) -> ModelFiles:
    """The candidate's files. Raises InputError where no engine can cut its segments out: it is no ONNX."""
    files = find(candidate)
    if not engine_for(files.format).cuts:
        raise InputError(
            f"{files.program}: the candidate must be an .onnx file; it comes after the reference"
        )
    return files


@contextmanager
def both_sides(
    files: tuple[ModelFiles, ModelFiles],
    limits: Limits,
    pythons: tuple[str | None, str | None] = (None, None),
    dumped: Path | None = None,
    cache: Cache | None = None,
    first: Deployed | None = None,
) -> Iterator[Sides]:
    """Both models, read while their engines start; the engines are stopped at the end, whatever happens.

    With ``dumped`` the reference's values come from that dump; with ``cache`` it runs for what that does not
    hold. ``first`` is how the candidate will run before anything else, None where its parts will.

    Raises ModelError where a file cannot be read.
    """
    with started(files, limits.memory, limits.timeout, limits.threads, pythons, dumped, cache) as engines:
        if first is None:
            engines.get_ready_to_cut()
        else:
            engines.candidate.engine.prepare(first)
        graphs = written(read(files[0])), read(files[1])
        if isinstance(engines.reference, DumpedReference) and dumped is not None:
            engines.reference.opened(read_dump(dumped, graphs[0]))
        yield Sides(files, engines, graphs, deploy_config(files), pythons[0] == pythons[1])


def written(graph: Graph) -> Graph:
    """The reference's graph. Raises ModelError where nothing writes one of its outputs: it cannot run."""
    if graph.unwritten:
        name = graph.unwritten[0]
        raise ModelError(f"{graph.path}: nothing writes the output {name}; export the model again")
    return graph


def prepared_for(sides: Sides, image: Image, *, allow_nan: bool) -> Prepared:
    """The image as the reference is fed it. Raises InputError."""
    specs = own_specs(sides.graphs[0]) if is_ready(image) else input_specs(sides.graphs)
    return prepare(image, specs, sides.config, allow_nan=allow_nan)


def once_ready(sides: Sides) -> Environment:
    """What computes both sides, once both models are loaded. Raises EngineError where one cannot be."""
    sides.engines.wait_until_ready()
    sides.engines.show_numbers(sides.graphs)
    return sides.engines.environment()


def aligned(sides: Sides) -> Alignment:
    """The pairs of values that can be compared."""
    found = align(*sides.graphs)
    found = observable(found, sides.engines.hidden(sides.graphs[0]), sequences(sides.graphs[1]))
    give_back()
    return found


def observable(alignment: Alignment, hidden: frozenset[str], lists: frozenset[str]) -> Alignment:
    """The alignment without pairs of values that no engine can show: the reference's that are ``hidden``, or
    constants of its file that it gives out, and the candidate's that are ``lists`` of tensors."""
    unseen = hidden | set(alignment.reference.graph.parameters)
    pairs = {r: c for r, c in alignment.pairs.items() if r not in unseen and c not in lists}
    if len(pairs) == len(alignment.pairs):
        return alignment
    segments = cut(alignment.reference, alignment.candidate, pairs)
    return replace(alignment, pairs=pairs, segments=segments)


def walked_with(
    sides: Sides,
    alignment: Alignment,
    prepared: Prepared,
    thresholds: Thresholds,
    memory: int,
    progress: Progress,
) -> Run:
    """Both models walked side by side from the image, half of the ``memory`` (bytes) kept for the proofs; the
    candidate's own tensors are looked at everywhere."""
    return _walked(sides, alignment, prepared, thresholds, memory, progress, "everywhere")


def passed_with(
    sides: Sides,
    alignment: Alignment,
    prepared: Prepared,
    thresholds: Thresholds,
    memory: int,
    progress: Progress,
    legs: Legs,
    whole: Callable[[], Whole] | None = None,
) -> Run:
    """Both models in one pass: the candidate's segments on the reference's tensors, on its own from the first
    origin on; its outputs from one run of the whole file: ``whole`` waits for the one that is under way, if
    any is. What holds the same operators on both sides, run by one runtime, is not run as long as nothing
    errs; where that is all, the reference runs while the candidate still does.

    Where the outputs are apart though no segment errs, both walk once more, and every own tensor is looked
    at. So they are from the start where the arithmetic is coarse, for then rounding alone moves them far from
    the reference's, and where the user has bounds of his own, for they hold for cumulative errors, too.
    """

    def walk(own: Own, same: frozenset[Segment] = NOTHING) -> Run:
        return _walked(sides, alignment, prepared, thresholds, memory, progress, own, same)

    if not in_one_pass(sides, thresholds):
        return walk("everywhere")
    same = need_not_run(sides.engines, alignment) if sides.one_python else NOTHING
    ended = whole() if whole and not same.issuperset(alignment.segments) else None
    run = walk("from the first origin", same)
    ended = whole() if whole and ended is None else ended
    if same and spoiled(run.walk) and sides.engines.reference.goes_on:
        again = walk("from the first origin")
        run = replace(again, walk=with_earlier(again.walk, run.walk))
        del again  # below, the tensors it keeps go with the run
    run = with_outputs(replace(run, whole=ended), legs)
    if not unexplained(run):
        return run
    ended = run.whole
    del run  # and with it the tensors that it keeps
    return replace(walk("everywhere"), whole=ended)


def in_one_pass(sides: Sides, thresholds: Thresholds) -> bool:
    """Whether the candidate's own tensors can wait for an origin: not where they count for themselves."""
    return not thresholds.given and all(arithmetic(graph) == "float32" for graph in sides.graphs)


def _walked(
    sides: Sides,
    alignment: Alignment,
    prepared: Prepared,
    thresholds: Thresholds,
    memory: int,
    progress: Progress,
    own: Own,
    same: frozenset[Segment] = NOTHING,
) -> Run:
    if not same.issuperset(alignment.segments):
        sides.engines.get_ready_to_cut()
    feeds = sides.engines.feeds(sides.graphs, alignment.pairs, prepared)
    total = len(alignment.segments)

    def told(done: int) -> None:
        progress("walk", done, total)

    return walked(sides.engines, alignment, feeds, thresholds, memory // 2, told, own, same)


def walked_once(
    sides: Sides,
    alignment: Alignment,
    prepared: Prepared,
    thresholds: Thresholds,
    memory: int,
    progress: Progress,
) -> Run:
    """As :func:`walked_with`, of one file that stands on both sides (:func:`is_one_file`)."""
    feeds = sides.engines.feeds(sides.graphs, alignment.pairs, prepared)
    total = len(alignment.segments)
    return walked_by_itself(
        sides.engines, alignment, feeds, thresholds, memory // 2, lambda done: progress("walk", done, total)
    )


def is_one_file(files: tuple[ModelFiles, ModelFiles], graph: Graph) -> bool:
    """Whether both sides are the very same file, which gives the same whenever it runs."""
    ours, theirs = files
    if ours.format != theirs.format or ours.program.resolve() != theirs.program.resolve():
        return False
    return not any(kind_of(op) == "random" for op in graph.ops)


def proven(run: Run, reasons: list[str]) -> Run:
    """Every origin put to the proof."""
    if run.walk.problem or not any(doubtful(run, step) for step in run.walk.steps):
        return surfaced(run)
    run = surfaced(verify(run))
    reasons += run.walk.reasons
    return run


def unrepeated(run: Run, causes: Mapping[Segment, Cause], reasons: list[str]) -> tuple[str, ...]:
    """The values in which the reference contradicts itself, of origins without a proven cause."""
    told = {segment for segment, cause in causes.items() if cause.proven}
    if run.walk.problem or all(step.segment in told for step in run.origins):
        return ()
    try:
        return tuple(repeats_itself(run, told))
    except EngineError as error:
        reasons.append(f"Whether the reference repeats itself is not known: {error}")
        return ()
