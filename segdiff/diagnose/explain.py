"""Which cause has each origin? The largest errors first, until the time is up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from segdiff.align import Alignment, Segment
from segdiff.align.kinds import QUANTIZE
from segdiff.core.answer import Cause
from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array, Graph
from segdiff.core.sequences import sequences
from segdiff.diagnose import families  # noqa: F401  (the families register themselves)
from segdiff.diagnose.chance import again_of, told_of
from segdiff.diagnose.hypothesis import hypotheses
from segdiff.diagnose.reading.case import Case, Form
from segdiff.diagnose.reading.difference_map import statistics, where
from segdiff.diagnose.reading.ties import equal_elements, in_no_order
from segdiff.diagnose.search import Tested, search
from segdiff.engines import Tensor
from segdiff.walk import Run, Step, ends_of
from segdiff.walk.beside import unrounded
from segdiff.walk.probe import Bench
from segdiff.walk.trial import Trial

SECONDS = 60.0
"""For the diagnosis of all origins; one alone gets at most a third."""

SHARE = 3

STUMBLED = "Its cause could not be looked for: segdiff itself failed with {error}; please report it."

NO_TIME_LEFT = "Its cause was not looked for: the time for all causes was up before its turn came."


def explain(
    run: Run,
    progress: Callable[[int], None] = lambda done: None,
    *,
    seconds: float = SECONDS,
) -> dict[Segment, Cause]:
    """The cause of every origin of the run, by its segment.

    run       a verified run; its reference is run once more for the tensors at the origins' ends
    progress  told how many origins are done
    seconds   for all origins together, or a multiple of what the walk took where that is more; one alone
              gets at most a third of them

    A cause is ``proven`` where its change makes the segment agree on the reference's own tensors; ``before``
    and ``residual`` are the metrics of the output that errs most, without and with the change. One that was
    not found, or not looked for, is ``unknown`` and says why in its text. Raises nothing that an engine does.
    """
    seconds = run.walk.patience(seconds)
    end = time.monotonic() + seconds
    causes: dict[Segment, Cause] = {}
    for number, step in enumerate(by_size(run.origins)):
        left = end - time.monotonic()
        if left <= 0:
            causes[step.segment] = Cause("unknown", NO_TIME_LEFT, False)
            continue
        try:
            causes[step.segment] = explained_step(run, step, min(left, seconds / SHARE))
        except EngineError as error:
            causes[step.segment] = Cause("unknown", f"Its cause could not be looked for: {error}", False)
        except Exception as error:  # a family that stumbles must not take the finished diagnosis with it
            causes[step.segment] = Cause("unknown", STUMBLED.format(error=repr(error)[:200]), False)
        progress(number + 1)
    return causes


def proven_again(run: Run, known: Mapping[Segment, Cause]) -> dict[Segment, Cause]:
    """Of causes that are ``known`` from another image those whose change mends the same segment here, too."""
    found: dict[Segment, Cause] = {}
    for step in run.origins:
        cause = known.get(step.segment)
        if cause is None or not cause.proven or not cause.edits:
            continue
        with suppress(EngineError):  # then it is explained like any other
            bench = bench_of(run, step)
            before, after = bench.attempt(), bench.attempt(cause.edits)
            if after.agrees:
                found[step.segment] = replace(cause, before=before.worst, residual=after.worst)
    return found


def by_size(steps: Iterable[Step]) -> list[Step]:
    """The first origin, then the others by their isolated error."""
    origins = [step for step in steps if step.is_origin]
    return origins[:1] + sorted(origins[1:], key=_error, reverse=True)


def _error(step: Step) -> float:
    found = [pair.isolated for pair in step.pairs if pair.isolated]
    values = [float("inf") if c.mismatch else c.metrics.rel_l2 for c in found]
    return max((math.inf if math.isnan(value) else value for value in values), default=0.0)


def explained_step(run: Run, step: Step, seconds: float) -> Cause:
    """The cause of one origin, looked for that long. Raises EngineError."""
    bench = bench_of(run, step)
    before = bench.attempt()
    if before.problem:  # it ran in the walk: the engine may have died in between, and is another one now
        before = bench.attempt()
    case, got = _case(run.alignment, bench)
    tried = _Tried(bench.attempt)
    second = again_of(run, step, bench)
    found = search(hypotheses(case), tried, before, seconds, second)
    return told_of(_cause(found, before) if found else _unknown(case, got, tried, before), second)


def bench_of(run: Run, step: Step) -> Bench:
    """A segment between the reference's tensors, those included that it lost. Raises EngineError."""
    lost = lost_inputs(run, step.segment)
    segment = replace(step.segment, inputs=(*step.segment.inputs, *lost))
    return run.probe.bench(segment, dict(run.reference(ends_of(step) | {r for r, _ in lost})))


