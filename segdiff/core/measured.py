"""Which cumulative errors were measured? Of inner values all, those from the first origin on, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Inner = Literal["all", "from_first_origin", "none"]
Outputs = Literal["as_written", "as_deployed"]


@dataclass(frozen=True)
class Measured:
    """``inner``: of which values between input and output the error in a run from the image was measured;
    ``outputs``: by which run of the candidate that of the outputs was."""

    inner: Inner
    outputs: Outputs
