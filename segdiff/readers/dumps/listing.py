"""Which files lie in a dump? Regular files of the folder alone: nothing outside of it is ever opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segdiff.core.errors import ModelError
from segdiff.readers.guard import guard

MAX_FILES = 200_000
"""Files of a dump; the largest networks have some ten thousand operators of a few tensors each."""


@dataclass(frozen=True)
class Listing:
    """The files under ``root`` (itself, where it is a file), in order of their names; ``problems`` are those
    that were left out, a line each."""

    root: Path
    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where relative names start."""
        return self.root if self.root.is_dir() else self.root.parent

    def name(self, file: Path) -> str:
        """The file's path below the root, with ``/``."""
        return file.relative_to(self.folder).as_posix()


@dataclass(frozen=True)
class Asked:
    """What the user says beside the dump: the OM's JSON or ``.om2``; the name of the input, up to its first
    dot, whose results are wanted where there are those of several; the shapes that the device was fed."""

    map_file: Path | None = None
    sample: str = ""
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def listed(path: Path) -> Listing:
    """The files of a dump. Raises ModelError where nothing is there, or more than a dump can have."""
    with guard(path, "the dump"):
        if path.is_file():
            return Listing(path, (path,))
        if not path.is_dir():
            raise ModelError(f"{path}: no such file or folder; give the dump that the device wrote")
        found: list[Path] = []
        problems: list[str] = []
        inside = path.resolve()
        for folder, _, names in os.walk(path, onerror=lambda error: problems.append(_closed(error))):
            for name in names:
                file = Path(folder, name)
                if file.is_symlink() and not file.resolve().is_relative_to(inside):
                    problems.append(f"{printable(name)}: a link out of the dump; copy the file itself")
                elif not file.is_file():
                    problems.append(f"{printable(name)}: no regular file")
                else:
                    found.append(file)
            if len(found) + len(problems) > MAX_FILES:
                raise ModelError(f"{path}: more than {MAX_FILES} files; give the folder of one run")
        return Listing(path, tuple(sorted(found)), tuple(problems))


def _closed(error: OSError) -> str:
    return f"{printable(str(error.filename))}: a folder that cannot be read ({error.strerror})"


def printable(text: str, limit: int = 200) -> str:
    """A name out of an untrusted place, fit for a line of its own."""
    shown = text if len(text) <= limit else f"{text[:limit]}…"
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in shown)
