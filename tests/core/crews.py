"""Tasks for a crew: a worker imports them by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from segdiff.core.crew.held import held, let_go
from segdiff.core.errors import InputError


def doubled(number: int) -> int:
    return 2 * number


def picky(number: int) -> int:
    if number == 1:
        raise InputError("one is not taken")
    if number == 2:
        raise ZeroDivisionError("two is worse")
    return number


def deadly(number: int) -> int:
    """Kills its worker, always, where the number is 1."""
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def deadly_once(item: tuple[int, str]) -> int:
    """Kills its worker the first time that it is tried."""
    number, folder = item
    mark = Path(folder, f"{number}")
    if not mark.exists():
        mark.write_text("tried")
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def slow(number: int) -> int:
    time.sleep(60 if number else 0)
    return number


class Opened:
    """Writes down that it was opened, and closed."""

    def __init__(self, folder: str) -> None:
        self.file = Path(folder, "log")

    def __enter__(self) -> Opened:
        self.note("open")
        return self

    def __exit__(self, *_: object) -> None:
        self.note("close")

    def note(self, word: str) -> None:
        with self.file.open("a") as log:
            log.write(f"{word}\n")


def holding(folder: str) -> str:
    held(folder, lambda: Opened(folder)).note("use")
    return folder


class Leave:
    """Lets go of what was held for a folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self) -> None:
        let_go(self.folder)
