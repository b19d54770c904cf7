"""May a cause fit by chance? Where a segment has few elements it is tried on a second input, drawn at random.

A tensor of one element agrees with many things: with Max where the constant is another, with any index where
two rows are equal. So the reference runs once more, on its own input in another order, and what holds for the
first input has to hold for the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.diagnose.search import Again
from segdiff.engines import Tensor
from segdiff.walk import Run, Step, ends_of
from segdiff.walk.probe import Bench, Trial
from segdiff.walk.reference_tensors import ReferenceTensors

FEW = 16
"""Elements of a segment's outputs up to which a change that mends them may do so by chance."""

SEED = 20261127
"""Of the second input; fixed, so that a verdict can be repeated."""


def again_of(run: Run, step: Step, bench: Bench) -> Again | None:
    """The trial on a second input; None where a segment has more than a few elements."""
    size = sum(tensor.array.size for tensor in bench.truth.values())
    return _Second(run, step) if size <= FEW else None


class _Second:
    """The segment on the tensors that the reference makes of another input; it runs when first asked."""

    def __init__(self, run: Run, step: Step) -> None:
        self.run, self.step = run, step

    def __call__(self, edits: tuple[Edit, ...]) -> Trial | None:
        """The trial; None where the second input shows no error, or cannot be run."""
        return None if self.bench is None else self.bench.attempt(edits)

    @cached_property
    def bench(self) -> Bench | None:
        reference = self.run.reference
        other = ReferenceTensors(reference.engine, self._shuffled(reference.feeds), reference.budget)
        try:
            tensors = dict(other(ends_of(self.step)))
        except EngineError:
            return None
        found = self.run.probe.bench(self.step.segment, tensors)
        before = found.attempt()
        return None if before.agrees or before.problem else found

    def _shuffled(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every floating input with its elements in another order and size; shapes and integers stay."""
        random = np.random.default_rng(SEED)
        found = {}
        for name, tensor in feeds.items():
            array = tensor.array
            if array.dtype.kind == "f":
                mixed = random.permutation(array.reshape(-1)) * random.uniform(0.5, 1.5, array.size)
                found[name] = self.run.probe.blocks.tensor(mixed.astype(array.dtype).reshape(array.shape))
            else:
                found[name] = tensor
        return found
