"""Do the models give as deployed what they give when watched? The runtime leg, from the walk to origins.

Every reader of a watched tensor keeps an operator from being fused, so the walk cannot see an optimiser's
fault. The models run once more, as their users run them (``optimisation``, beside); what is already known of
their outputs (``whole``) saves a healthy pair every further run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from segdiff.align.view import View
from segdiff.core.answer import Cause, OpInfo, Origin, PairInfo, Reason
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array
from segdiff.core.metrics import Comparison
from segdiff.core.thresholds import Thresholds
from segdiff.deployed.legs import Legs
from segdiff.deployed.optimisation import Known, RuntimeFinding, optimisation, paddle_ir
from segdiff.deployed.whole import one_network
from segdiff.engines import Engine, Tensor
from segdiff.walk import Run, Walk, Whole
from segdiff.walk.judge import TIE_FACTOR


@dataclass(frozen=True)
class AsDeployed:
    """What the optimisers change, as origins; ``remarks`` on a model that does not run as deployed.

    ``refused`` is what the candidate's runtime said where it does not take the file (a crash is none).
    """

    origins: tuple[Origin, ...] = ()
    remarks: tuple[str, ...] = ()
    refused: str | None = None


NOT_DEPLOYED = AsDeployed()

PROBES = {"runtime.optimisation": optimisation, "runtime.paddle_ir": paddle_ir}
"""By the kind of finding that an engine's optimiser gives."""

AT_FAULT = frozenset({"runtime.optimisation"})
"""The optimisers that were ever seen to change a result. Paddle's was not in any sweep that was recorded; it
runs where that is asked for."""

WORTH_A_WORD = 0.01
"""Beside a fault of the network: the share of its error that an optimiser's must have."""


@dataclass(frozen=True)
class DeployedSide:
    """One model, with what the walk knows of its outputs; ``error`` where it was run as deployed in vain."""

    name: str
    engine: Engine
    view: View
    feeds: Mapping[str, Tensor]
    known: Known
    error: EngineError | None = None


def as_deployed(
    run: Run,
    legs: Legs,
    progress: Callable[[int], None],
    beside: Callable[[], Whole] | None = None,
) -> AsDeployed:
    """Run the models as deployed that are asked for; ``beside`` waits for what the reference gives that runs
    already. Never raises: a model that fails there is a remark."""
    if run.walk.problem or legs == "none":
        return NOT_DEPLOYED
    pool, asked, running = ThreadPoolExecutor(2), [], []
    try:
        for side in sides(run, legs, beside):
            asked.append(side)
            running.append(pool.submit(probed, side, run.probe.thresholds))
            if side.name == "candidate" and legs != "all" and one_network(run) and not running[-1].result():
                break  # what an optimiser does not do to one file it does not do to the other
        found = []
        for number, each in enumerate(running):
            progress(number)
            result = each.result()
            if isinstance(result, FailedSide) and result.killed:
                # By this thread, not one of the pool's: an engine ends with the thread that has started it.
                again = next(side for side in sides(run, legs) if side.name == asked[number].name)
                result = probed(again, run.probe.thresholds)
            found.append(result)
    finally:
        pool.shutdown(wait=False)  # who interrupts this stops the engines, and with them the threads
    failed = [each for each in found if isinstance(each, FailedSide)]
    told = [f"The {each.side} does not run as deployed, optimised: {each.error}" for each in failed]
    return AsDeployed(
        tuple(each for each in found if isinstance(each, Origin)),
        (*told, *(each for each in found if isinstance(each, str))),
        next((each.error for each in failed if each.side == "candidate" and each.alive), None),
    )


@dataclass(frozen=True)
class FailedSide:
    """A side that does not run as deployed, whether its process is still there, or was ended from outside."""

    side: str
    error: str
    alive: bool
    killed: bool


def probed(side: DeployedSide, thresholds: Thresholds) -> Origin | FailedSide | str | None:
    """What the optimiser of one side changes, or why that side does not run as deployed or is not asked."""
    row = side.engine.row
    if row.optimiser is None:
        return f"The {side.name} was not run as deployed: segdiff knows no optimiser of {row.name}."
    if side.error is not None:
        return FailedSide(side.name, str(side.error), not side.error.died, killed=False)
    probe = PROBES[row.optimiser]
    try:
        found = probe(side.engine, side.view.graph, side.feeds, thresholds, side.known)
    except EngineError as error:
        return FailedSide(side.name, str(error), side.engine.is_alive, error.killed)
    return origin_of(side, found) if found else None