def lost_inputs(run: Run, segment: Segment) -> tuple[tuple[str, str], ...]:
    """Pairs that the reference's operators read and the candidate's do not, though it has them by then.

    A change may then read them, too: a converter that drops an operand leaves the tensor where it is.
    """
    pairs, graph = run.alignment.pairs, run.alignment.candidate.graph
    known = {r for r, _ in (*segment.inputs, *segment.outputs)}
    first = min(segment.nodes, default=0)
    found: dict[str, str] = {}
    for index in segment.reference_ops:
        for name in run.alignment.reference.graph.op(index).inputs:
            there = pairs.get(name)
            if there is None or name in known or name in run.hidden:
                continue
            maker = graph.producer.get(there)
            if there in graph.inputs or (maker is not None and maker.index < first):
                found[name] = there
    return tuple(found.items())


@dataclass
class _Tried:
    """Trials, with what the best of them left."""

    attempt: Callable[[tuple[Edit, ...]], Trial]
    count: int = 0
    least: float = math.inf

    def __call__(self, edits: tuple[Edit, ...]) -> Trial:
        trial = self.attempt(edits)
        self.count += 1
        self.least = min(self.least, trial.error)
        return trial

    def words(self, before: Trial) -> str:
        """What was tried, in a sentence."""
        if not self.count:
            return "No cause that segdiff knows could be tried."
        ends = f"left an error of {self.least:.2g}" if math.isfinite(self.least) else "left another shape"
        was = f" of {before.error:.2g}" if math.isfinite(before.error) else ""
        return f"No cause that segdiff knows fits: {self.count} changes were tried, the best {ends}{was}."


def _case(alignment: Alignment, bench: Bench) -> tuple[Case, Mapping[str, Tensor]]:
    """The case, and the tensors that the segment makes of the reference's."""
    ours, theirs = alignment.reference.graph, alignment.candidate.graph
    segment = bench.segment
    nodes = tuple(theirs.op(index) for index in segment.nodes)
    ends = [c for _, c in segment.outputs]
    made = [name for op in nodes for name in op.outputs if name in theirs.consumers or name in ends]
    lists = sequences(theirs)
    inner = [name for name in made if name not in lists]
    got = bench.run(inner)
    forms: dict[str, Form] = {
        name: (str(tensor.array.dtype), tensor.array.shape) for name, tensor in {**bench.feeds, **got}.items()
    }
    return Case(
        reference=ours,
        candidate=theirs,
        reference_ops=tuple(ours.op(index) for index in segment.reference_ops),
        ops=tuple(theirs.op(index) for index in segment.ops),
        nodes=nodes,
        inputs=segment.inputs,
        outputs=segment.outputs,
        feeds={name: tensor.array for name, tensor in bench.feeds.items()},
        truth={name: tensor.array for name, tensor in bench.truth.items()},
        got={name: got[name].array for name in ends if name in got},
        forms=forms,
        unrounded=_unrounded(bench, theirs),
    ), got


def _unrounded(bench: Bench, graph: Graph) -> dict[str, Array]:
    """What goes into bytes inside a segment, where no bytes are made before; nothing where that does not
    run."""
    nodes = bench.segment.nodes
    read = {graph.op(index).inputs[0] for index in nodes if graph.op(index).type in QUANTIZE}
    names = read & {name for index in nodes for name in graph.op(index).outputs}
    if not names:
        return {}
    try:
        found = bench.run(sorted(names), unrounded(graph, nodes))
    except EngineError:
        return {}
    return {name: tensor.array for name, tensor in found.items()}


def _cause(found: Tested, before: Trial) -> Cause:
    hypothesis, trial = found.hypothesis, found.trial
    text = f"{hypothesis.text}." if trial.agrees else _guess(hypothesis.text, trial, before)
    return Cause(hypothesis.kind, text, trial.agrees, trial.worst, before.worst, hypothesis.edits)


def _guess(text: str, trial: Trial, before: Trial) -> str:
    """An unproven cause in words that claim no more than was measured."""
    was = f"of {before.error:.2g}" if math.isfinite(before.error) else "that had no number"
    return f"A guess: it may be that {text}. With that changed {trial.error:.2g} is left of an error {was}."


def _unknown(case: Case, got: Mapping[str, Tensor], tried: _Tried, before: Trial) -> Cause:
    known = [(case.truth[name], got[name].array) for name in case.truth if name in got]
    if not known:
        return Cause("unknown", "No tensor of its outputs could be had, so no cause was looked for.", False)
    if (tie := equal_elements(case)) is not None:
        return Cause("topk.ties", tie, False)
    if (order := in_no_order(case)) is not None:
        return Cause("topk.sorted", f"{order[:1].upper()}{order[1:]}.", False)
    ours, theirs = known[0]
    text = (
        f"{tried.words(before)} The difference is {where(ours, theirs)}. "
        f"The reference has {statistics(ours)}; the candidate {statistics(theirs)}."
    )
    return Cause("unknown", text, False)
