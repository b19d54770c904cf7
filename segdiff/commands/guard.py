"""Would this run lose somebody a file? Asked before any engine starts; and no report outlives a failed run.

A command lists what it would write (:class:`Written`) and what it reads; the rules for each kind of output
stand in ``RULES``, what ``--force`` allows in ``CAUTION``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from segdiff.commands.base import Arguments, Parser
from segdiff.core import outputs
from segdiff.core.errors import SegdiffError

STDOUT = "-"


@dataclass(frozen=True)
class Written:
    """Something a command writes: the option that names it, its place, and its kind (a key of ``RULES``)."""

    option: str
    path: Path
    kind: str


@dataclass(frozen=True)
class Reads:
    """What a command reads: model paths, single files, and folders of pictures or masks."""

    models: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    more: Callable[[], Iterable[Path]] = tuple
    """Files that are dear to list (those of a data set); asked for when an output exists."""

    def all(self) -> Iterator[Path]:
        """Every file that could be lost, the cheap ones first."""
        from segdiff.readers.companions import companions

        yield from self.files
        for model in self.models:
            yield from companions(model)
        yield from self.more()


def force_argument(parser: Parser | argparse._ArgumentGroup) -> None:
    """The option that lets a command write over what it finds."""
    parser.add_argument(
        "--force", action="store_true", help="write over files that exist (never over an input of the run)"
    )


def refuse_losses(written: Iterable[Written | None], reads: Reads, arguments: Arguments) -> None:
    """Raise InputError where an output would be lost, or would cost the user a file.

    Where an older report is to be replaced, it is now: should this run be killed, it must not be taken for
    this run's.
    """
    wanted = [each for each in written if each is not None]
    outputs.refuse_twice((each.path, each.option) for each in wanted)
    for each in wanted:
        RULES[each.kind](each, reads)
        if not arguments.force:
            CAUTION[each.kind](each.path, each.option)
    for each in wanted:
        if each.kind == "report" and each.path.is_file() and each.path.stat().st_size:
            leave_error(each.path, "Unfinished", "the run that would write this report has not ended")
        if each.kind == "page" and each.path.is_file() and not is_step_summary(each.path):
            each.path.unlink()


def file_output(option: str, path: str | None, kind: str) -> Written | None:
    """The output that an option names; None where it was not given, or is stdout."""
    return None if path is None or path == STDOUT else Written(option, Path(path), kind)


def _new_model(output: Written, reads: Reads) -> None:
    if output.path.exists():
        outputs.refuse_input(output.path, reads.all(), output.option)
    outputs.refuse_other_suffix(output.path, output.option)
    outputs.refuse_unwritable_file(output.path, output.option)


def _new_report(output: Written, reads: Reads) -> None:
    if output.path.is_file():
        outputs.refuse_input(output.path, reads.all(), output.option)
    outputs.refuse_unwritable_file(output.path, output.option)


def _new_results(output: Written, reads: Reads) -> None:
    """A report and the results of each image beside it; the folder is made."""
    outputs.refuse_unwritable_folder(output.path.parent, f"{output.option} {output.path}: its folder")
    if output.path.is_dir():
        outputs.refuse_unwritable_file(output.path, output.option)
    for place in (output.path, outputs.results_of(output.path)):
        if place.is_file():
            outputs.refuse_input(place, reads.all(), output.option)


def _new_repro(output: Written, reads: Reads) -> None:
    outputs.refuse_unwritable_folder(output.path, output.option)
    _keep_inputs(output, reads)


def _new_pictures(output: Written, reads: Reads) -> None:
    outputs.refuse_inside(output.path, reads.folders, output.option)
    outputs.refuse_unwritable_folder(output.path, output.option)
    _keep_inputs(output, reads)


def _keep_inputs(output: Written, reads: Reads) -> None:
    """No file of a folder that is written to may be an input."""
    if output.path.is_dir() and any(output.path.iterdir()):
        inputs = list(reads.all())
        for file in output.path.iterdir():
            outputs.refuse_input(file, inputs, f"{output.option} {output.path}: its file")


def is_step_summary(path: Path) -> bool:
    """Whether this is the file that GitHub shows under a run: one appends to it.

    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
    """
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    return bool(summary) and path.absolute() == Path(summary or "").absolute()


def _keep_foreign_page(path: Path, option: str) -> None:
    if not is_step_summary(path):
        outputs.refuse_foreign(path, option)


RULES: Mapping[str, Callable[[Written, Reads], None]] = MappingProxyType(
    {
        "model": _new_model,
        "report": _new_report,
        "page": _new_report,
        "results": _new_results,
        "repro": _new_repro,
        "pictures": _new_pictures,
        "archive": _new_report,
        "sweep": _new_repro,
    }
)
"""What no option allows, for each kind of output."""

CAUTION: Mapping[str, Callable[[Path, str], None]] = MappingProxyType(
    {
        "model": outputs.refuse_existing,
        "report": outputs.refuse_foreign,
        "page": _keep_foreign_page,
        "results": outputs.refuse_foreign,
        "repro": outputs.refuse_full_folder,
        "pictures": outputs.refuse_pictures,
        "archive": outputs.refuse_existing,
        "sweep": outputs.refuse_other_folder,
    }
)
"""What ``--force`` allows."""


def failed(words: Sequence[str], error: BaseException | str) -> None:
    """Write why a command failed to where its JSON report would have gone, if nobody loses a file by it.

    The words are scanned, because arguments that made no sense were never parsed.
    """
    target = _json_target(words)
    if target is None:
        return
    kind = "UsageError" if isinstance(error, str) else type(error).__name__
    message = error if isinstance(error, str) else _told(error)
    if target == STDOUT:
        from segdiff.commands.console import print_text

        print_text(_error_text(kind, message))
    elif outputs.holds_nothing_foreign(Path(target)) and not _is_named_twice(target, words):
        leave_error(Path(target), kind, message)


def _is_named_twice(target: str, words: Sequence[str]) -> bool:
    """Whether another word names the same file: a report can be what the command reads, too."""
    named = 0
    for word in words:
        path = word.partition("=")[2] if word.startswith("--") else word
        with suppress(OSError, ValueError):
            named += Path(path).samefile(target)
    return named > 1


def leave_error(target: Path, kind: str, message: str) -> None:
    """A report that says that there is none; where it cannot be written there is nothing more to say."""
    with suppress(OSError, ValueError):
        outputs.write_atomically(target, _error_text(kind, message))


def _error_text(kind: str, message: str) -> str:
    report = {"schema": 1, "verdict": "error", "error": {"type": kind, "message": message}}
    return json.dumps(report, indent=1) + "\n"


def _told(error: BaseException) -> str:
    from segdiff.commands.console import one_line

    told = one_line(error)
    return told if isinstance(error, SegdiffError | KeyboardInterrupt) else f"unexpected: {told}"


def _json_target(words: Sequence[str]) -> str | None:
    found = None
    for place, word in enumerate(words):
        if word == "--":
            break
        if word == "--json" and place + 1 < len(words):
            found = words[place + 1]
        elif word.startswith("--json="):
            found = word.removeprefix("--json=")
    return found or None
