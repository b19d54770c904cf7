"""What does an answer look like in a run of GitHub Actions? Annotations: a line each, read by the runner.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from typing import Any

from segdiff.report.findings import Finding, findings_of, from_here

MOST = 10
"""Annotations of a kind that GitHub shows of one step; what is more would be dropped without a word."""

COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(answer: Any) -> str:
    """A workflow command for each finding; nothing where there is none."""
    findings = findings_of(answer)
    lines = [_command(finding) for finding in findings[:MOST]]
    if len(findings) > MOST:
        lines.append(f"::notice title=segdiff::and {len(findings) - MOST} findings more, in the report")
    return "".join(f"{line}\n" for line in lines)


def _command(finding: Finding) -> str:
    title = f"segdiff: {finding.kind}" + (" (known)" if finding.known else "")
    text = "\n".join((finding.title, *finding.text))
    where = f"file={_value(from_here(finding.file))},title={_value(title)}"
    return f"::{COMMANDS[finding.level]} {where}::{_message(text)}"


def _message(text: str) -> str:
    """Text in which nothing ends the line, and so begins another command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    """A text as a property: it may not end that, either."""
    return _message(text).replace(":", "%3A").replace(",", "%2C")
