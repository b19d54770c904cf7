"""Which options say where an answer goes, and in which forms? What do they write?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar, cast

from segdiff.commands.base import Arguments, Parser
from segdiff.commands.guard import STDOUT, Written, file_output, force_argument
from segdiff.report.exports import EXPORTS, Export, exports_of

if TYPE_CHECKING:
    from segdiff.core.answer import Report
    from segdiff.core.sweep_report import SweepReport


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
    forms.add_argument("--github", action="store_true", help="print annotations for GitHub Actions, too")
    if kind == "Report":
        forms.add_argument("--annotate", metavar="FILE", help="a copy of the .onnx file, for Netron")
    force_argument(group)
    return group


def written_forms(arguments: Arguments) -> tuple[Written | None, ...]:
    """The files that were asked for, the JSON report among them."""
    pages = (file_output(f"--{export.name}", target, "page") for export, target in asked_for(arguments))
    model = file_output("--annotate", getattr(arguments, "annotate", None), "model")
    return (file_output("--json", arguments.json, "report"), *pages, model)


def asked_for(arguments: Arguments) -> Iterator[tuple[Export, str]]:
    """The forms that were asked for, each with its file."""
    for export in EXPORTS:
        target = getattr(arguments, export.attribute, None)
        if target is not None:
            yield export, target


def check_forms(arguments: Arguments, parser: Parser) -> None:
    """Stop where two forms would be written to stdout, which one of them must have alone; and where there
    will be no file to annotate."""
    if getattr(arguments, "annotate", None) == STDOUT:
        parser.error("--annotate writes a model; give it a file")
    if getattr(arguments, "annotate", None) and getattr(arguments, "convert", False) and not arguments.keep:
        parser.error("--annotate goes with --keep where the candidate is converted on the spot")
    wanted = ["--json"] * (arguments.json == STDOUT)
    wanted += [f"--{export.name}" for export, target in asked_for(arguments) if target == STDOUT]
    wanted += ["--github"] * arguments.github
    if len(wanted) > 1:
        parser.error(f"{' and '.join(wanted)} write to stdout, and only one can; give the others a file")


def baseline_argument(parser: Parser) -> None:
    """The option that lets pass what is known."""
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        help="a saved report, or a JSON list of fingerprints: what it knows passes, with exit code 0",
    )


def check_baseline(arguments: Arguments) -> None:
    """Read the baseline before anything runs. Raises InputError where it is none."""
    if arguments.baseline is not None:
        from segdiff.report.baseline import known_in

        known_in(arguments.baseline)


Held = TypeVar("Held", bound="Report | SweepReport")


def held(report: Held, arguments: Arguments) -> Held:
    """The report held against the baseline, where one was given."""
    return report if arguments.baseline is None else cast("Held", report.against(arguments.baseline))
