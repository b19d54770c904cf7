"""``segdiff repair``: locate, then write the candidate with every proven cause mended."""

from __future__ import annotations

from segdiff.commands.base import COULD_NOT_TELL, Arguments, Command, Parser, common_arguments
from segdiff.commands.console import complain, one_line, print_answer
from segdiff.commands.guard import file_output, force_argument, guard
from segdiff.commands.locate import locate_options, located, reads


def repair_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff repair``."""
    parser.add_argument("reference", metavar="REFERENCE", help="a folder with a Paddle model, or its file")
    parser.add_argument("candidate", metavar="CANDIDATE", help="the .onnx file that is to be repaired")
    parser.add_argument("image", metavar="IMAGE", help="a picture, or ready tensors as .npy or .npz")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="where the repaired model goes")
    parser.add_argument("--repro", metavar="DIR", help="write the first origin down for a bug report, too")
    force_argument(parser)
    locate_options(parser)
    common_arguments(parser)


def run_repair(arguments: Arguments, parser: Parser) -> int:
    """``segdiff repair``: 0 the repaired file agrees, 1 it still differs, 2 could not tell."""
    arguments.files = [arguments.reference, arguments.candidate, arguments.image]
    guard(
        (
            file_output("--output", arguments.output, "model"),
            file_output("--repro", arguments.repro, "repro"),
        ),
        reads(arguments),
        arguments,
    )
    arguments.convert, arguments.opset, arguments.keep = False, None, None
    report = located(arguments)
    if report.verdict == "inconclusive":
        complain(f"could not tell: {one_line(report.sentence)}")
        return COULD_NOT_TELL
    if report.verdict == "agrees":
        print_answer(report)
        complain(f"there is nothing to repair, so {arguments.output} was not written")
        return 0
    if arguments.repro and "network" in report.homes:
        report.repro(arguments.repro)
    repaired = report.repair(arguments.output, timeout=arguments.timeout, threads=arguments.threads)
    return repaired.exit_code if print_answer(repaired) else COULD_NOT_TELL


USAGE = "segdiff repair REFERENCE CANDIDATE IMAGE -o FILE [options]"

COMMAND = Command("Mend what is proven to be wrong, in a copy.", USAGE, repair_arguments, run_repair)
