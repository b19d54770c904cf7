"""What does a file give, whole? The candidate's outputs, where the walk has not run it from the image.

As long as no segment errs the candidate's own tensors are the reference's within rounding. So one run of the
whole file tells the rest: how far its outputs are, whether the runtime takes it, and whether its optimiser
changes what it gives. Where they are farther apart than the segments' own errors account for, it runs as it
is written, too, which tells an optimiser from the network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from segdiff.align.kinds import is_exact
from segdiff.core.errors import EngineError
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.precision import EPSILON
from segdiff.deployed.legs import Legs
from segdiff.deployed.optimisation import LEAST_CHANGED, chooses
from segdiff.engines import Deployed, Engine, Tensor
from segdiff.walk import Run, Whole
from segdiff.walk.hidden import VISIBLE
from segdiff.walk.judge import NOISE_FACTOR
from segdiff.walk.masks import mask_changed
from segdiff.walk.rounding import roundings
from segdiff.walk.same import not_run
from segdiff.walk.steps import PairResult, Step

FEW = 1e-5
"""Share of a map of classes in which two that are equal within rounding may change places unasked."""

Ends = Mapping[str, tuple[Tensor, Tensor]]
"""Outputs of both models, (reference's, candidate's), by the candidate's name."""


@dataclass(frozen=True)
class Running:
    """A file that runs whole, as deployed; its engine is not to be used before the end was waited for.

    ``loaded`` waits for the model to be loaded and raises EngineError where it cannot be; ``ended`` gives
    the outputs and never raises: what could not be had is None.
    """

    loaded: Callable[[], None]
    ended: Callable[[], Whole]


def begun(
    engine: Engine, feeds: Mapping[str, Tensor], outputs: tuple[str, ...], *, last: bool = False
) -> Running:
    """Let a file run whole, as deployed, beside whatever else is done meanwhile.

    ``last``: nothing more is asked of the engine, whose memory is given back when it has answered. Then the
    answer says why there is none, unless the engine was killed: another one would hang or fail again."""

    pool = ThreadPoolExecutor(1)
    loading = pool.submit(engine.wait_until_ready)

    def asked() -> dict[str, Tensor]:
        try:
            loading.result()
            return engine.run_deployed(feeds, outputs, Deployed())
        finally:
            if last:
                with suppress(Exception):  # what matters is the answer
                    engine.close()

    running = pool.submit(asked)
    pool.shutdown(wait=False)  # who interrupts this stops the engine, and with it the thread

    def ended() -> Whole:
        try:
            return Whole(deployed=running.result())
        except EngineError as error:
            return Whole(error=error if last and not error.killed else None)

    return Running(loading.result, ended)


def with_outputs(run: Run, legs: Legs) -> Run:
    """The run with the candidate's outputs and their cumulative errors, from one run of the whole file: as
    deployed, unless no leg is asked for. Never raises: where the file does not run, its outputs stay
    unmeasured."""
    if run.walk.problem or not missing(run):
        return run
    whole, ends = run.whole or Whole(), {}
    if legs != "none":
        if run.whole is None:  # else it has been asked already, and what hangs is not waited for twice
            whole = Whole(deployed=outputs_of(run, Deployed()))
        ends = ends_of(run, whole.deployed)
        whole = replace(whole, acquitted=bool(ends) and accounted(run, ends))
    if not whole.acquitted:
        whole = replace(whole, written=outputs_of(run, Deployed("none")))
        ends = ends_of(run, whole.written)
    return replace(with_ends(run, ends), whole=whole)


def missing(run: Run) -> dict[str, str]:
    """The outputs, candidate's to reference's, that the walk has of the reference alone."""
    return {c: r for r, c in run.outputs if c not in run.walk.ends and r in run.walk.finals}


def outputs_of(run: Run, how: Deployed) -> Mapping[str, Tensor] | None:
    """The outputs of the whole file; None where it does not run so."""
    try:
        return run.probe.candidate.living().run_deployed(run.probe.feeds, run.probe.graph.outputs, how)
    except EngineError:
        return None  # asked again where that is the question (segdiff.deployed.leg, segdiff.finding.refused)


def ends_of(run: Run, outputs: Mapping[str, Tensor] | None) -> dict[str, tuple[Tensor, Tensor]]:
    """Both models' outputs, as far as the whole file has given them."""
    view = run.alignment.candidate
    names = {view.source(name): name for name in view.graph.outputs}
    return {
        c: (run.walk.finals[r], outputs[names[c]])
        for c, r in missing(run).items()
        if outputs is not None and names.get(c) in outputs
    }


