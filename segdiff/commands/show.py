"""``segdiff show``: a saved report in any form, without the models."""

from __future__ import annotations

import json
from pathlib import Path

from segdiff.commands.base import COULD_NOT_TELL, Arguments, Command, Parser
from segdiff.commands.delivery import deliver
from segdiff.commands.exports import (
    baseline_argument,
    check_baseline,
    check_forms,
    held,
    output_arguments,
    written_forms,
)
from segdiff.commands.guard import Reads, refuse_losses
from segdiff.core.errors import InputError


def show_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff show``."""
    parser.add_argument("report", metavar="REPORT", help="what --json, --out or save has written")
    baseline_argument(parser)
    output_arguments(parser, "Report", "list every pair, class and image")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def run_show(arguments: Arguments, parser: Parser) -> int:
    """``segdiff show``: the exit code is that of the report."""
    from segdiff.core.answer import Report
    from segdiff.core.sweep_report import SweepReport
    from segdiff.report.load import answer_of, read_json

    check_forms(arguments, parser)
    path = Path(arguments.report)
    data = read_json(path)
    answer = answer_of(data, path)
    if arguments.baseline is not None:
        check_baseline(arguments)
        if not isinstance(answer, Report | SweepReport):
            raise InputError(f"{path}: is no report of segdiff locate or sweep, so no baseline knows it")
        answer = held(answer, arguments)
        data = answer.to_dict()
    known = (Path(arguments.baseline),) if arguments.baseline else ()
    refuse_losses(written_forms(arguments), Reads(files=(path, *known)), arguments)
    delivered = deliver(answer, arguments, lambda: json.dumps(data, indent=1, allow_nan=False))
    return answer.exit_code if delivered else COULD_NOT_TELL


COMMAND = Command(
    "Show a saved report in any form, without the models.",
    "segdiff show REPORT [options]",
    show_arguments,
    run_show,
    ("segdiff show report.json", "segdiff show report.json --full --html report.html"),
    ("the report says that the models agree", "it says that they diverge"),
)
