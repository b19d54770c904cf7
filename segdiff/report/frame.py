"""How do the pairs become a table to calculate with? A row a pair, as a pandas.DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from segdiff.core.answer import PairInfo, Report
from segdiff.core.errors import InputError
from segdiff.core.metrics import Comparison

if TYPE_CHECKING:
    from segdiff.finding.case_pairs import Pairs

METRICS = ("cosine", "max_abs", "mean_abs", "rel_l2", "max_rel")


def report_frame(report: Report) -> Any:
    """The pairs of a report (pandas.DataFrame)."""
    return frame_of(report.pairs)


def pairs_frame(pairs: Pairs) -> Any:
    """The pairs of an open case (pandas.DataFrame)."""
    return frame_of(pairs)


def frame_of(pairs: Iterable[PairInfo]) -> Any:
    """A row a pair; errors that were not measured are NaN. Raises InputError where pandas is missing."""
    try:
        import pandas as pd
    except ImportError as error:
        raise InputError(
            "a DataFrame needs pandas: pip install 'segdiff[notebook]', or pip install pandas"
        ) from error
    rows = list(map(_row, pairs))
    names = dict.fromkeys(name for row in rows for name in row) or _row_names()
    return pd.DataFrame(rows, columns=list(names))


def _row(pair: PairInfo) -> dict[str, Any]:
    return {
        "reference": pair.reference,
        "candidate": pair.candidate,
        "reference_op": pair.reference_op,
        "candidate_op": pair.candidate_op,
        "shape": pair.shape,
        "state": pair.state,
        "why": pair.reason,
        **dict(_errors("isolated", pair.isolated)),
        **dict(_errors("cumulative", pair.cumulative)),
        "rounding_rel_l2": pair.noise.metrics.rel_l2 if pair.noise else float("nan"),
    }


def _row_names() -> list[str]:
    """The columns, where there is no row to take them from."""
    errors = [f"{kind}_{metric}" for kind in ("isolated", "cumulative") for metric in METRICS]
    head = ["reference", "candidate", "reference_op", "candidate_op", "shape", "state", "why"]
    return [*head, *errors, "rounding_rel_l2"]


def _errors(kind: str, comparison: Comparison | None) -> Iterator[tuple[str, float]]:
    metrics = asdict(comparison.metrics) if comparison else {}
    for name in METRICS:
        yield f"{kind}_{name}", metrics.get(name, float("nan"))
