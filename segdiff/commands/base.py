"""What do all commands share? A parser that answers in one line, a table row, the common options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import takewhile
from typing import NoReturn

from segdiff.commands.console import complain, one_line

COULD_NOT_TELL = 2

Arguments = argparse.Namespace


class BadUsage(SystemExit):
    """The exit of a command whose words make no sense; ``told`` is what was said on stderr."""

    def __init__(self, told: str) -> None:
        super().__init__(COULD_NOT_TELL)
        self.told = told


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, and exit with 2."""
        told = f"{one_line(message)} (see {self.prog} --help)"
        complain(told)
        raise BadUsage(told)

    def words(self, words: Sequence[str]) -> Arguments:
        """The arguments that some words mean, options anywhere among them; slips in options come first."""
        known = [option for action in self._actions for option in action.option_strings]
        for word in takewhile(lambda each: each != "--", words):
            name = word.partition("=")[0]
            close = get_close_matches(name, known, n=1)
            if word.startswith("--") and name not in known and close:
                self.error(f"no such option: {name}; did you mean {close[0]}?")
        return self.parse_intermixed_args(words)


@dataclass(frozen=True)
class Command:
    """One command: what it is for, its arguments, and the function that runs it to an exit code.

    ``examples`` are lines to type, ``codes`` what its exit codes 0 and 1 mean.
    """

    summary: str
    usage: str
    arguments: Callable[[Parser], None]
    run: Callable[[Arguments, Parser], int]
    examples: tuple[str, ...]
    codes: tuple[str, str]

    def parser(self, name: str) -> Parser:
        """The parser of its words."""
        parser = Parser(
            prog=f"segdiff {name}",
            usage=self.usage,
            description=self.summary,
            epilog=self.ending,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.arguments(parser)
        return parser

    @property
    def ending(self) -> str:
        """What its help ends with: examples and exit codes."""
        lines = (f"  {example}" for example in self.examples)
        meanings = zip("012", (*self.codes, "it could not tell, and stderr says why"), strict=True)
        codes = (f"  {code}  {meaning}" for code, meaning in meanings if meaning)
        return "\n".join(("examples:", *lines, "", "exit codes:", *codes))


def common_arguments(parser: Parser) -> None:
    """The options that every command has."""
    parser.add_argument("--debug", action="store_true", help="show tracebacks and what libraries print")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