def accounted(run: Run, ends: Ends) -> bool:
    """Whether the outputs err by no more than the segments' own errors add up to, in quadrature: that is the
    rounding of the whole model, and as many times of it are rounding as of a segment's. Of eight healthy
    networks it was 0.4 to 8.5 times that, and 21 in one whose weights are random. A segment that was not run,
    for both sides compute it alike, rounds all the same: optimised it is computed otherwise. What can be seen
    is asked about in any case: a segment of coarse rounding acquits nothing."""
    found = [pair.isolated for step in run.walk.steps for pair in step.pairs if pair.isolated]
    floats = [each.metrics for each in found if not each.discrete and not each.mismatch]
    units = [least_rounding(run, step) for step in run.walk.steps if not_run(step)]
    least, most = NOISE_FACTOR * EPSILON, VISIBLE * EPSILON
    in_norm = NOISE_FACTOR * math.hypot(*(metrics.rel_l2 for metrics in floats), *units)
    at_most = NOISE_FACTOR * math.hypot(*(metrics.max_rel for metrics in floats), *units)
    in_norm, at_most = (min(max(least, bound), most) for bound in (in_norm, at_most))
    fewest = LEAST_CHANGED if chooses(run.probe.graph) else 0.0

    def small(error: Comparison) -> bool:
        if error.mismatch or error.discrete:
            return not error.mismatch and error.changed <= fewest
        return error.metrics.rel_l2 <= in_norm and error.metrics.max_rel <= at_most

    return all(small(compare_arrays(ours.array, theirs.array)) for ours, theirs in ends.values())


def least_rounding(run: Run, step: Step) -> float:
    """What two right implementations of a segment may differ by at the least: a unit, or as many as a sum of
    its terms in another order is allowed; nothing where it rounds nothing."""
    graph, ops = run.probe.graph, step.segment.ops
    if all(is_exact(graph.op(index)) for index in ops):
        return 0.0
    return EPSILON * max(1.0, roundings(graph, ops, (), ()) / NOISE_FACTOR)


def with_ends(run: Run, ends: Ends) -> Run:
    """The run with these outputs, and their errors where the walk has none."""
    steps = tuple(_with_ends(step, ends) for step in run.walk.steps)
    return replace(run, walk=replace(run.walk, steps=steps, ends={**run.walk.ends, **ends}))


def _with_ends(step: Step, ends: Ends) -> Step:
    if not any(pair.candidate in ends for pair in step.pairs):
        return step
    return replace(step, pairs=tuple(_with_end(pair, ends) for pair in step.pairs))


def _with_end(pair: PairResult, ends: Ends) -> PairResult:
    if pair.cumulative is not None or pair.candidate not in ends:
        return pair
    ours, theirs = (tensor.array for tensor in ends[pair.candidate])
    return replace(pair, cumulative=compare_arrays(ours, theirs), mask_changed=mask_changed(ours, theirs))


def unexplained(run: Run) -> bool:
    """Whether the outputs are apart, or were not had, or an error is seen on the way, though no segment errs;
    or whether own tensors could not be had from the first origin on."""
    if run.walk.problem or run.walk.own == "everywhere":
        return False
    if run.walk.lost or run.walk.diverges:
        return run.walk.lost is not None
    if run.walk.leaps:
        return True
    errors = [
        p.cumulative
        for step in run.walk.steps
        for p in step.pairs
        if (p.reference, p.candidate) in run.outputs
    ]
    return any(error is None or visible(error) for error in errors)


def to_walk_again(run: Run) -> bool:
    """Whether a run that was put to the proof lacks own tensors that now count: a proof has found an origin
    that the walk had not, or has refuted all that it had, and the outputs are apart."""
    return unexplained(run) or (run.walk.diverges and run.walk.own == "nowhere")


def visible(error: Comparison) -> bool:
    """Whether an output's error is more than one need not ask about."""
    if error.mismatch or error.discrete:
        return error.mismatch is not None or error.changed > FEW
    return not error.metrics.rel_l2 <= VISIBLE * EPSILON


def one_network(run: Run) -> bool:
    """Whether both files hold the same operators all through, and leave as many of their constants to the
    caller, so that an optimiser does to one what it does to the other."""
    ours, theirs = run.alignment.reference, run.alignment.candidate
    counts = [
        (len(view.ops), len(view.graph.ops), len(view.graph.outputs), len(view.graph.replaceable))
        for view in (ours, theirs)
    ]
    walked = {index for step in run.walk.steps for index in step.segment.reference_ops}
    whole = len(walked) == len(ours.ops) and len(run.alignment.outputs) == len(ours.graph.outputs)
    return whole and counts[0] == counts[1] and all(map(not_run, run.walk.steps))
