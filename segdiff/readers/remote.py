"""What if a model or an image lies elsewhere? Its files are fetched once, by fsspec, into a folder here.

Every file keeps its own name, so what stands beside a model (parameters, external data, a suite's config) is
found as ever. Names that come from elsewhere are not trusted: none leads out of the folder. Sizes are bounded
before and while bytes come.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from segdiff.core.errors import InputError, SegdiffError
from segdiff.readers.companions import BESIDE, external_data
from segdiff.readers.find import CONFIGS

URL = re.compile(r"(?P<protocol>[a-zA-Z][a-zA-Z0-9+.\-]*)://(?P<place>.+)")

PROGRAMS = frozenset({".onnx", ".pdmodel", ".json"})
"""Suffixes of a model that is named by its file."""

OLD_PROGRAM = "__model__"

MODEL_LIMIT = 64 << 30
"""Bytes of a model with all that belongs to it."""

FILE_LIMIT = 1 << 30
"""Bytes of a picture, a label, a list, a tensor."""

SET_LIMIT = 256 << 30
"""Bytes of a data set."""

MOST_FILES = 1_000_000
"""Files of one folder."""

CHUNK = 1 << 22
"""Bytes that are copied at a time."""

PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "abfs": "adlfs",
    "az": "adlfs",
    "oss": "ossfs",
    "hf": "huggingface_hub",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "hdfs": "pyarrow",
}
"""What fsspec needs for a protocol beside itself."""


def is_url(given: object) -> bool:
    """Whether this names something elsewhere.

    >>> is_url("s3://models/deploy"), is_url("C:/deploy"), is_url("deploy/model.onnx"), is_url(None)
    (True, False, False, False)
    """
    return isinstance(given, str) and URL.fullmatch(given) is not None


@dataclass
class Place:
    """Files elsewhere, by fsspec: ``system`` reads them, ``path`` is what it calls the place of ``url``."""

    url: str
    system: Any
    path: str

    def names(self, folder: str) -> dict[str, str]:
        """The files of a folder: what the system calls each, by its own name; none where it cannot list."""
        found = {}
        with suppress(Exception):  # each protocol raises errors of its own
            for each in self.system.ls(folder, detail=True):
                name = own_name(str(each.get("name", "")))
                if each.get("type") == "file" and name:
                    found[name] = str(each["name"])
        return found

    def has(self, path: str) -> bool:
        """Whether there is a file."""
        with suppress(Exception):
            return bool(self.system.isfile(path))
        return False


def place_of(url: str) -> Place:
    """Where a URL leads. Raises InputError where nothing here speaks its protocol."""
    found = URL.fullmatch(url)
    if found is None or "::" in url:
        raise InputError(
            f"{url}: is no URL of one file or folder, as s3://bucket/deploy or https://host/x.onnx"
        )
    protocol = found["protocol"].lower()
    try:
        import fsspec
    except ImportError as error:
        raise InputError(
            f'{url}: to read it needs the package fsspec: pip install "segdiff[remote]"'
        ) from error
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        needed = PACKAGES.get(protocol)
        what = f": pip install {needed}" if needed else f" ({error})"
        raise InputError(f"{url}: fsspec needs another package for {protocol}://{what}") from error
    except ValueError as error:
        raise InputError(f"{url}: fsspec knows no protocol {protocol}:// ({error})") from error
    except Exception as error:
        raise InputError(f"{url}: cannot be reached: {said(error)}") from error
    return Place(url.rstrip("/"), system, str(path).rstrip("/"))


def own_name(path: str) -> str:
    """The last part of a path, where it is a plain name; else nothing.

    >>> own_name("bucket/deploy/model.pdmodel"), own_name("a/.."), own_name("a/b\\\\c"), own_name("")
    ('model.pdmodel', '', '', '')
    """
    name = path.rstrip("/").rpartition("/")[2]
    return "" if name in ("", ".") or ".." in path.split("/") or "\\" in name or "\0" in name else name


def inner_path(path: str) -> PurePosixPath | None:
    """A path below a folder, as a file or a list names it; None where it leads elsewhere.

    >>> inner_path("data/weights.bin"), inner_path("../etc/passwd"), inner_path("/etc/passwd")
    (PurePosixPath('data/weights.bin'), None, None)
    """
    found = PurePosixPath(path)
    bad = found.is_absolute() or not found.parts or ".." in found.parts or "\0" in path or "\\" in path
    return None if bad else found


@dataclass
class Fetched:
    """The files that came from elsewhere, in ``folder``; ``sources`` are the URLs of the folders in it."""

    folder: Path
    sources: dict[Path, str] = field(default_factory=dict)
    known: dict[tuple[str, str], Path] = field(default_factory=dict)

    def model(self, url: str) -> Path:
        """A model, by its file or its folder, with all that belongs to it. Raises InputError."""
        return self._once("model", url, _model)

    def file(self, url: str) -> Path:
        """One file. Raises InputError."""
        return self._once("file", url, _file)

    def tree(self, url: str, suffixes: Collection[str]) -> Path:
        """A folder with the files in it, and below it, that have one of these suffixes. Raises InputError."""
        return self._once("tree", url, lambda place, slot: _tree(place, slot, suffixes))

    def into(self, folder: Path, url: str, name: str) -> Path:
        """One file more beside one that was fetched, under this name below its folder. Raises InputError."""
        place = place_of(url)
        copying = Copying(place, folder, FILE_LIMIT)
        target = folder / (inner_path(name) or "")
        return target if target.is_file() else copying.copy(place.path, name)

    def _once(self, kind: str, url: str, fetch: Any) -> Path:
        if (kind, url) not in self.known:
            place = place_of(url)
            slot = self.folder / str(len(self.known))
            slot.mkdir()
            above = place.url.rpartition("/")[0]
            self.sources[slot] = above + "/" if above.endswith(("/", ":")) else above
            self.known[kind, url] = fetch(place, slot)
        return self.known[kind, url]


def _file(place: Place, slot: Path) -> Path:
    return Copying(place, slot, FILE_LIMIT).copy(place.path, _named(place))


def _named(place: Place) -> str:
    """The name of what a URL leads to, without what a web server is asked with it."""
    name = own_name(place.url.partition("?")[0].partition("#")[0])
    if not name:
        raise InputError(f"{place.url}: ends in no name of a file or folder")
    return name


def _model(place: Place, slot: Path) -> Path:
    name = _named(place)
    copying = Copying(place, slot, MODEL_LIMIT)
    if PurePosixPath(name).suffix not in PROGRAMS and name != OLD_PROGRAM:
        inside = place.names(place.path)
        if not inside:
            raise InputError(
                f"{place.url}: is no folder that can be listed; name its file (.pdmodel, .json or .onnx)"
            )
        folder = slot / name
        folder.mkdir()
        within = Copying(place, folder, MODEL_LIMIT)
        for own, path in inside.items():
            within.copy(path, own)
        for each in list(folder.glob("*.onnx")):
            within.data_of(each, place.path)
        return folder
    program = copying.copy(place.path, name)
    above = place.path.rpartition("/")[0]
    for own, path in _beside(place, above, name):
        copying.copy(path, own)
    if program.suffix == ".onnx":
        copying.data_of(program, above)
    return program


def _beside(place: Place, folder: str, program: str) -> Iterator[tuple[str, str]]:
    """What stands beside a program: by the folder's list, or by the usual names where that cannot be had."""
    listed = place.names(folder)
    stem = PurePosixPath(program).stem
    if program == OLD_PROGRAM:
        yield from ((own, path) for own, path in listed.items() if own != program)
        return
    if listed:
        for own, path in listed.items():
            known = own in CONFIGS or PurePosixPath(own).suffix in BESIDE
            if own != program and (known or own in (f"{stem}.json", f"{stem}.pdmodel")):
                yield own, path
        return
    params = [] if program.endswith(".onnx") else [f"{stem}.pdiparams"]
    for own in (*params, *CONFIGS):
        if own != program and place.has(f"{folder}/{own}"):
            yield own, f"{folder}/{own}"


