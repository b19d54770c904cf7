"""The ``segdiff`` command: arguments in, report out, an exit code that a script can trust.

0 agrees, 1 diverges, 2 could not tell (with one plain line on stderr), 130 interrupted. Everything heavy is
imported inside the commands, so that ``--help`` and usage errors come at once.

A new command is a module in ``segdiff.commands`` and a word in ``registry.COMMANDS``.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from segdiff import __version__
from segdiff.commands import completion, registry
from segdiff.commands.base import COULD_NOT_TELL, BadUsage, Command, Parser
from segdiff.commands.console import complain, flush, one_line, prepare_streams, print_text
from segdiff.commands.guard import failed
from segdiff.core.errors import SegdiffError

INTERRUPTED = 130

COLLECT_AFTER = 100_000
"""Objects made between two looks for garbage, instead of Python's 700: of two ONNX files of 1,300 operators 6
per cent of the time, of small ones nothing."""

COMMANDS: Mapping[str, Command] = {**registry.COMMANDS, "completion": completion.COMMAND}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the result is the exit code."""
    atexit.register(gc.freeze)  # or Python looks through all that goes with the process anyway
    prepare_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        return _dispatch(words)
    except BadUsage as error:
        failed(words, error.told)
        raise
    except KeyboardInterrupt as error:
        complain("interrupted")
        failed(words, error)
        return INTERRUPTED
    except SegdiffError as error:
        failed(words, error)
        return _failed(one_line(error), debug)
    except Exception as error:
        failed(words, error)
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
        print_text(top.format_help())
        top.error("give a command")
    if words[0] == "help":
        words = [*words[1:2], "--help"]
    options = top.parse_args(words[:1])
    name = options.command
    if name not in COMMANDS:
        top.error(_no_such(name))
    command = COMMANDS[name]
    parser = command.parser(name)
    arguments = parser.words(words[1:])
    arguments.words = ("segdiff", *words)
    with seldom_collected():
        return command.run(arguments, parser)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage more seldom: two graphs are many objects, and what is looked through is none."""
    usual = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _no_such(name: str) -> str:
    """What to say to a word that is no command: the one that was meant, or that a file needs one."""
    if Path(name).suffix or Path(name).exists():
        return f"{name!r} is no command; did you mean 'segdiff locate {name} ...'?"
    close = get_close_matches(name, COMMANDS, n=1)
    if close:
        return f"no such command: {name!r}; did you mean {close[0]!r}?"
    return f"no such command: {name!r}; there are {', '.join(COMMANDS)}"


def _top_parser() -> Parser:
    listing = "\n".join(f"  {name:<12}{command.summary}" for name, command in COMMANDS.items())
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