def sides(run: Run, legs: Legs, beside: Callable[[], Whole] | None = None) -> Iterator[DeployedSide]:
    """The candidate, then the reference; a network that is compared with itself only once, unless both are
    asked for. The candidate's own run, whole, may have told already that its optimiser does no harm."""
    ours, theirs = run.alignment.reference, run.alignment.candidate
    errors = errors_of(run.walk)
    partner = {c: r for r, c in run.alignment.pairs.items()}
    candidate, reference = run.probe.candidate.living(), run.reference.engine.living()
    if run.whole is None or not run.whole.acquitted:
        written = {c: tensors[1] for c, tensors in run.walk.ends.items() if c in partner}
        known = known_of(theirs, written, errors)
        yield DeployedSide("candidate", candidate, theirs, run.probe.feeds, with_whole(known, run.whole))
    if legs != "all" and run.whole is not None and run.whole.acquitted and one_network(run):
        return
    usual = reference.row.optimiser in AT_FAULT
    if reference.files.program != candidate.files.program and (legs == "all" or usual):
        our_ends = {**{partner[c]: t[0] for c, t in run.walk.ends.items() if c in partner}, **run.walk.finals}
        our_errors = {partner[c]: error for c, error in errors.items() if c in partner}
        whole = beside() if beside else Whole()
        known = with_whole(known_of(ours, our_ends, our_errors), whole)
        yield DeployedSide("reference", reference, ours, run.reference.feeds, known, whole.error)


def with_whole(known: Known, whole: Whole | None) -> Known:
    """What is known of a file, with the outputs that it gave as deployed."""
    if whole is None or whole.deployed is None:
        return known
    return replace(known, deployed={name: tensor.array for name, tensor in whole.deployed.items()})


def errors_of(walk: Walk) -> dict[str, Comparison]:
    """How far an optimiser may move a value, by the candidate's name: a few times as far as the two models
    are apart, which is rounding; where they diverge, a hundredth of it, or it must wait for the repair."""
    found = [pair for step in walk.steps for pair in step.pairs if pair.cumulative]
    share = WORTH_A_WORD / TIE_FACTOR if walk.diverges else 1.0
    return {pair.candidate: scaled(pair.cumulative, share) for pair in found if pair.cumulative}


def scaled(error: Comparison, share: float) -> Comparison:
    """A share of an error."""
    metrics = replace(
        error.metrics, rel_l2=error.metrics.rel_l2 * share, max_abs=error.metrics.max_abs * share
    )
    return replace(error, metrics=metrics, changed=error.changed * share)


def known_of(view: View, ends: Mapping[str, Tensor], errors: Mapping[str, Comparison]) -> Known:
    """What is known of a model's outputs, by the names that the file gives them."""
    sources = {name: view.source(name) for name in view.graph.outputs}
    arrays = {name: ends[source].array for name, source in sources.items() if source in ends}
    return Known(
        {name: array for name, array in arrays.items() if may_stand_for(view, name, array)},
        {name: errors[source] for name, source in sources.items() if source in errors},
    )


def may_stand_for(view: View, name: str, array: Array) -> bool:
    """Whether a tensor may stand for an output: what an output repeats may have another form."""
    value = view.graph.value(name)
    dtype = value.dtype in (None, array.dtype.name)
    return dtype and (value.shape is None or len(value.shape) == array.ndim)


def origin_of(side: DeployedSide, found: RuntimeFinding) -> Origin:
    """A finding in the form of every other one: the graph as written, against the graph as optimised."""
    output, error = found.worst
    place = found.rewritings[0] if found.rewritings else None
    whose = side.name == "reference" and found.kind == "runtime.optimisation"
    before, after = (place.before, place.after) if place else ((), ())
    pair = PairInfo(
        reference=output,
        candidate=place.output if place else output,
        reference_op=types(before) or "as written",
        candidate_op=types(after) or "optimised",
        shape=tuple(side.known.written[output].shape) if output in side.known.written else (),
        evidence=(f"the {side.name} against itself",),
        state="origin",
        cumulative=error,
        isolated=error,
        why=Reason("deployed"),
    )
    text = f"in the reference, {found.text}" if whose else found.text
    cause = Cause(found.kind, text, found.proven, found.residual, error.metrics)
    return Origin(pair, before, after, (), confirmed=found.proven, cause=cause)


def types(ops: tuple[OpInfo, ...]) -> str:
    """Operators in a row."""
    return " + ".join(op.type for op in ops)
