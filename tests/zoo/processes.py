"""How does the zoo run a step in another interpreter, and tell why it failed?"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .environments import PACKAGES_PARENT

TIMEOUT_SECONDS = 900
LONGEST_REASON = 300
NOISE = ("warn", "Warn", "[Hint", "W1", "I1", "[operator <")


class StepError(Exception):
    """A step failed in its environment; the message is the gist of its log."""


def run_logged(command: Sequence[str | Path], log: Path) -> None:
    """Run `command` with all it prints in the file `log`; raise StepError unless it succeeds."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES_PARENT), "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("w") as sink:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise StepError(f"no end after {TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        raise StepError(f"exit {done.returncode}: {gist(log)}")


def gist(log: Path) -> str:
    """Return the line of `log` that most likely says what went wrong."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith(NOISE)]
    telling = [line for line in lines if "Error" in line or "not support" in line or "[ERROR]" in line]
    return " ".join((telling or lines or ["(nothing printed)"])[-1].split())[:LONGEST_REASON]
