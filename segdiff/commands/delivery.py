"""Where does an answer go? To a JSON file, if one is named, and to stdout; no failure hides the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from segdiff.commands.base import Arguments
from segdiff.commands.console import complain, one_line, print_answer, print_text
from segdiff.commands.guard import is_step_summary
from segdiff.core.outputs import write_atomically

if TYPE_CHECKING:
    from segdiff.report.document import Detail


class Answer(Protocol):
    """What can be delivered: a report of ``locate`` or a score."""

    def to_json(self) -> str:
        """The answer as text."""


def deliver(answer: Answer, arguments: Arguments, to_json: Callable[[], str] | None = None) -> bool:
    """Write and print an answer as the options on output say; whether all of it went where it should.

    ``to_json`` gives its text, where that is not the answer's own.
    """
    target, delivered, to_json = arguments.json, True, to_json or answer.to_json
    if target == "-":
        return print_text(to_json() + "\n")
    alone = next((option for option in PAGES if getattr(arguments, option, None) == "-"), None)
    if alone:
        return _written(answer, alone, "-")
    if target is not None:
        try:
            write_atomically(Path(target), to_json() + "\n")
        except (OSError, ValueError, TypeError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            complain(f"cannot write the JSON report to {target}: {reason}")
            delivered = False
    for option in PAGES:
        delivered = _written(answer, option, getattr(arguments, option, None)) and delivered
    return print_answer(answer, detail_of(arguments)) and delivered


def _written(answer: Answer, option: str, target: str | None) -> bool:
    """Whether the page that an option asks for, if it does, was written."""
    if target is None:
        return True
    from segdiff.report.save import WRITERS

    try:
        text = WRITERS[PAGES[option]](answer)
        if target == "-":
            return print_text(text)
        if is_step_summary(Path(target)):
            with Path(target).open("a", encoding="utf-8") as file:
                file.write(text)
        else:
            write_atomically(Path(target), text)
    except (OSError, ValueError, TypeError) as error:
        complain(f"cannot write --{option} {target}: {getattr(error, 'strerror', None) or one_line(error)}")
        return False
    return True


PAGES = {"html": ".html", "markdown": ".md"}
"""The options for pages, and the suffix that such a file has."""


def detail_of(arguments: Arguments) -> Detail:
    """How much of an answer ``--full`` and ``--all`` ask for."""
    if arguments.all:
        return "all"
    return "full" if arguments.full else "short"
