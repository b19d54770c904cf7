"""Are they the same rows in another order? A detector's boxes, grouped by class or sorted by score.

Two lists of boxes are compared as sets: each row of one is given the nearest free row of the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segdiff.align import Segment
from segdiff.core.answer import Cause
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.finding.tails import errs
from segdiff.walk import Run, Step, ends_of

FEWEST_COLUMNS = 4
"""A row of fewer numbers is found again by chance."""

MOST_ROWS = 4096

SAME_ROW = 1e-3
"""How far two rows may be apart, of the span of each column: far above rounding, below any two boxes."""


@dataclass(frozen=True)
class Rows:
    """``pairs`` of equal rows (reference, candidate) in the reference's order, and the error between them."""

    pairs: tuple[tuple[int, int], ...]
    counts: tuple[int, int]
    error: Comparison

    @property
    def reordered(self) -> bool:
        """Whether the equal rows stand in another order."""
        places = [j for _, j in self.pairs]
        return places != sorted(places)

    @property
    def complete(self) -> bool:
        """Whether every row has a partner on the other side."""
        return self.counts == (len(self.pairs), len(self.pairs))


def other_order(run: Run, told: frozenset[Segment], remarks: list[str]) -> dict[Segment, Cause]:
    """The causes of erring outputs whose rows are the reference's in another order, or fewer or more of them.

    ``told`` are segments whose cause is known. Never raises: what cannot be had has no cause here, and why is
    added to ``remarks``.
    """
    found: dict[Segment, Cause] = {}
    for step in run.origins:
        finals = [pair for pair in step.segment.outputs if pair in run.outputs and errs(step, pair)]
        if not finals or step.segment in told:
            continue
        try:
            cause = _cause(run, step, finals)
        except EngineError as error:
            remarks.append(f"Whether {finals[0][1]!r} has its rows in another order is not known: {error}")
            continue
        if cause is not None:
            found[step.segment] = cause
    return found


def _cause(run: Run, step: Step, finals: list[tuple[str, str]]) -> Cause | None:
    truth = dict(run.reference(ends_of(step)))
    got = run.probe.bench(step.segment, truth).run([c for _, c in finals])
    for r, c in finals:
        if r not in truth:
            return None
        ours, theirs = truth[r].array, got[c].array
        rows = matched(ours, theirs)
        if rows is not None and rows.pairs:
            name = run.alignment.output_name(c)
            return words(name, ours, theirs, rows) if rows.complete and rows.reordered else None
    return None


def only_reordered(name: str, ours: Array, theirs: Array) -> str | None:
    """What to say of an output that an operator is to blame for, where its rows stand in another
    order; None where they are not."""
    rows = matched(ours, theirs)
    if rows is None or not rows.complete or not rows.reordered:
        return None
    return words(name, ours, theirs, rows).text


def words(name: str, ours: Array, theirs: Array, rows: Rows) -> Cause:
    """The cause of a complete list in another order."""
    order = sorted_by(theirs.reshape(ours.shape))
    mine = sorted_by(ours)
    how = f" (the reference's are {mine}, the candidate's {order})" if mine != order else ""
    error = rows.error.metrics
    text = (
        f"Output {name!r} has the reference's {rows.counts[0]} rows in another order{how}. "
        f"Beyond the order they differ by {error.max_abs:.2g} at the most (rel_l2 {error.rel_l2:.2g})."
    )
    return Cause("rows.order", text, True, rows.error.metrics, compare_arrays(ours, theirs).metrics)


def sorted_by(table: Array) -> str:
    """The columns that a table is sorted by, in words."""
    flat = table.reshape(-1, table.shape[-1])
    for column in range(min(flat.shape[1], 8)):
        values = flat[:, column]
        if np.all(np.diff(values) <= 0) and np.any(np.diff(values) < 0):
            return f"sorted by column {column}, falling"
        if np.all(np.diff(values) >= 0) and np.any(np.diff(values) > 0):
            return f"sorted by column {column}, rising"
    return "not sorted"


def matched(ours: Array, theirs: Array) -> Rows | None:
    """The rows of two lists that are equal; None where the two are no lists of one kind."""
    if ours.dtype.kind != "f" or theirs.dtype.kind != "f" or ours.ndim < 2 or ours.ndim != theirs.ndim:
        return None
    if ours.shape[-1] != theirs.shape[-1] or ours.shape[-1] < FEWEST_COLUMNS or ours.ndim > 3:
        return None
    a, b = (table.reshape(-1, table.shape[-1]).astype(np.float64) for table in (ours, theirs))
    if not a.size or not b.size or max(len(a), len(b)) > MOST_ROWS or not np.isfinite(a.sum() + b.sum()):
        return None
    span = np.maximum(a.max(0) - a.min(0), 1e-6 * np.abs(a).max(0) + 1e-12)
    free = np.ones(len(b), bool)
    pairs = []
    for i, row in enumerate(a):
        apart = np.abs((b - row) / span).max(1)
        apart[~free] = np.inf
        j = int(apart.argmin())
        if apart[j] <= SAME_ROW:
            free[j] = False
            pairs.append((i, j))
    left, right = ([p[side] for p in pairs] for side in (0, 1))
    return Rows(tuple(pairs), (len(a), len(b)), compare_arrays(a[left], b[right]))
