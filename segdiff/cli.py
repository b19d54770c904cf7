"""The ``segdiff`` command: arguments in, report out, an exit code that a script can trust.

0 agrees, 1 diverges, 2 could not tell (with one plain line on stderr), 130 interrupted. Everything heavy is
imported inside the commands, so that ``--help`` and usage errors come at once.

A new command is a function that adds its arguments, a function that runs it, and a line in ``COMMANDS``.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from segdiff import __version__
from segdiff.errors import SegdiffError
from segdiff.report.console import (
    complain,
    flush,
    one_line,
    prepare_streams,
    print_report,
    print_text,
    quiet_stderr,
    write_atomically,
)

if TYPE_CHECKING:
    from segdiff.result import Report

COULD_NOT_TELL = 2
INTERRUPTED = 130

Arguments = argparse.Namespace


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, and exit with 2."""
        complain(f"{one_line(message)} (see {self.prog} --help)")
        raise SystemExit(COULD_NOT_TELL)


@dataclass(frozen=True)
class Command:
    """One command: what it is for, its arguments, and the function that runs it to an exit code."""

    summary: str
    usage: str
    arguments: Callable[[Parser], None]
    run: Callable[[Arguments, Parser], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the result is the exit code."""
    prepare_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except SegdiffError as error:
        return _failed(one_line(error), debug)
    except Exception as error:
        hint = "" if debug else "; run again with --debug for the traceback"
        return _failed(f"unexpected {type(error).__name__}: {one_line(error)}{hint}", debug)
    finally:
        flush()


def _failed(message: str, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    complain(message)
    return COULD_NOT_TELL


def _dispatch(words: list[str]) -> int:
    top = _top_parser()
    if not words:
        top.error("give a command")
    options = top.parse_args(words[:1])
    name = options.command
    if name not in COMMANDS:
        top.error(f"no such command: {name!r}; there are {', '.join(COMMANDS)}")
    command = COMMANDS[name]
    parser = Parser(
        prog=f"segdiff {name}", usage=command.usage, description=command.summary, allow_abbrev=False
    )
    command.arguments(parser)
    return command.run(parser.parse_intermixed_args(words[1:]), parser)


def _top_parser() -> Parser:
    listing = "\n".join(f"  {name:<10}{command.summary}" for name, command in COMMANDS.items())
    parser = Parser(
        prog="segdiff",
        usage="segdiff COMMAND ...",
        description="Find the operator where an ONNX model departs from the Paddle model it came from.",
        epilog=f"commands:\n{listing}\n\nsegdiff COMMAND --help tells more about each. Exit code: "
        "0 agrees, 1 diverges, 2 could not tell.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    parser.add_argument("command", metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


class _Version(argparse.Action):
    """Prints where the rest of the output goes, a closed pipe included."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print_text(f"segdiff {__version__}\n")
        raise SystemExit(0)


# --- segdiff locate


def locate_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff locate``."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="REFERENCE: a folder with a Paddle model, a .pdmodel, .json (PIR) or .onnx file; "
        "CANDIDATE: an .onnx file (not with --convert); IMAGE: a picture, or ready tensors as .npy or .npz",
    )
    group = parser.add_argument_group("a candidate made on the spot")
    group.add_argument("--convert", action="store_true", help="convert REFERENCE with paddle2onnx first")
    group.add_argument("--opset", type=_whole, metavar="N", help="ONNX opset of the conversion")
    group = parser.add_argument_group(
        "thresholds of your own", "By default a segment is judged against its own measured rounding."
    )
    group.add_argument("--cosine", type=_cosine, metavar="X", help="lowest cosine that is no fault")
    group.add_argument("--abs-error", type=_bound, metavar="X", help="largest max_abs that is no fault")
    group.add_argument("--rel-l2", type=_bound, metavar="X", help="largest rel_l2 that is no fault")
    group = parser.add_argument_group("resources")
    group.add_argument("--memory", type=_size, metavar="SIZE", help="for waiting tensors: 512M, 2G")
    group.add_argument(
        "--timeout", type=_seconds, default=300.0, metavar="S", help="seconds an engine may be silent (300)"
    )
    group.add_argument("--threads", type=_whole, metavar="N", help="threads of each engine (all cores)")
    group = parser.add_argument_group("output")
    group.add_argument(
        "--json", metavar="FILE", help="write the report as JSON too; - writes it to stdout, and nothing else"
    )
    group.add_argument("--all", action="store_true", help="list every pair of values")
    _common(parser)


def _common(parser: Parser) -> None:
    parser.add_argument("--debug", action="store_true", help="show tracebacks and what libraries print")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")


