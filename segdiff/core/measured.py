"""What was measured? Of inner values all cumulative errors, those from the first origin on, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Inner = Literal["all", "from_first_origin", "none"]
Outputs = Literal["as_written", "as_deployed"]


@dataclass(frozen=True)
class Measured:
    """``inner``: of which values between input and output the error in a run from the image was measured;
    ``outputs``: by which run of the candidate that of the outputs was; ``not_run``: how many pairs were
    not run, for the same operators make both, and give equal bits."""

    inner: Inner
    outputs: Outputs
    not_run: int = 0
