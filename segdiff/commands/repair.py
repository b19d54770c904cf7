"""``segdiff repair``: locate, then write the candidate with every proven cause mended."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from segdiff.commands.base import COULD_NOT_TELL, Arguments, Command, Parser, common_arguments
from segdiff.commands.console import complain, one_line
from segdiff.commands.delivery import deliver
from segdiff.commands.exports import check_forms, written_forms
from segdiff.commands.guard import file_output, refuse_losses
from segdiff.commands.locate import (
    check_order,
    check_shapes,
    located,
    located_shapes,
    output_options,
    reads,
    shape_options,
    write_repros,
)
from segdiff.commands.walk_options import locate_options
from segdiff.core.errors import InputError

if TYPE_CHECKING:
    from segdiff.core.answer import Report


def repair_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff repair``."""
    parser.add_argument("reference", metavar="REFERENCE", help="a folder with a Paddle model, or its file")
    parser.add_argument("candidate", metavar="CANDIDATE", help="the .onnx file that is to be repaired")
    parser.add_argument("image", metavar="IMAGE", help="a picture, or ready tensors as .npy or .npz")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="where the repaired model goes")
    shape_options(parser)
    locate_options(parser)
    output_options(parser, "Repaired", "list every value that is left as it is")
    common_arguments(parser)


def run_repair(arguments: Arguments, parser: Parser) -> int:
    """``segdiff repair``: 0 the repaired file agrees, 1 it still differs, 2 could not tell."""
    arguments.files = [arguments.reference, arguments.candidate, arguments.image]
    check_order(arguments.files, parser)
    check_shapes(arguments, parser)
    check_forms(arguments, parser)
    refuse_losses(
        (
            file_output("--output", arguments.output, "model"),
            file_output("--repro", arguments.repro, "repro"),
            file_output("--issue", arguments.issue, "repro"),
            *written_forms(arguments),
        ),
        reads(arguments),
        arguments,
    )
    arguments.convert, arguments.opset, arguments.keep = False, None, None
    report = to_repair(arguments)
    if report.verdict != "diverges":
        return nothing_repaired(report, arguments)
    write_repros(report, arguments)
    options = {name: getattr(arguments, name) for name in ("timeout", "threads", "candidate_python")}
    repaired = report.repair(arguments.output, **options)
    delivered = deliver(repaired, arguments, lambda: as_json(repaired.to_dict(), report))
    return repaired.exit_code if delivered else COULD_NOT_TELL


def to_repair(arguments: Arguments) -> Report:
    """The report to repair by; of several shapes that of the smallest which diverges. Raises InputError where
    nothing was compared."""
    if not (arguments.batch or arguments.sizes):
        return located(arguments)
    swept = located_shapes(arguments)
    if swept.told is None or swept.told.report is None:
        raise InputError(f"there is nothing to repair by: {swept.sentence}")
    return replace(swept.told.report, command=swept.command)


def nothing_repaired(report: Report, arguments: Arguments) -> int:
    """Deliver a report in which nothing was found that could be repaired; the exit code."""
    from segdiff.report.json import not_repaired_to_dict

    delivered = deliver(report, arguments, lambda: as_json(not_repaired_to_dict(report), report))
    if report.verdict == "inconclusive":
        complain(f"could not tell: {one_line(report.sentence)}")
    else:
        complain(f"there is nothing to repair, so {arguments.output} was not written")
    return report.exit_code if delivered else COULD_NOT_TELL


def as_json(repair: dict[str, Any], report: Report) -> str:
    """A repair as text, with the report that it rests on."""
    command = list(report.command) if report.command else None
    return json.dumps({**repair, "command": command, "located": report.to_dict()}, indent=1, allow_nan=False)


USAGE = "segdiff repair REFERENCE CANDIDATE IMAGE -o FILE [options]"

COMMAND = Command(
    "Mend what is proven to be wrong, in a copy.",
    USAGE,
    repair_arguments,
    run_repair,
    ("segdiff repair deploy/ model.onnx street.jpg -o fixed.onnx",),
    ("the outputs agree now, or there was nothing to repair", "they still differ"),
)
