"""The examples for CI are valid YAML, and the commands in them are ones that segdiff understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from segdiff.commands.cli import COMMANDS

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.y*ml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_the_workflow_is_one() -> None:
    found = read(DOCS / "examples/github-actions.yml")
    assert set(found) == {
        "name",
        True,
        "permissions",
        "jobs",
    }  # "on" is true to YAML 1.1, GitHub reads it right
    for job in found["jobs"].values():
        assert job["runs-on"] and all({"uses", "run"} & set(step) for step in job["steps"])


def test_the_hook_is_one() -> None:
    (repo,) = read(DOCS / "examples/pre-commit-config.yaml")["repos"]
    (hook,) = repo["hooks"]
    assert {"id", "name", "language", "entry"} <= set(hook) and repo["repo"] == "local"
    assert re.compile(hook["files"]).search("deploy/model.pdmodel") and hook["pass_filenames"] is False


def commands(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from commands(item)
    elif isinstance(value, list):
        for item in value:
            yield from commands(item)
    elif isinstance(value, str) and value.startswith("segdiff "):
        yield value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_commands_are_understood(path: Path) -> None:
    found = list(commands(read(path)))
    assert found
    for command in found:
        _, name, *words = shlex.split(command)
        COMMANDS[name].parser(name).parse_intermixed_args(words)


def test_the_page_shows_commands_that_are_understood() -> None:
    for block in re.findall(r"```sh\n(.*?)```", (DOCS / "machines.md").read_text(), re.DOTALL):
        for line in block.splitlines():
            _, name, *words = shlex.split(line, comments=True)
            COMMANDS[name].parser(name).parse_intermixed_args(words)
