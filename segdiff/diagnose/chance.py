"""May a cause fit by chance? Where a segment has few elements it is tried on a second input, drawn at random.

A tensor of one element agrees with many things: with Max where the constant is another, with any index where
two rows are equal. So the reference runs once more, on its own input in another order, and what holds for the
first input has to hold for the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from segdiff.core.answer import Cause
from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.engines import Tensor
from segdiff.walk import Run, Step, ends_of
from segdiff.walk.probe import Bench
from segdiff.walk.reference_tensors import ReferenceTensors
from segdiff.walk.trial import Trial

FEW = 16
"""Elements of a segment's outputs up to which a change that mends them may do so by chance."""

SEED = 20261127
"""Of the second input; fixed, so that a verdict can be repeated."""


def told_of(cause: Cause, second: Second | None) -> Cause:
    """An unproven cause with the reason why the second input was not asked, where there is one."""
    if second is None or second.problem is None or cause.proven:
        return cause
    why = f"whether it fits by chance is not known, for a second input could not be run: {second.problem}"
    return replace(cause, text=f"{cause.text.rstrip('.')}; {why}")


def again_of(run: Run, step: Step, bench: Bench) -> Second | None:
    """The trial on a second input; None where a segment has more than a few elements."""
    size = sum(tensor.array.size for tensor in bench.truth.values())
    return Second(run, step) if size <= FEW else None


class Second:
    """The segment on the tensors that the reference makes of another input; it runs when first asked.

    ``problem`` says why it could not, None where it could or was not asked.
    """

    def __init__(self, run: Run, step: Step) -> None:
        self.run, self.step = run, step
        self.problem: str | None = None

    def __call__(self, edits: tuple[Edit, ...]) -> Trial | None:
        """The trial; None where the second input shows no error, or cannot be run."""
        return None if self.bench is None else self.bench.attempt(edits)

    @cached_property
    def bench(self) -> Bench | None:
        """The segment on the second input; None where that shows no error, or cannot be run."""
        reference = self.run.reference
        other = ReferenceTensors(reference.engine, self._shuffled(reference.feeds), reference.budget)
        try:
            tensors = dict(other(ends_of(self.step)))
        except EngineError as error:
            self.problem = str(error)
            return None
        found = self.run.probe.bench(self.step.segment, tensors)
        before = found.attempt()
        self.problem = before.problem
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
