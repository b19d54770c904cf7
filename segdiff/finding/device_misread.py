"""Is a tensor in another layout what the device handed on, or only how it was written down?

What reads it tells: where those operators err on the tensor as it lies in the dump, and are right on what the
file makes in its place, the device had it right, and nobody behind is to blame.
"""

from __future__ import annotations

from dataclasses import replace

from segdiff.align import Segment
from segdiff.core.answer import Cause
from segdiff.core.errors import EngineError
from segdiff.diagnose.device import Sight, laid_out, sights_of
from segdiff.engines import Tensor
from segdiff.walk import Run, Step, ends_of
from segdiff.walk.device import DeviceProbe
from segdiff.walk.judge import Judgement
from segdiff.walk.steps import PairResult

ONLY_WRITTEN = "What reads it agrees with the file's: it is only written so in the dump."


def misread(run: Run) -> tuple[Run, dict[Segment, Cause]]:
    """The run without the origins of operators that were judged on a misread tensor, and the cause of each
    that was. Raises nothing that an engine does."""
    causes: dict[Segment, Cause] = {}
    for step in run.origins:
        readers = [each for each in run.origins if each is not step and reads(each, step)]
        if not readers:
            continue
        try:
            found = [(sight, laid_out(sight)) for sight in sights_of(run, step)]
            right = {sight.value: sight for sight, cause in found if cause is not None}
            mended = [each for each in readers if agrees(run, each, right)] if right else []
        except EngineError:
            continue
        if mended and len(mended) == len(readers):
            cause = next(cause for _, cause in found if cause is not None)
            causes[step.segment] = replace(cause, text=f"{cause.text} {ONLY_WRITTEN}")
            run = without_origins(run, mended)
    return run, causes


def reads(step: Step, before: Step) -> bool:
    """Whether a segment starts from what another one ends in."""
    return bool(set(step.segment.inputs) & set(before.segment.outputs))


def agrees(run: Run, step: Step, right: dict[str, Sight]) -> bool:
    """Whether a segment is right once it reads what the file makes, in the device's precision."""
    tensors = dict(run.reference(ends_of(step)))
    for value, sight in right.items():
        if value in tensors:
            tensors[value] = stored_like(sight, run)
    return run.probe.bench(step.segment, tensors).attempt().agrees


def stored_like(sight: Sight, run: Run) -> Tensor:
    """Our tensor, rounded as the device rounds this value."""
    probe = run.probe
    half = isinstance(probe, DeviceProbe) and probe.stored.get(sight.value) == "float16"
    array = sight.mine.astype("float16") if half else sight.mine
    return probe.blocks.tensor(array)


def without_origins(run: Run, steps: list[Step]) -> Run:
    """The run in which these steps are right."""
    walked = tuple(
        replace(step, pairs=tuple(map(_right, step.pairs))) if step in steps else step
        for step in run.walk.steps
    )
    return replace(run, walk=replace(run.walk, steps=walked))


def _right(pair: PairResult) -> PairResult:
    if pair.judgement is None or not pair.judgement.fault:
        return pair
    return replace(pair, judgement=Judgement("misread"), isolated=None)
