"""Which options say where an answer goes, and in which forms? What do they write?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from segdiff.commands.base import Arguments, Parser
from segdiff.commands.guard import STDOUT, Written, file_output, force_argument
from segdiff.report.exports import EXPORTS, Export, exports_of


def output_arguments(parser: Parser, kind: str, everything: str) -> argparse._ArgumentGroup:
    """The options on what is printed and written of an answer (``kind`` is the name of its class);
    ``everything`` says what ``--all`` lists. The group of those on what is printed."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "--full", action="store_true", help="the full report: all that was measured, not a dozen lines"
    )
    group.add_argument("--all", action="store_true", help=everything)
    forms = parser.add_argument_group(
        "other forms of the answer",
        "Written beside what is printed; - writes to stdout, and nothing else.",
    )
    forms.add_argument("--json", metavar="FILE", help="the report as JSON (docs/json.md)")
    for export in exports_of(kind):
        forms.add_argument(f"--{export.name}", metavar="FILE", help=export.help)
    force_argument(group)
    return group


def written_forms(arguments: Arguments) -> tuple[Written | None, ...]:
    """The files that were asked for, the JSON report among them."""
    pages = (file_output(f"--{export.name}", target, "page") for export, target in asked_for(arguments))
    return (file_output("--json", arguments.json, "report"), *pages)


def asked_for(arguments: Arguments) -> Iterator[tuple[Export, str]]:
    """The forms that were asked for, each with its file."""
    for export in EXPORTS:
        target = getattr(arguments, export.attribute, None)
        if target is not None:
            yield export, target


def check_forms(arguments: Arguments, parser: Parser) -> None:
    """Stop where two forms would be written to stdout, which one of them must have alone."""
    wanted = ["--json"] * (arguments.json == STDOUT)
    wanted += [f"--{export.name}" for export, target in asked_for(arguments) if target == STDOUT]
    if len(wanted) > 1:
        parser.error(f"{' and '.join(wanted)} both write to stdout; give all but one of them a file")
