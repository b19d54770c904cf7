"""What was done before the run was interrupted? One line of JSON a result, written as it comes.

The first line says which run it is. A line that was cut off by the interruption is dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from segdiff.core.errors import InputError

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

VERSION = 1


class Kept(Generic[K, R]):
    """Context manager around the file; ``done`` are the results that it already holds, by their keys.

    ``to_dict`` and ``from_dict`` turn a result into plain data and back; ``key_of`` reads a key.
    """

    def __init__(
        self,
        path: Path,
        run: Mapping[str, Any],
        key_of: Callable[[Any], K],
        to_dict: Callable[[R], Mapping[str, Any]],
        from_dict: Callable[[Mapping[str, Any]], R],
    ) -> None:
        self.path = path
        self.header = {"segdiff": VERSION, "run": json.loads(json.dumps(run, default=str))}
        self._key_of, self._to_dict, self._from_dict = key_of, to_dict, from_dict
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Kept[K, R]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            end = self._end_of_good_part()
            self._file = self.path.open("r+b" if self.path.exists() else "w+b")
            self._file.truncate(end)
            self._file.seek(end)
        except OSError as error:
            raise self._unwritable(error) from error
        if end == 0:
            self._write(self.header)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def done(self) -> Iterator[tuple[K, R]]:
        """Key and result of each that is done, read from the file one at a time."""
        with self.path.open("rb") as lines:
            next(lines, None)
            for line in lines:
                yield self._read(json.loads(line))

    def places(self) -> dict[K, int]:
        """Where each result begins in the file, by its key; of several of one key the last."""
        found, place = {}, 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines):
                if number:
                    found[self._key_of(json.loads(line)["entry"])] = place
                place += len(line)
        return found

    def at(self, place: int) -> R:
        """The result that begins there."""
        with self.path.open("rb") as lines:
            lines.seek(place)
            return self._read(json.loads(lines.readline()))[1]

    def add(self, key: K, result: R) -> None:
        """Keep one more result."""
        self._write({"entry": key, **self._to_dict(result)})

    def _read(self, data: Any) -> tuple[K, R]:
        key = self._key_of(data["entry"])
        return key, self._from_dict({name: value for name, value in data.items() if name != "entry"})

    def _write(self, data: Mapping[str, Any]) -> None:
        assert self._file is not None
        try:
            self._file.write(json.dumps(data, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> InputError:
        reason = " ".join(str(error).split()).rstrip(". ") or type(error).__name__
        return InputError(f"The results cannot be kept in {self.path}: {reason}.")

    def _end_of_good_part(self) -> int:
        """Bytes of whole, readable lines. Raises InputError where they belong to another run."""
        if not self.path.exists():
            return 0
        end = 0
        with self.path.open("rb") as lines:
            for line in lines:
                if not self._readable(line, is_first=end == 0):
                    break
                end += len(line)
        return end

    def _readable(self, line: bytes, *, is_first: bool) -> bool:
        try:
            data: Any = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, RecursionError):
            data = None
        if is_first:
            if data is None and not line.startswith(b'{"segdiff"'):
                raise InputError(
                    f"{self.path} is not a file of results that segdiff began; give another --out."
                )
            if data is not None and data != self.header:
                raise InputError(
                    f"{self.path} holds the results of another run ({_difference(data, self.header)}); "
                    "remove it to begin anew, or give another --out."
                )
            return data is not None
        try:
            self._read(data)
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
