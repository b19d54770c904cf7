"""To which dtype was the candidate's tensor brought, and what did that cost its values?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdiff.inputs.hypotheses.change import Change

Array = NDArray[Any]


@dataclass(frozen=True)
class Cast:
    """The dtype that the pipeline ends in, and the change it is, if any."""

    dtype: str
    changes: tuple[Change, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are left."""
        return np.dtype(self.dtype).kind in "iu"


def casts(candidate: Array, reference_dtype: str) -> tuple[Cast, ...]:
    """The dtypes that could have made these values, the smallest change first.

    A float64 tensor counts as float32: every engine that takes it has to round it.
    """
    dtype = candidate.dtype.newbyteorder("=")
    is_plain = dtype.name in ("float32", "float64", reference_dtype)
    if not is_plain:
        text = f"The candidate's tensor is {dtype.name}, the reference's {reference_dtype}."
        return (Cast(dtype.name, (Change("input.dtype", text),)),)
    found = [Cast(reference_dtype)]
    if dtype.kind != "f" or not np.isfinite(candidate).all():
        return tuple(found)
    if np.array_equal(candidate, np.trunc(candidate)):
        to = "uint8" if candidate.min() >= 0 and candidate.max() <= 255 else "int32"
        text = "The candidate's values are whole numbers: the rest was cut off by an integer dtype."
        found.append(Cast(to, (Change("input.dtype", text),)))
    else:
        with np.errstate(over="ignore"):
            through = candidate.astype(np.float16)
        if np.array_equal(candidate, through):
            text = "The candidate's values were rounded to float16 on the way."
            found.append(Cast("float16", (Change("input.dtype", text),)))
    return tuple(found)
