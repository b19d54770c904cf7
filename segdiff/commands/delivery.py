"""Where does an answer go? To a JSON file, if one is named, and to stdout; no failure hides the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from segdiff.commands.base import Arguments
from segdiff.commands.console import complain, one_line, print_answer, print_text
from segdiff.commands.exports import asked_for
from segdiff.commands.guard import STDOUT, is_step_summary
from segdiff.core.errors import InputError
from segdiff.core.outputs import write_atomically
from segdiff.report.exports import Export, workflow_commands

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
    if target == STDOUT:
        return print_text(to_json() + "\n")
    forms = list(asked_for(arguments))
    alone = next((export for export, file in forms if file == STDOUT), None)
    if target is not None:
        try:
            write_atomically(Path(target), to_json() + "\n")
        except (OSError, ValueError, TypeError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            complain(f"cannot write the JSON report to {target}: {reason}")
            delivered = False
    for export, file in forms:
        delivered = _written(answer, export, file) and delivered
    if getattr(arguments, "annotate", None) is not None:
        delivered = _annotated(answer, arguments.annotate) and delivered
    if alone is not None:
        return delivered
    delivered = print_answer(answer, detail_of(arguments)) and delivered
    return print_text(workflow_commands(answer)) and delivered if arguments.github else delivered


def _annotated(answer: Any, target: str) -> bool:
    """Whether the annotated model was written."""
    if not hasattr(answer, "annotate"):
        complain(f"--annotate {target}: the report is none of segdiff locate, and blames no nodes of a model")
        return False
    try:
        answer.annotate(target)
    except InputError as error:
        complain(one_line(error))
        return False
    return True


def _written(answer: Answer, export: Export, target: str) -> bool:
    """Whether an answer was written in a form."""
    if type(answer).__name__ not in export.answers:
        complain(f"--{export.name} {target}: only a report of segdiff locate has this form")
        return False
    try:
        text = export.text(answer)
        if target == STDOUT:
            return print_text(text)
        if is_step_summary(Path(target)):
            with Path(target).open("a", encoding="utf-8") as file:
                file.write(text)
        else:
            write_atomically(Path(target), text)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        complain(f"cannot write --{export.name} {target}: {reason}")
        return False
    return True


def detail_of(arguments: Arguments) -> Detail:
    """How much of an answer ``--full`` and ``--all`` ask for."""
    if arguments.all:
        return "all"
    return "full" if arguments.full else "short"
