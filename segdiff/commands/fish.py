"""What does fish need to complete the words? A line an option, made from the parsers: shtab has no fish."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from segdiff.commands.base import Command


def fish_script(commands: Mapping[str, Command]) -> str:
    """The completions of these commands, for ``~/.config/fish/completions/segdiff.fish``."""
    return "\n".join(_lines(commands)) + "\n"


def _lines(commands: Mapping[str, Command]) -> Iterator[str]:
    yield "complete -c segdiff -e"
    none = f"not __fish_seen_subcommand_from help {' '.join(commands)}"
    yield f"complete -c segdiff -n {quoted(none)} -f -a help -d {quoted('Show help.')}"
    yield f"complete -c segdiff -n '__fish_seen_subcommand_from help' -f -a {quoted(' '.join(commands))}"
    for name, command in commands.items():
        yield f"complete -c segdiff -n {quoted(none)} -f -a {name} -d {quoted(command.summary)}"
        condition = quoted(f"__fish_seen_subcommand_from {name}")
        for action in command.parser(name)._actions:
            yield from _action(condition, action)


def _action(condition: str, action: argparse.Action) -> Iterator[str]:
    words = f"complete -c segdiff -n {condition}"
    values = f" -a {quoted(' '.join(map(str, action.choices)))}" if action.choices else ""
    if not action.option_strings:
        if values:
            yield f"{words} -f{values}"
        return
    for option in action.option_strings:
        words += f" -l {option[2:]}" if option.startswith("--") else f" -s {option[1:]}"
    if action.nargs != 0:
        words += f" -x{values}" if values else " -r"
    yield f"{words} -d {quoted(str(action.help or '').replace('%%', '%'))}"


def quoted(text: str) -> str:
    """A text as fish takes it, in single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
