"""Where may an answer go, so that nobody loses a file? Never into an input of its run; over nothing foreign.

A file is an input when it is the same file, links and hard links resolved. An older report of segdiff itself
may be written over, because a nightly run writes to one place; so may an empty file (``mktemp``) and a pipe.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from segdiff.core.errors import InputError

MODEL_SUFFIX = ".onnx"
REPORT_HEAD = re.compile(
    rb'\s*\{\s*"schema"\s*:\s*1\s*,\s*"verdict"\s*:\s*"(agrees|diverges|inconclusive|error)"'
)
"""How every JSON report begins: a report whose end was lost counts as one, too."""
PAGE_HEAD = "<!-- written by segdiff -->"
"""What an HTML page and a Markdown file begin with, so that they are known again."""

OWN_HEAD = re.compile(rb'"name": "segdiff|^pair,state,reference_op,')
"""What those other forms begin with that have no room for a comment (SARIF, node data, CSV)."""

HEAD = 256
"""Bytes that are read of a file to see whether it is a report."""
REPRO_FILES = frozenset({"segment.onnx", "tensors.json", "reference.json", "repro.py"})
SWEEP = "results.jsonl"
GALLERY = "contact_sheet.png"
PICTURE = re.compile(r"\d\d+_.*\.png")
"""The names that the pictures of a data set's worst images get."""


def write_atomically(path: Path, text: str) -> None:
    """Write a file whole or not at all; a pipe or a device is written as it is. Raises OSError."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    target = path.resolve()  # a link stays a link
    temporary = target.parent / f".segdiff-{os.getpid()}.tmp"
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink()


def holds_nothing_foreign(path: Path) -> bool:
    """Whether a report may go here unasked: nothing is here, or an older report, an empty file, a pipe."""
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return not path.is_dir()
        with path.open("rb") as file:
            head = file.read(HEAD)
            known = REPORT_HEAD.match(head) or OWN_HEAD.search(head)
            return known is not None or PAGE_HEAD.encode() in head
    except (OSError, ValueError):
        return False


def refuse_input(target: Path, inputs: Iterable[Path], what: str) -> None:
    """Raise InputError where ``target`` is one of the files that the run reads.

    A folder among ``inputs`` stands for itself: its files are named one by one by who knows them.
    """
    with suppress(OSError, ValueError):
        own = target.stat()
        for each in inputs:
            with suppress(OSError, ValueError):
                if os.path.samestat(own, each.stat()):
                    raise InputError(
                        f"{what} {target} is an input of this run ({each}); nothing was written. "
                        "Name another place."
                    )


def refuse_other_suffix(target: Path, what: str) -> None:
    """Raise InputError where a model would be written under a name that no ONNX file has."""
    if target.suffix != MODEL_SUFFIX:
        raise InputError(f"{what} {target} does not end in {MODEL_SUFFIX}, as an ONNX file must; rename it.")


def refuse_unwritable_file(target: Path, what: str) -> None:
    """Raise InputError where no file can be made: no such folder, a folder in its place, no permission."""
    try:
        if target.is_dir():
            raise InputError(f"{what} {target} is a folder; name a file.")
        if target.exists() and not target.is_file():
            return  # a pipe or a device
        _refuse_folder(target.resolve().parent, f"{what} {target}")
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a circle of links
        raise InputError(f"{what} {str(target)!r} cannot be written: {_reason(error)}.") from error


def refuse_unwritable_folder(target: Path, what: str) -> None:
    """Raise InputError where no folder can be made or filled; folders above it may be missing, too."""
    try:
        if target.exists() and not target.is_dir():
            raise InputError(f"{what} {target} is a file; name a folder.")
        above = next(each for each in (target.absolute(), *target.absolute().parents) if each.exists())
        _refuse_folder(above, f"{what} {target}")
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{what} {str(target)!r} cannot be written: {_reason(error)}.") from error


def refuse_existing(target: Path, what: str) -> None:
    """Raise InputError where a file would be replaced unasked."""
    if target.is_file() and target.stat().st_size:
        raise InputError(f"{what} {target} exists; --force replaces it, or name another file.")


def refuse_foreign(target: Path, what: str) -> None:
    """Raise InputError where a report would replace a file that is no report of segdiff."""
    if not holds_nothing_foreign(target):
        raise InputError(
            f"{what} {target} exists and is no report of segdiff; --force replaces it, or name another file."
        )


def refuse_full_folder(target: Path, what: str) -> None:
    """Raise InputError where files would be mixed into a folder that has some already."""
    if target.is_dir() and any(target.iterdir()):
        raise InputError(
            f"{what} {target} is not empty; name a new or an empty folder, or --force to write into it."
        )


def refuse_foreign_folder(target: Path, what: str) -> None:
    """Raise InputError where a repro would be mixed into files that are not those of an earlier repro."""
    if target.is_dir() and any(target.iterdir()) and not all((target / f).is_file() for f in REPRO_FILES):
        raise InputError(f"{what} {target} is not empty; name a new or an empty folder.")


def refuse_other_folder(target: Path, what: str) -> None:
    """Raise InputError where a sweep would be mixed into files that are not those of an earlier one."""
    if not (target / SWEEP).is_file():
        refuse_full_folder(target, what)


def refuse_pictures(target: Path, what: str) -> None:
    """Raise InputError where a picture would replace one that is not of an earlier run."""
    if not target.is_dir() or (target / GALLERY).is_file():
        return
    taken = next((file.name for file in target.iterdir() if PICTURE.fullmatch(file.name)), None)
    if taken is not None:
        raise InputError(
            f"{what} {target} has files such as {taken} that pictures could replace; --force allows it, or "
            "name another folder."
        )


def refuse_inside(target: Path, folders: Iterable[Path], what: str) -> None:
    """Raise InputError where ``target`` is a folder that the run reads, or lies in one."""
    with suppress(OSError, ValueError, RuntimeError):
        place = target.resolve()
        for folder in folders:
            if folder.is_dir() and place.is_relative_to(folder.resolve()):
                raise InputError(
                    f"{what} {target} lies in {folder}, which this run reads; name a folder elsewhere."
                )


def refuse_twice(targets: Iterable[tuple[Path, str]]) -> None:
    """Raise InputError where two outputs of one run would go to the same place."""
    seen: dict[Path, str] = {}
    for target, what in targets:
        with suppress(OSError, ValueError, RuntimeError):
            place = target.resolve()
            if place in seen:
                raise InputError(f"{what} and {seen[place]} both go to {target}; name two places.")
            seen[place] = what


def results_of(out: Path) -> Path:
    """Where each image's result is kept: ``report.json`` has ``report.images.jsonl`` beside it."""
    return out.with_suffix(".images.jsonl")


def _refuse_folder(folder: Path, what: str) -> None:
    if not folder.is_dir():
        raise InputError(f"{what} cannot be written: there is no such folder as {folder}.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{what} cannot be written: no permission to write in {folder}.")


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
