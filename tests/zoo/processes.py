"""How does the zoo run a step in another interpreter, and tell why it failed?"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .environments import PACKAGES_PARENT

TIMEOUT_SECONDS = 600
"""Most pairs take 20 s; paddle2onnx 2.1.0 folds the constants of Lite-HRNet for five minutes."""

LONGEST_REASON = 300

REASONS = (
    re.compile(r"not supported yet|\[ERROR\]\[Paddle2ONNX\] \["),  # an operator, or an option of one
    re.compile(r"\[ERROR\] (?!Due to|Model exporting)"),
    re.compile(r"(?<!Fatal)(Error|Exception|Fail)\b ?:"),  # Python's last words
    re.compile(r"Due to the unsupported"),
    re.compile(r"Killed|FatalError"),
)
"""What a log says of a failure, the most telling first. Converters abort after they said why."""


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
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for reason in REASONS:
        telling = [line for line in lines if reason.search(line)]
        if telling:
            return " ".join(telling[-1].split())[:LONGEST_REASON]
    return " ".join((lines or ["(nothing printed)"])[-1].split())[:LONGEST_REASON]
