"""What does the walk look like in a spreadsheet? A row a pair, in walk order; no name is a formula."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import fields

from segdiff.core.answer import PairInfo, Report
from segdiff.core.metrics import Comparison, Metrics
from segdiff.core.printable import clean
from segdiff.report.text import shape_text
from segdiff.report.words import reason

METRICS = tuple(field.name for field in fields(Metrics))
ERRORS = ("isolated", "cumulative", "rounding")

HEAD = (
    *("pair", "state", "reference_op", "reference", "candidate_op", "candidate", "shape"),
    *(f"{error}_{metric}" for error in ERRORS for metric in METRICS),
    *("times_rounding", "reason", "cause", "proven", "fingerprint", "paired_by"),
)
"""The first row; an older file of segdiff's own is known by it."""

NAME = 2000
"""Characters of a name that a field holds."""

FORMULA = "=+-@\t\r\n|"
"""What a field must not begin with: a spreadsheet would read it as a formula."""


def render(report: Report) -> str:
    """The pairs as CSV (RFC 4180); an infinite error is ``inf``, one that was not measured is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEAD)
    origins = {(o.pair.reference, o.pair.candidate): o for o in report.origins}
    for place, pair in enumerate(report.pairs):
        origin = origins.get((pair.reference, pair.candidate)) if pair.state == "origin" else None
        cause = origin.cause if origin else None
        writer.writerow(
            (
                place + 1,
                pair.state,
                *map(_name, (pair.reference_op, pair.reference, pair.candidate_op, pair.candidate)),
                shape_text(pair.shape),
                *_numbers(pair),
                "" if pair.why.times is None else repr(pair.why.times),
                _name(reason(pair.why)),
                _name(cause.kind) if cause else "",
                str(cause.proven).lower() if cause else "",
                origin.fingerprint if origin else "",
                _name(", ".join(pair.evidence)),
            )
        )
    return text.getvalue()


def _numbers(pair: PairInfo) -> Iterator[str]:
    for error in (pair.isolated, pair.cumulative, pair.noise):
        yield from _metrics(error)


def _metrics(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return [""] * len(METRICS)
    found = (getattr(comparison.metrics, name) for name in METRICS)
    return ["nan" if math.isnan(value) else repr(float(value)) for value in found]


def _name(text: str) -> str:
    """A text of a file, on one line, that no spreadsheet takes for a formula."""
    told = clean(text, NAME)
    return f"'{told}" if told.startswith(tuple(FORMULA)) else told
