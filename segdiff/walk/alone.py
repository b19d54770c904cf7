"""What is a walk of a file that stands on both sides? One run of it: it agrees with itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from segdiff.align import Segment
from segdiff.core.errors import EngineError
from segdiff.core.metrics import compare_arrays
from segdiff.engines import Tensor
from segdiff.walk.judge import Judgement
from segdiff.walk.masks import mask_changed
from segdiff.walk.steps import Form, PairResult, Step, Walk, unmeasured


def walk_alone(
    reference: Iterator[tuple[str, Tensor]],
    segments: tuple[Segment, ...],
    feeds: Mapping[str, Tensor],
    outputs: frozenset[str],
    progress: Callable[[int], None],
) -> Walk:
    """The walk of one file that is its own candidate: each value that it gives is equal to itself.

    ``outputs`` are kept as both sides' ends. Never raises for what the engine does.
    """
    partners: dict[str, set[str]] = defaultdict(set)
    for segment in segments:
        for r, c in segment.outputs:
            partners[r].add(c)
    seen: dict[str, PairResult] = {}
    forms: dict[str, Form] = {}
    ends: dict[str, tuple[Tensor, Tensor]] = {}
    problem = None
    try:
        for name, tensor in chain(feeds.items(), reference):
            array = tensor.array
            same, changed = compare_arrays(array, array), None
            for c in partners.get(name, ()):
                forms[c] = array.dtype, array.shape
                if c in outputs:
                    ends[c], changed = (tensor, tensor), mask_changed(array, array)
                equal = Judgement("equal")
                seen[c] = PairResult(name, c, array.shape, same, same, equal, mask_changed=changed)
            progress(len(seen) * len(segments) // max(1, len(partners)))
    except EngineError as error:
        problem = str(error)
    steps = []
    for segment in segments:
        found = tuple(seen[c] for _, c in segment.outputs if c in seen)
        whole = len(found) == len(segment.outputs)
        lost = problem or "the reference did not deliver its values"
        steps.append(Step(segment, found) if whole else unmeasured(segment, lost))
    return Walk(tuple(steps), problem, forms, ends)
