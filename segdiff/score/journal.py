"""What was done before the run was interrupted? One line of JSON an image, written as it comes.

The first line says which run it is. A line that was cut off by the interruption is dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from segdiff.core.errors import InputError
from segdiff.inputs.image import one_line
from segdiff.score.compare import ImageResult

VERSION = 1


class Journal:
    """Context manager around the file; ``done`` are the results that it already holds, by entry number."""

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self.path = path
        self.header = {"segdiff": VERSION, "run": json.loads(json.dumps(run, default=str))}
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Journal:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            end = self._end_of_good_part()
            self._file = self.path.open("r+b" if self.path.exists() else "w+b")
            self._file.truncate(end)
            self._file.seek(end)
        except OSError as error:
            raise InputError(f"The results cannot be kept in {self.path}: {one_line(error)}.") from error
        if end == 0:
            self._write(self.header)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def done(self) -> Iterator[tuple[int, ImageResult]]:
        """Number and result of each image that is done, read from the file one at a time."""
        with self.path.open("rb") as lines:
            next(lines, None)
            for line in lines:
                data = json.loads(line)
                yield int(data["entry"]), ImageResult.from_dict(data)

    def add(self, entry: int, result: ImageResult) -> None:
        """Keep one more result."""
        self._write({"entry": entry, **result.to_dict()})

    def _write(self, data: Mapping[str, Any]) -> None:
        assert self._file is not None
        try:
            self._file.write(json.dumps(data, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise InputError(f"The results cannot be kept in {self.path}: {one_line(error)}.") from error

    def _end_of_good_part(self) -> int:
        """Bytes of whole, readable lines. Raises InputError where they belong to another run."""
        if not self.path.exists():
            return 0
        end = 0
        with self.path.open("rb") as lines:
            for line in lines:
                if not _readable(line, is_first=end == 0, header=self.header, path=self.path):
                    break
                end += len(line)
        return end


def _readable(line: bytes, *, is_first: bool, header: Mapping[str, Any], path: Path) -> bool:
    try:
        data: Any = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        data = None
    if is_first:
        if data is None and not line.startswith(b'{"segdiff"'):
            raise InputError(f"{path} is not a file of results that segdiff began; give another --out.")
        if data is not None and data != header:
            raise InputError(
                f"{path} holds the results of another run ({_difference(data, header)}); "
                "remove it to begin anew, or give another --out."
            )
        return data is not None
    try:
        int(data["entry"])
        ImageResult.from_dict(data)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return False
    return True


def _difference(found: Any, header: Mapping[str, Any]) -> str:
    theirs = found.get("run") if isinstance(found, dict) else None
    if not isinstance(theirs, dict):
        return "of another kind"
    names = [key for key in header["run"] if header["run"][key] != theirs.get(key)]
    return f"another {', '.join(names)}" if names else "of another version"


def fingerprint(path: Path | None) -> list[Any] | None:
    """A file's path, size and time: whether it is still the same."""
    if path is None:
        return None
    state = path.stat()
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]


def digest(words: Iterable[str]) -> str:
    """A short hash of many words."""
    sum_ = hashlib.sha256()
    for word in words:
        sum_.update(word.encode("utf-8", "surrogateescape") + b"\0")
    return sum_.hexdigest()[:16]
