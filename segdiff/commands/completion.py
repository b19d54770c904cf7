"""``segdiff completion``: what a shell needs to complete commands, options and files."""

from __future__ import annotations

import argparse

from segdiff.commands.base import COULD_NOT_TELL, Arguments, Command, Parser, common_arguments
from segdiff.commands.console import print_text
from segdiff.commands.fish import fish_script
from segdiff.commands.registry import COMMANDS

SHELLS = ("bash", "zsh", "fish")
"""shtab writes the scripts of the first two, ``segdiff.commands.fish`` that of the third."""


def completion_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff completion``."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to complete")
    common_arguments(parser)


def run_completion(arguments: Arguments, parser: Parser) -> int:
    """``segdiff completion``: print the script; where it goes stands in its help."""
    if arguments.shell == "fish":
        script = fish_script({**COMMANDS, "completion": COMMAND})
        return 0 if print_text(script) else COULD_NOT_TELL
    import shtab

    script = shtab.complete(_whole(), shell=arguments.shell)
    return 0 if print_text(script + "\n") else COULD_NOT_TELL


def _whole() -> argparse.ArgumentParser:
    """One parser with every command and option; a word that is no option is a file."""
    import shtab

    whole = argparse.ArgumentParser(prog="segdiff")
    commands = whole.add_subparsers(parser_class=Parser)
    for name, command in {**COMMANDS, "completion": COMMAND}.items():
        parser = commands.add_parser(name, help=command.summary)
        command.arguments(parser)
        for action in parser._actions:
            if action.nargs != 0 and not action.choices:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return whole


COMMAND = Command(
    "Print what your shell needs to complete segdiff's words.",
    "segdiff completion SHELL",
    completion_arguments,
    run_completion,
    (
        "segdiff completion bash > ~/.local/share/bash-completion/completions/segdiff",
        "segdiff completion zsh > ~/.zfunc/_segdiff",
        "segdiff completion fish > ~/.config/fish/completions/segdiff.fish",
    ),
    ("the script was printed", ""),
)
