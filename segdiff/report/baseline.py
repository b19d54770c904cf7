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
from segdiff.core.sweep_report import SweepReport, SweptPair
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
    known = known_in(baseline) if isinstance(baseline, str | Path) else tuple(baseline)
    return replace(report, baseline=held(fingerprints(report), known, path))


def held(found: Iterable[str], knows: Iterable[str], path: str | None) -> Baseline:
    """What was found, held against what is known."""
    left = Counter(knows)
    known, new = [], []
    for each in found:
        match = each if left[each] else next((k for k in left if left[k] and same_finding(k, each)), None)
        if match is None:
            new.append(each)
        else:
            left[match] -= 1
            known.append(each)
    return Baseline(path, tuple(known), tuple(new), tuple(left.elements()))


def sweep_against(swept: SweepReport, baseline: Known) -> SweepReport:
    """The sweep with a baseline at each image: what a saved sweep knows of that pair, or, of a saved report
    or a list, all that it knows. Raises InputError as :func:`against` does."""
    path = str(baseline) if isinstance(baseline, str | Path) else None
    earlier = read_answer(baseline) if isinstance(baseline, str | Path) else None
    if isinstance(earlier, SweepReport):
        of_pair = {pair.name: known_of(pair) for pair in earlier.pairs}
    else:
        knows = known_in(baseline) if isinstance(baseline, str | Path) else tuple(baseline)
        of_pair = {pair.name: knows for pair in swept.pairs}
    pairs = (
        replace(
            pair,
            images=tuple(
                replace(image, baseline=held(image.fingerprints, of_pair.get(pair.name, ()), path))
                for image in pair.images
            ),
        )
        for pair in swept.pairs
    )
    return replace(swept, pairs=tuple(pairs))


def known_of(pair: SweptPair) -> tuple[str, ...]:
    """The fingerprints of a pair of an earlier sweep, each as often as one image has it."""
    most: Counter[str] = Counter()
    for image in pair.images:
        most |= Counter(image.fingerprints)
    return tuple(most.elements())


def read_answer(path: str | Path) -> Any:
    """What a file holds: an answer, or a list. Raises InputError."""
    data: Any = read_json(path)
    return data if isinstance(data, list) else answer_of(data, path)


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
    if isinstance(answer, SweepReport):
        return tuple(each for pair in answer.pairs for each in known_of(pair))
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
