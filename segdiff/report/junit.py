"""What does an answer look like to a test dashboard? JUnit's XML: a case for each pair of values.

A pair that was judged right passes, an origin fails, one that could not be judged is skipped. What is no pair
(the outputs, an optimiser, the input, an answer that is not known) is a case of its own where it is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from segdiff.core.answer import PairInfo, Repaired, Report
from segdiff.core.images_report import ImagesReport
from segdiff.core.outputs import PAGE_HEAD
from segdiff.core.printable import clean
from segdiff.core.shapes_report import ShapesReport
from segdiff.core.sweep_report import SweepReport
from segdiff.core.version import VERSION
from segdiff.report.findings import (
    Finding,
    entry_findings,
    findings_of,
    image_findings,
    pair_findings,
    shape_of,
)
from segdiff.report.forms import shown
from segdiff.report.words import reason
from segdiff.score.report import ScoreReport

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


@dataclass(frozen=True)
class Case:
    """One test case; ``finding`` is why it fails, ``skipped`` why it says nothing."""

    group: str
    name: str
    finding: Finding | None = None
    skipped: str = ""


def render(answer: Any) -> str:
    """The answer as one test suite."""
    cases = list(_cases(answer))
    failed = [case for case in cases if case.finding and not case.finding.known]
    errors = [case for case in failed if case.finding and case.finding.level == "warning"]
    timing = getattr(answer, "timing_s", {})
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name="segdiff",
        tests=str(len(cases)),
        failures=str(len(failed) - len(errors)),
        errors=str(len(errors)),
        skipped=str(sum(bool(case.skipped) for case in cases)),
        time=f"{timing.get('total', sum(timing.values())):.3f}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(answer):
        ElementTree.SubElement(properties, "property", name=name, value=_text(value))
    for case in cases:
        _add(suite, case)
    ElementTree.SubElement(suite, "system-out").text = _text(shown(answer, "text", "short"))
    ElementTree.indent(root, " ")
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{PAGE_HEAD}\n{body}\n'


def _text(text: str) -> str:
    return _FORBIDDEN.sub("�", text)


def _add(suite: ElementTree.Element, case: Case) -> None:
    element = ElementTree.SubElement(
        suite, "testcase", classname=_text(case.group), name=_text(case.name), time="0"
    )
    if case.skipped:
        ElementTree.SubElement(element, "skipped", message=_text(case.skipped))
    if case.finding is None:
        return
    told = _text("\n".join((case.finding.title, *case.finding.text)))
    if case.finding.known:
        ElementTree.SubElement(element, "system-out").text = f"known: {told}"
        return
    word = "error" if case.finding.level == "warning" else "failure"
    made = ElementTree.SubElement(
        element, word, type=_text(case.finding.kind), message=_text(case.finding.title)
    )
    made.text = told


def _properties(answer: Any) -> Iterator[tuple[str, str]]:
    yield "segdiff", VERSION
    if isinstance(answer, Report):
        yield "verdict", answer.verdict
        yield "reference", clean(answer.reference.path)
        yield "candidate", clean(answer.candidate.path)
        yield "image", clean(answer.image or "an array")


def _cases(answer: Any) -> Iterator[Case]:
    findings = list(findings_of(answer))
    if isinstance(answer, Report):
        yield from _pairs(answer, findings)
        findings = [each for each in findings if not _has_row(answer, each)]
    elif isinstance(answer, Repaired):
        for output in answer.outputs:
            yield Case("segdiff.outputs", clean(output.before.candidate) or "output")
    elif isinstance(answer, ShapesReport):
        for entry in answer.entries:
            yield Case("segdiff.shapes", shape_of(entry), next(iter(entry_findings(answer, entry)), None))
        return
    elif isinstance(answer, ImagesReport):
        for located in answer.entries:
            name = clean(located.name)
            yield Case("segdiff.images", name, next(iter(image_findings(answer, located)), None))
        return
    elif isinstance(answer, SweepReport):
        for pair in answer.pairs:
            yield Case("segdiff.pairs", clean(pair.name), next(iter(pair_findings(pair)), None))
        return
    elif isinstance(answer, ScoreReport) and not findings:
        yield Case("segdiff.score", "the masks agree")
    for finding in findings:
        group = f"segdiff.{finding.kind.partition('.')[0]}"
        yield Case(group, finding.value or finding.kind, finding)
    if isinstance(answer, Report) and not answer.pairs and not findings:
        yield Case("segdiff", answer.verdict)


def _pairs(report: Report, findings: list[Finding]) -> Iterator[Case]:
    by_value = {finding.value: finding for finding in findings if _has_row(report, finding)}
    for pair in report.pairs:
        finding = by_value.get(clean(pair.candidate)) if pair.state == "origin" else None
        skipped = clean(reason(pair.why)) if pair.state == "unknown" else ""
        yield Case(f"segdiff.{clean(pair.candidate_op)}", _name(pair), finding, skipped)


def _name(pair: PairInfo) -> str:
    return f"{clean(pair.reference)} = {clean(pair.candidate)}"


def _has_row(report: Report, finding: Finding) -> bool:
    """Whether a finding is that of a pair in the walk."""
    return bool(finding.value) and any(
        pair.state == "origin" and clean(pair.candidate) == finding.value for pair in report.pairs
    )
