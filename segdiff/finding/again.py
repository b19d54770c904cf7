"""Is a repaired file of half precision, or a quantised one, right operator by operator, too?

In float32 outputs that agree say so. In a coarser arithmetic they may agree within its precision while an
operator still errs by more than its own, so the file is located once more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segdiff.core.answer import Report
from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Array
from segdiff.core.kept import KeptTensors
from segdiff.finding.locate import locate
from segdiff.readers import read


def located_again(kept: KeptTensors, model: Path, timeout: float, threads: int | None) -> Report | None:
    """What ``locate`` says of a model on the same input; None where it cannot be asked. Never raises what
    segdiff raises."""
    try:
        feeds = reference_feeds(kept)
        if feeds is None:
            return None
        program = kept.files[0].program
        return locate(program, model, feeds, deployed=False, allow_nan=True, timeout=timeout, threads=threads)
    except SegdiffError:
        return None


def reference_feeds(kept: KeptTensors) -> dict[str, Array] | None:
    """The candidate's inputs, in float32 and under the reference's names; None where these are not known."""
    names = read(kept.files[0]).inputs
    wide = {
        name: array.astype(np.float32) if array.dtype.kind == "f" else array
        for name, array in kept.feeds.items()
    }
    if set(names) == set(wide):
        return wide
    return dict(zip(names, wide.values(), strict=True)) if len(names) == len(wide) == 1 else None
