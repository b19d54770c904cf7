"""Is what a report finds known already? It is held against a saved report, or a list of fingerprints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from segdiff.core.answer import Report
from segdiff.core.baseline import Baseline
from segdiff.core.errors import InputError
from segdiff.core.fingerprint import UNKNOWN, same_finding
from segdiff.finding.locate import locate
from segdiff.report.load import answer_of, read_json
from segdiff.score.report import ScoreReport

Known = str | Path | Iterable[str]
"""A saved report, a JSON file with a list of fingerprints, or the fingerprints themselves."""


def against(report: Report, baseline: Known) -> Report:
    """The report with its ``baseline``: which of its origins, and of the causes of another input, are known.

    Raises InputError where the baseline cannot be read, or is a report from before there were fingerprints.
    """
    path = str(baseline) if isinstance(baseline, str | Path) else None
    left = Counter(known_in(baseline) if path is not None else baseline)  # type: ignore[arg-type]
    known, new = [], []
    for each in fingerprints(report):
        match = each if left[each] else next((k for k in left if left[k] and same_finding(k, each)), None)
        if match is None:
            new.append(each)
        else:
            left[match] -= 1
            known.append(each)
    gone = tuple(left.elements())
    return replace(report, baseline=Baseline(path, tuple(known), tuple(new), gone))


def fingerprints(report: Report) -> tuple[str, ...]:
    """What is wrong: the kinds of what the candidate's input does otherwise, the origins' fingerprints."""
    fed = report.as_fed.comparison if report.as_fed else None
    causes = fed.findings if fed is not None and fed.accused else ()
    return (*(cause.kind for cause in causes), *(origin.fingerprint or UNKNOWN for origin in report.origins))


def known_in(path: str | Path) -> tuple[str, ...]:
    """The fingerprints in a saved report or a list. Raises InputError where there are none to be had."""
    data: Any = read_json(path)
    if isinstance(data, list):
        if not all(isinstance(each, str) for each in data):
            raise InputError(f"{path}: a list of known fingerprints holds text alone")
        return tuple(data)
    answer = answer_of(data, path)
    report = answer.located if isinstance(answer, ScoreReport) else answer
    if not isinstance(report, Report):
        raise InputError(f"{path}: is no report of segdiff locate, so it knows no origins")
    if any(not origin.fingerprint for origin in report.origins):
        raise InputError(f"{path}: was written before origins had fingerprints; write it anew with --json")
    return fingerprints(report)


def check(report: Report, baseline: Known | None = None) -> Report:
    """The report itself where the models agree, or nothing is new against the baseline.

    Raises AssertionError with the report in short otherwise, also where it could not be told.
    """
    __tracebackhide__ = True
    held = report if baseline is None else against(report, baseline)
    if held.exit_code != 0:
        raise AssertionError(f"\n{held}")
    return held


def assert_agrees(
    reference: str | Path, candidate: str | Path, image: Any, *, baseline: Known | None = None, **options: Any
) -> Report:
    """Locate, and raise AssertionError with the report in short where the models do not agree.

    For a test of one's own. ``options`` are those of :func:`segdiff.locate`; what ``baseline`` knows passes.
    Returns the report; raises what ``locate`` raises, too.
    """
    __tracebackhide__ = True
    return check(locate(reference, candidate, image, **options), baseline)
