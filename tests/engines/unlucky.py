"""Frameworks that end their process as they load a model."""

from __future__ import annotations

import sys
from typing import NoReturn


class Leaving:
    """One that leaves."""

    def __init__(self, message: object) -> None:
        sys.exit(3)


class Complaining:
    """One that leaves with a word."""

    def __init__(self, message: object) -> None:
        sys.exit("Error: not on this processor")


class Unusual(BaseException):
    """What no handler of errors expects."""


class Raising:
    """One that raises what no handler expects, and has printed why."""

    def __init__(self, message: object) -> NoReturn:
        raise Unusual("RuntimeError: of a kind")
