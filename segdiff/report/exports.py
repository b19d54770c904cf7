"""In which forms can an answer leave? A row each: the option that asks for it, its suffix, the module.

A new form is a module with a function from an answer to text, and a row here.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Export:
    """One form: ``--name FILE``, what ``save`` knows its files by (empty: it does not), ``module:function``
    from an answer to text, and what ``--help`` says. ``answers`` are the classes that have the form."""

    name: str
    suffix: str
    home: str
    help: str
    answers: frozenset[str] = frozenset(
        {"Report", "ScoreReport", "Repaired", "ShapesReport", "ImagesReport", "SweepReport"}
    )

    @property
    def attribute(self) -> str:
        """Where the parsed arguments keep its file."""
        return self.name.replace("-", "_")

    def text(self, answer: Any) -> str:
        """The answer in this form."""
        module, _, function = self.home.partition(":")
        return str(getattr(import_module(module), function)(answer))


LOCATED = frozenset({"Report"})
EVERY = frozenset(
    {"Report", "ScoreReport", "Repaired", "ShapesReport", "ImagesReport", "SweepReport", "HalfReport"}
)

EXPORTS = (
    Export("html", ".html", "segdiff.report.save:html_page", "one HTML page that needs nothing else", EVERY),
    Export(
        "markdown",
        ".md",
        "segdiff.report.save:markdown_page",
        "for a pull request; to $GITHUB_STEP_SUMMARY it is appended",
        EVERY,
    ),
    Export("junit", ".xml", "segdiff.report.junit:render", "JUnit's XML, for the test pages of CI systems"),
    Export("sarif", ".sarif", "segdiff.report.sarif:render", "SARIF 2.1.0, for code scanning"),
    Export("csv", ".csv", "segdiff.report.pairs_csv:render", "the pairs as a table", LOCATED),
    Export(
        "model-explorer",
        "",
        "segdiff.report.model_explorer:render",
        "node data that Model Explorer lays over the graph",
        LOCATED,
    ),
)


def exports_of(kind: str) -> tuple[Export, ...]:
    """The forms that a kind of answer has, by the name of its class."""
    return tuple(export for export in EXPORTS if kind in export.answers)


def workflow_commands(answer: Any) -> str:
    """The answer as GitHub's runner reads it."""
    from segdiff.report.github import render

    return render(answer)
