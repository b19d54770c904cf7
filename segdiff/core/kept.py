"""What does an answer keep of its run? The tensors that a repair and a minimal repro need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from segdiff.core.files import ModelFiles
from segdiff.core.graph import Array


@dataclass(frozen=True, eq=False)
class SegmentTensors:
    """A segment with the reference's tensors at its ends, by the candidate's names and in its form.

    ``nodes`` are the indices of the candidate's nodes; ``names`` leads from the candidate's to the
    reference's names. ``got`` is what the segment makes of ``inputs``; empty where it does not run.
    """

    nodes: tuple[int, ...]
    names: Mapping[str, str]
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]
    got: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class KeptTensors:
    """Everything of a run that outlives it.

    ``feeds`` are the candidate's inputs and ``outputs`` what the reference makes of them, by the
    candidate's names; ``segments`` the origins' tensors, by the candidate's value that the origin ends in.
    ``problem`` says why some of them, or all, are missing. ``finals`` are all of the reference's outputs in
    their order; empty where one of them cannot be had. ``folder`` is what the files lie in, where they were
    fetched from elsewhere: it is there as long as this is.
    """

    files: tuple[ModelFiles, ModelFiles]
    feeds: Mapping[str, Array]
    outputs: Mapping[str, Array]
    segments: Mapping[str, SegmentTensors] = field(default_factory=dict)
    problem: str | None = None
    finals: tuple[Array, ...] = ()
    folder: object = field(default=None, repr=False)