def run_locate(arguments: Arguments, parser: Parser) -> int:
    """``segdiff locate``: find the operator that is to blame."""
    _check_files(arguments, parser)
    report = _located(arguments)
    delivered = _deliver(report, arguments)
    if report.verdict == "inconclusive":
        complain(f"could not tell: {one_line(report.sentence)}")
    return report.exit_code if delivered else COULD_NOT_TELL


def _check_files(arguments: Arguments, parser: Parser) -> None:
    count = len(arguments.files)
    if arguments.opset is not None and not arguments.convert:
        parser.error("--opset goes with --convert")
    if arguments.convert and count != 2:
        parser.error(f"--convert takes two files, REFERENCE and IMAGE, and got {count}")
    if not arguments.convert and count == 2:
        parser.error("give REFERENCE, CANDIDATE and IMAGE, or --convert to make the candidate")
    if not arguments.convert and count != 3:
        parser.error(f"give three files, REFERENCE, CANDIDATE and IMAGE; got {count}")


def _located(arguments: Arguments) -> Report:
    import segdiff
    from segdiff.report.progress import progress_bar

    reference, *candidates, image = arguments.files
    with ExitStack() as stack:
        if not arguments.debug:
            stack.enter_context(quiet_stderr())
        progress = stack.enter_context(progress_bar(False if arguments.no_progress else None))
        if arguments.convert:
            progress("convert", 0, 0)
            candidates = [_converted(reference, arguments.opset, stack)]
        report = segdiff.locate(reference, candidates[0], image, progress=progress, **_options(arguments))
    if not arguments.convert:
        return report
    opset = f" to opset {arguments.opset}" if arguments.opset else ""
    note = f"The candidate was converted{opset} for this run and not kept."
    return replace(report, remarks=(*report.remarks, note))


def _converted(reference: str, opset: int | None, stack: ExitStack) -> Path:
    from tempfile import TemporaryDirectory

    import segdiff

    folder = Path(stack.enter_context(TemporaryDirectory(prefix="segdiff-")))
    return segdiff.convert(reference, folder / "model.onnx", opset=opset)


def _options(arguments: Arguments) -> dict[str, Any]:
    names = ("cosine", "abs_error", "rel_l2", "memory", "timeout", "threads")
    return {name: getattr(arguments, name) for name in names}


def _deliver(report: Report, arguments: Arguments) -> bool:
    """Write and print the report; whether all of it went where it should. No failure hides the rest."""
    target, delivered = arguments.json, True
    if target == "-":
        return print_text(report.to_json() + "\n")
    if target is not None:
        try:
            write_atomically(Path(target), report.to_json() + "\n")
        except (OSError, ValueError, TypeError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            complain(f"cannot write the JSON report to {target}: {reason}")
            delivered = False
    return print_report(report, all_pairs=arguments.all) and delivered


# --- segdiff demo


def run_demo(arguments: Arguments, parser: Parser) -> int:
    """``segdiff demo``: locate on the bundled example, whose candidate has a planted fault."""
    from segdiff.example import example_files

    with example_files() as files:
        like_locate = Parser(prog="segdiff demo")
        locate_arguments(like_locate)
        flags = ["--debug"] * arguments.debug + ["--no-progress"] * arguments.no_progress
        arguments = like_locate.parse_args([*flags, "--", *map(str, files)])
        report = _located(arguments)
    delivered = _deliver(report, arguments)
    if report.verdict != "diverges":
        complain(f"the demo should have found a planted fault, but: {one_line(report.sentence)}")
        return COULD_NOT_TELL
    return 0 if delivered else COULD_NOT_TELL


# --- values of options


def _bound(text: str) -> float:
    value = _number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is below 0")
    return value


def _cosine(text: str) -> float:
    value = _number(text)
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between -1 and 1")
    return value


def _seconds(text: str) -> float:
    value = _number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


_UNITS: Mapping[str, int] = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def _size(text: str) -> int:
    """``512M``, ``2G``, ``1.5GiB``, or bytes."""
    words = text.strip().upper()
    number = words.removesuffix("B").removesuffix("I").rstrip("KMGT")
    unit = words.removesuffix("B").removesuffix("I")[len(number) :]
    try:
        value = float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        value = math.nan
    if not math.isfinite(value) or value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 512M or 2G")
    return int(value)


LOCATE_USAGE = """segdiff locate REFERENCE CANDIDATE IMAGE [options]
       segdiff locate --convert REFERENCE IMAGE [options]"""

COMMANDS: Mapping[str, Command] = {
    "locate": Command(
        "Find the operator that is to blame for a difference.", LOCATE_USAGE, locate_arguments, run_locate
    ),
    "demo": Command(
        "Show what locate finds in a small model with a fault.", "segdiff demo [options]", _common, run_demo
    ),
}
