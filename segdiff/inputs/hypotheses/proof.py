"""Is what a hypothesis makes the candidate's tensor, within rounding?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdiff.inputs.hypotheses.constants import line
from segdiff.inputs.pipeline import Pipeline, Resize

Array = NDArray[Any]

ROUNDING = 2.0**-16
"""The share of a tensor's range that counts as rounding: 0.004 grey levels. Reordered float32 arithmetic
stays below a tenth of it; the coarsest fault, a resize as uint8, is a hundred times it."""
LAST_PLACES = 4 * 2.0**-23
"""The same in units of the largest value, for a tensor that lies far from zero."""
FLIPPED = 0.01
"""The share of values that may differ by one whole step where a pipeline rounds to uint8 or float16: a
float32 rounding decides on which side of a step they fall."""
FLIPPED_ENERGY = 1e-3
"""The share of the variance that they may make up: between a few whole numbers they would prove nothing."""
FLOAT16_STEP = 2.0**-10


def rounding(wanted: Array) -> float:
    """The largest difference that is rounding, for a tensor like this."""
    low, high = float(wanted.min()), float(wanted.max())
    return ROUNDING * (high - low) + LAST_PLACES * max(abs(low), abs(high))


def agrees(made: Array, wanted: Array, step: float = 0.0) -> bool:
    """Whether two tensors of one shape are equal within rounding.

    ``step`` is the quantum of a pipeline that rounds its values; up to ``FLIPPED`` of them may differ by it.
    """
    if made.shape != wanted.shape or not np.isfinite(wanted).all():
        return False
    allowed = rounding(wanted)
    error = np.abs(made.astype(np.float64) - wanted)
    worst = float(error.max())
    if not worst > allowed:
        return not np.isnan(worst)
    if worst > step + allowed or float(np.mean(error > allowed)) > FLIPPED:
        return False
    return float(np.mean(error * error)) <= FLIPPED_ENERGY * float(np.var(wanted, dtype=np.float64))


def step_of(pipeline: Pipeline, wanted: Array, channels: int) -> float:
    """The quantum of a pipeline's values: a grey level where uint8 is resized, the step of the last dtype."""
    step = 0.0
    if any(isinstance(each, Resize) and each.resample.dtype == "uint8" for each in pipeline.steps):
        step += float(np.max(np.abs(line(pipeline, channels)[0])))
    if pipeline.dtype == "float16":
        step += FLOAT16_STEP * float(np.max(np.abs(wanted)))
    elif np.dtype(pipeline.dtype).kind in "iu":
        step += 1.0
    return step
