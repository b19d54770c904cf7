"""What does the arithmetic of a file cost? Of a model in half precision, or quantised, even a right one."""

from __future__ import annotations

import math

from segdiff.core.errors import EngineError
from segdiff.core.metrics import compare_arrays
from segdiff.core.precision import Precision, arithmetic
from segdiff.engines import Deployed
from segdiff.walk import Run
from segdiff.walk.masks import mask_changed


def precision_of(run: Run, reasons: list[str]) -> Precision | None:
    """The arithmetic of both sides and what comes with it; None where both compute in float32 or finer.

    The final error is that of the candidate's file as it runs here, whole: onnxruntime's CPU keeps float32
    between the operators of a float16 graph, where the walk stores every value as the file says. Why it is
    not known goes to ``reasons``.
    """
    ours, theirs = arithmetic(run.probe.reference), arithmetic(run.probe.graph)
    if {ours, theirs} <= {"float32"}:
        return None
    judged = [step for step in run.walk.steps if all(pair.judgement is not None for pair in step.pairs)]
    within = sum(not step.is_origin for step in judged)
    found = Precision(ours, theirs, len(run.walk.steps), within)
    if run.walk.problem:
        return found
    try:
        return _with_final(run, found)
    except EngineError as error:
        reasons.append(f"What this arithmetic costs in the end is not known: {error}")
        return found


def _with_final(run: Run, found: Precision) -> Precision:
    graph, view = run.probe.graph, run.alignment.candidate
    names = {view.source(name): name for name in graph.outputs}
    got = run.probe.candidate.living().run_deployed(run.probe.feeds, graph.outputs, Deployed("none"))
    truth = dict(run.reference([r for r, _ in run.outputs]))
    pairs = [(truth[r].array, got[names[c]].array) for r, c in run.outputs if r in truth and c in names]
    errors = [compare_arrays(ours, theirs).metrics.rel_l2 for ours, theirs in pairs]
    changed = [share for ours, theirs in pairs if (share := mask_changed(ours, theirs)) is not None]
    error = max((e for e in errors if math.isfinite(e)), default=None)
    whole = error if all(map(math.isfinite, errors)) else None
    return Precision(
        found.reference, found.candidate, found.segments, found.within, whole, max(changed, default=None)
    )
