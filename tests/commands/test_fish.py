"""Does fish take the script that is made for it, and complete from it?"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from segdiff.commands.completion import COMMAND
from segdiff.commands.fish import fish_script, quoted
from segdiff.commands.registry import COMMANDS

FISH = shutil.which("fish")


def test_quotes_stay_quotes() -> None:
    assert quoted("an OM's \\ JSON") == "'an OM\\'s \\\\ JSON'"


@pytest.mark.skipif(FISH is None, reason="fish is not on this machine")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("segdiff lo", "locate"),
        ("segdiff locate --candidate-in", "--candidate-input"),
        ("segdiff completion ", "zsh"),
        ("segdiff help sc", "score"),
        ("segdiff score --candidate-encoding ", "paddleseg"),
    ],
)
def test_fish_completes(words: str, wanted: str, tmp_path: Path) -> None:
    place = tmp_path / "fish" / "completions" / "segdiff.fish"
    place.parent.mkdir(parents=True)
    place.write_text(fish_script({**COMMANDS, "completion": COMMAND}))
    command = tmp_path / "segdiff"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    done = subprocess.run(
        [str(FISH), "-c", f'complete -C "{words}"'],
        env={"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert wanted in [line.partition("\t")[0] for line in done.stdout.splitlines()], done.stderr
