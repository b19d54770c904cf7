"""What does a report keep of its run? The tensors that a repair and a minimal repro need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from segdiff.engines import Tensor
from segdiff.graph import Array
from segdiff.readers import ModelFiles
from segdiff.walk import Lockstep, Step

MOST_BYTES = 512 << 20
"""Of the tensors around the origins: the first ones are kept, the rest is left out."""

Runner = Callable[[Iterable[str]], Iterator[tuple[str, Tensor]]]


@dataclass(frozen=True, eq=False)
class SegmentTensors:
    """A segment with the reference's tensors at its ends, by the candidate's names and in its form.

    ``nodes`` are the indices of the candidate's nodes; ``names`` leads from the candidate's to the
    reference's names.
    """

    nodes: tuple[int, ...]
    names: Mapping[str, str]
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything of a run that outlives it.

    ``feeds`` are the candidate's inputs and ``outputs`` what the reference makes of them, by the
    candidate's names; ``segments`` the origins' tensors, by the candidate's value that the origin ends in.
    """

    files: tuple[ModelFiles, ModelFiles]
    feeds: Mapping[str, Array]
    outputs: Mapping[str, Array]
    segments: Mapping[str, SegmentTensors] = field(default_factory=dict)


def collect(
    files: tuple[ModelFiles, ModelFiles],
    steps: Iterable[Step],
    lockstep: Lockstep,
    outputs: Iterable[tuple[str, str]],
    run: Runner,
) -> Evidence:
    """Copy what is to be kept; ``outputs`` are the paired model outputs (reference, candidate).

    Raises EngineError where the reference has to run again and fails.
    """
    ends = dict(outputs)
    finals = {ends[name]: tensor.array.copy() for name, tensor in run(ends)}
    feeds = {name: tensor.array.copy() for name, tensor in lockstep.feeds.items()}
    kept: dict[str, SegmentTensors] = {}
    left = MOST_BYTES
    for step in steps:
        if step.is_origin and left > 0:
            tensors = _segment(step, lockstep, run)
            left -= sum(array.nbytes for array in (*tensors.inputs.values(), *tensors.expected.values()))
            kept.update({c: tensors for _, c in step.segment.outputs})
    return Evidence(files, feeds, finals, kept)


def _segment(step: Step, lockstep: Lockstep, run: Runner) -> SegmentTensors:
    segment = step.segment
    ours = dict(run({r for r, _ in (*segment.inputs, *segment.outputs) if r}))
    return SegmentTensors(
        nodes=segment.nodes,
        names={c: r for r, c in (*segment.inputs, *segment.outputs)},
        inputs={c: lockstep.fitting(c, ours[r]).array.copy() for r, c in segment.inputs if r in ours},
        expected={c: ours[r].array.copy() for r, c in segment.outputs if r in ours},
    )
