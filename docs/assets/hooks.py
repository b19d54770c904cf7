"""What does the command line take? A hook of mkdocs writes it from the parsers, so it cannot go stale.

What stands between ``<!-- commands -->`` and ``<!-- /commands -->`` becomes every command with its arguments,
examples and exit codes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

MARK, END = "<!-- commands -->", "<!-- /commands -->"

TITLES = {"positional arguments": "files", "optional arguments": "options"}

ENGLISH = '# Python API\n\n这一页只有英文版 <a href="../api.html">Python API</a>。\n'


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with its mark replaced; the API, whose anchors are one of a kind, stands in English alone.

    The search finds a page once, and first in English: what is not translated stands among the Chinese pages,
    too.
    """
    chinese = page.file.dest_uri.startswith("zh/")
    if chinese:
        translated = page.file.src_uri.endswith(".zh.md")
        page.meta["search"] = {"boost": 0.5} if translated else {"exclude": True}
    if page.file.dest_uri == "zh/api.html":
        return ENGLISH
    before, mark, rest = markdown.partition(MARK)
    return before + "\n".join(commands()) + rest.partition(END)[2] if mark else markdown


def commands() -> Iterator[str]:
    """Every command, as Markdown."""
    from segdiff.commands.cli import COMMANDS

    for name, command in COMMANDS.items():
        usage = "\n".join(line.strip() for line in command.usage.splitlines())
        yield from (f"## segdiff {name}", "", _sentence(command.summary), "", "```text", usage, "```", "")
        for group in command.parser(name)._action_groups:
            yield from _group(group)
        yield from ("```text", command.ending, "```", "")


def _group(group: argparse._ArgumentGroup) -> Iterator[str]:
    actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
    if not actions:
        return
    title = TITLES.get(group.title or "", group.title)
    yield from (f"**{_sentence(title or 'options').rstrip('.')}**", "")
    if group.description:
        yield from (_sentence(group.description), "")
    yield from (
        "| option | what it does |" if actions[0].option_strings else "| file | what it is |",
        "|---|---|",
    )
    yield from (f"| {_words(action)} | {_cell(action.help or '')} |" for action in actions)
    yield ""


def _words(action: argparse.Action) -> str:
    """The option as it is typed, without breaks in it."""
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return ", ".join(f"`{word}{value}`" for word in action.option_strings)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("%%", "%")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