def _tree(place: Place, slot: Path, suffixes: Collection[str]) -> Path:
    folder = slot / _named(place)
    folder.mkdir()
    try:
        found = place.system.find(place.path, detail=False)
    except Exception as error:
        raise InputError(f"{place.url}: cannot be listed: {said(error)}") from error
    copying = Copying(place, folder, SET_LIMIT)
    for number, path in enumerate(map(str, found)):
        if number >= MOST_FILES:
            raise InputError(f"{place.url}: more than {MOST_FILES} files")
        below = path.removeprefix(place.path).lstrip("/")
        if PurePosixPath(below).suffix.lower() in suffixes and inner_path(below):
            copying.copy(path, below)
    return folder


@dataclass
class Copying:
    """Copies of one place's files in a folder, of together no more than ``left`` bytes."""

    place: Place
    folder: Path
    left: int

    def copy(self, path: str, name: str) -> Path:
        """A file, under this name below the folder. Raises InputError."""
        inner = inner_path(name)
        if inner is None:
            raise InputError(f"{self.place.url}: {name!r} is no name of a file in a folder")
        target = self.folder / inner
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._copied(path, target)
        except SegdiffError:
            raise
        except FileNotFoundError as error:
            raise InputError(f"{self.place.url}: there is no {name}") from error
        except Exception as error:  # each protocol raises errors of its own
            raise InputError(f"{self.place.url}: {name} cannot be read: {said(error)}") from error
        return target

    def _copied(self, path: str, target: Path) -> None:
        told = 0
        with suppress(Exception):  # a server need not say how much will come
            told = int(self.place.system.size(path) or 0)
        self._room(told, target)
        with self.place.system.open(path, "rb") as source, target.open("xb") as file:
            while chunk := source.read(CHUNK):
                self._room(len(chunk), target)
                self.left -= len(chunk)
                file.write(chunk)

    def _room(self, nbytes: int, target: Path) -> None:
        if nbytes > self.left:
            raise TooLargeError(f"{self.place.url}: {target.name} is larger than what is fetched at most")
        if nbytes > shutil.disk_usage(self.folder).free:
            raise TooLargeError(f"{self.place.url}: there is no room on {self.folder} for {target.name}")

    def data_of(self, program: Path, above: str) -> None:
        """The external data of an ONNX file; what lies elsewhere the reader will refuse."""
        for file in external_data(program):
            inner = inner_path(
                str(file.relative_to(program.parent)) if file.is_relative_to(program.parent) else ""
            )
            if (
                inner is not None
                and not (self.folder / inner).exists()
                and self.place.has(f"{above}/{inner}")
            ):
                self.copy(f"{above}/{inner}", str(inner))


class TooLargeError(InputError):
    """More would come than is allowed, or there is room for."""


def said(error: BaseException) -> str:
    """What another package's error says, in one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
