"""What does mkdocs do besides? It writes the command line from its parsers, and an index a language.

What stands between ``<!-- commands -->`` and ``<!-- /commands -->`` becomes every command with its arguments,
examples and exit codes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

MARK, END = "<!-- commands -->", "<!-- /commands -->"

CHINESE = "zh"

TITLES = {"positional arguments": "files", "optional arguments": "options"}

ENGLISH = '# Python API\n\n这一页只有英文版 <a href="../api.html">Python API</a>。\n'


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with its mark replaced; the API, whose anchors are one of a kind, stands in English alone."""
    if page.file.dest_uri == "zh/api.html":
        return ENGLISH
    before, mark, rest = markdown.partition(MARK)
    return before + "\n".join(commands()) + rest.partition(END)[2] if mark else markdown


@event_priority(-200)
def on_post_build(config: Any, **_: Any) -> None:
    """Part the search index by language, so that a page finds pages of its own; last of all that write it."""
    site = Path(config.site_dir)
    file = site / "search" / "search_index.json"
    if not (site / CHINESE).is_dir() or not file.exists():
        return
    index = json.loads(file.read_text(encoding="utf-8"))
    entries = {True: [], False: []}
    for entry in index["docs"]:
        entries[entry["location"].startswith(f"{CHINESE}/")].append(entry)
    for entry in entries[True]:
        entry["location"] = entry["location"].removeprefix(f"{CHINESE}/")
    for folder, docs in ((site, entries[False]), (site / CHINESE, entries[True])):
        if docs:
            _write({**index, "docs": docs}, folder / "search")
    for page in (site / CHINESE).rglob("*.html"):
        root = os.path.relpath(site / CHINESE, page.parent)
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(r'"base": "[^"]*"', f'"base": "{root}"', text, count=1), encoding="utf-8")


def _write(index: dict[str, Any], folder: Path) -> None:
    """The index for a server, and as a script for pages that are read from a folder."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    (folder / "search_index.json").write_text(text, encoding="utf-8")
    (folder / "search_index.js").write_text(f"var __index = {text}", encoding="utf-8")


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
