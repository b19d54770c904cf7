"""Which tensors outlive a run? Those around its origins, its inputs and its outputs, copied in time."""

from __future__ import annotations

from contextlib import suppress

from segdiff.core.errors import EngineError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Array
from segdiff.core.kept import KeptTensors, SegmentTensors
from segdiff.engines import Tensor
from segdiff.finding.outputs import references
from segdiff.walk import Run, Step, ends_of

MOST_BYTES = 512 << 20
"""Of the tensors around the origins: the first ones are kept, the rest is left out."""


def keep(files: tuple[ModelFiles, ModelFiles], run: Run) -> KeptTensors:
    """Copy what is to be kept. Where the reference has to run again and fails, the rest is kept all the same,
    with the reason."""
    ends = dict(run.outputs)
    finals: dict[str, Array] = {}
    whole: tuple[Array, ...] = ()
    problem = None
    try:
        finals = {ends[name]: tensor.array.copy() for name, tensor in run.reference(ends)}
        listed = [each if each is None else each.copy() for each in references(run)]
        whole = tuple(each for each in listed if each is not None)
        whole = whole if len(whole) == len(listed) else ()
    except EngineError as error:
        problem = str(error)
    feeds = {name: tensor.array.copy() for name, tensor in run.probe.feeds.items()}
    kept: dict[str, SegmentTensors] = {}
    left = MOST_BYTES
    for step in run.origins:
        if left > 0:
            try:
                tensors = _segment(step, run)
            except EngineError as error:
                problem = problem or str(error)
                continue
            held = tensors.inputs, tensors.expected, tensors.got
            left -= sum(array.nbytes for arrays in held for array in arrays.values())
            kept.update({c: tensors for _, c in step.segment.outputs})
    return KeptTensors(files, feeds, finals, kept, problem, whole)


def _segment(step: Step, run: Run) -> SegmentTensors:
    bench = run.probe.bench(step.segment, dict(run.reference(ends_of(step))))
    segment = step.segment
    got: dict[str, Tensor] = {}
    with suppress(EngineError):  # it ran in the walk; what it made is only looked at
        got = bench.run(bench.truth)
    return SegmentTensors(
        nodes=segment.nodes,
        names={c: r for r, c in (*segment.inputs, *segment.outputs)},
        inputs={c: tensor.array.copy() for c, tensor in bench.feeds.items()},
        expected={c: tensor.array.copy() for c, tensor in bench.truth.items()},
        got={c: tensor.array.copy() for c, tensor in got.items()},
    )
