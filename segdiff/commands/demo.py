"""``segdiff demo``: locate on the bundled example, whose candidate has a planted fault."""

from __future__ import annotations

from segdiff.commands.base import COULD_NOT_TELL, Arguments, Command, Parser, common_arguments
from segdiff.commands.console import complain, one_line
from segdiff.commands.delivery import deliver
from segdiff.commands.locate import locate_arguments, located


def run_demo(arguments: Arguments, parser: Parser) -> int:
    """``segdiff demo``: locate on the bundled example, whose candidate has a planted fault."""
    from segdiff.example import example_files

    with example_files() as files:
        like_locate = Parser(prog="segdiff demo")
        locate_arguments(like_locate)
        flags = ["--debug"] * arguments.debug + ["--no-progress"] * arguments.no_progress
        arguments = like_locate.parse_args([*flags, "--", *map(str, files)])
        report = located(arguments)
    delivered = deliver(report, arguments)
    if report.verdict != "diverges":
        complain(f"the demo should have found a planted fault, but: {one_line(report.sentence)}")
        return COULD_NOT_TELL
    return 0 if delivered else COULD_NOT_TELL


COMMAND = Command(
    "Show what locate finds in a small model with a fault.",
    "segdiff demo [options]",
    common_arguments,
    run_demo,
    ("segdiff demo",),
    ("the planted fault was found", ""),
)
