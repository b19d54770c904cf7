"""What does an answer look like to code scanning? SARIF 2.1.0: a result a finding, a rule a kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from segdiff.core.answer import ModelInfo, Report
from segdiff.core.printable import clean
from segdiff.core.version import VERSION
from segdiff.report.findings import Finding, findings_of, from_here
from segdiff.report.links import docs_of

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

FINGERPRINT = "segdiff/v1"
"""The name of the fingerprint: docs/json.md says what it is made of."""


def render(answer: Any) -> str:
    """The answer as a SARIF log of one run."""
    findings = findings_of(answer)
    kinds = list(dict.fromkeys(finding.kind for finding in findings))
    baseline = isinstance(answer, Report) and answer.baseline is not None
    run: dict[str, Any] = {
        "tool": {"driver": {"name": "segdiff", "version": VERSION, "rules": list(map(_rule, kinds))}},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(answer, findings)],
        "results": [_result(each, kinds, baseline) for each in findings],
    }
    if isinstance(answer, Report):
        run["artifacts"] = [each for side in (answer.reference, answer.candidate) for each in _files(side)]
        run["properties"] = {"verdict": answer.verdict, "sentence": clean(answer.sentence, 1000)}
    log = {"version": "2.1.0", "runs": [run], "$schema": SCHEMA}
    return json.dumps(log, indent=1) + "\n"


def _rule(kind: str) -> dict[str, Any]:
    page = docs_of(kind)
    return {
        "id": kind,
        "shortDescription": {"text": kind},
        "help": {"text": f"{page} in segdiff's repository explains {kind}."},
    }


def _invocation(answer: Any, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """That the run has ended as it should; where it could not tell, why."""
    told: dict[str, Any] = {
        "executionSuccessful": answer.exit_code != 2,
        "exitCode": answer.exit_code,
    }
    command = getattr(answer, "command", None)
    if command:
        told["arguments"] = [clean(word) for word in command[1:]]
    notes = [each for each in findings if each.kind == "inconclusive"]
    if notes:
        told["toolExecutionNotifications"] = [
            {"level": "warning", "message": {"text": each.title}} for each in notes
        ]
    return told


def _result(finding: Finding, kinds: list[str], baseline: bool) -> dict[str, Any]:
    where: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": uri_of(finding.file)},
            "region": {"startLine": 1},
        }
    }
    if finding.value or finding.node:
        names = {"name": finding.node or finding.value, "fullyQualifiedName": finding.value or finding.node}
        where["logicalLocations"] = [names]
    result: dict[str, Any] = {
        "ruleId": finding.kind,
        "ruleIndex": kinds.index(finding.kind),
        "level": finding.level,
        "message": {"text": "\n".join((finding.title, *finding.text))},
        "locations": [where],
    }
    if finding.fingerprint:
        result["partialFingerprints"] = {FINGERPRINT: finding.fingerprint}
    if baseline:
        result["baselineState"] = "unchanged" if finding.known else "new"
    return result


def _files(side: ModelInfo) -> list[dict[str, Any]]:
    """The files of one side, with their hashes."""
    folder = side.path.parent
    return [
        {
            "location": {"uri": uri_of(str(folder / file.name))},
            "length": file.bytes,
            "hashes": {"sha-256": file.sha256},
        }
        for file in side.files
    ]


def uri_of(path: str) -> str:
    """A path as a URI: relative where it lies below the working folder, as code scanning wants it."""
    told = from_here(path)
    readable = quote(told.encode("utf-8", "replace"), safe="/")
    return f"file://{readable}" if Path(told).is_absolute() else readable
