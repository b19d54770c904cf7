"""Are these still the files that a result rests on? By path, size, time; elsewhere by what fsspec tells."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

from segdiff.core.files import ModelFiles
from segdiff.core.journal import fingerprint
from segdiff.readers.companions import BESIDE
from segdiff.readers.remote import is_url, place_of

PACKAGES = ("paddlepaddle", "onnxruntime", "onnx")
"""Whose versions are part of what a result is: another one may give another."""

EXTERNAL = frozenset({".data", ".bin", ".onnx_data", ".weight", ".weights"})
"""Suffixes under which exporters keep the weights of an ONNX file beside it."""


def versions() -> tuple[str, ...]:
    """The versions of the frameworks here."""
    found = []
    for package in PACKAGES:
        try:
            found.append(metadata.version(package))
        except metadata.PackageNotFoundError:
            found.append("")
    return tuple(found)


def size_of(path: str | Path | None) -> int:
    """Bytes of a file; 0 of what is none here."""
    try:
        return Path(path).stat().st_size if path else 0
    except (OSError, ValueError):
        return 0


def belonging(files: ModelFiles) -> Iterator[Path]:
    """The files of a model that are here: also what may be its external data, without reading it."""
    yield files.program
    if files.params is not None:
        yield files.params
    for file in sorted(files.program.parent.iterdir()):
        if file.suffix in BESIDE or file.stem == files.program.stem or file.suffix in EXTERNAL:
            yield file


def state_of(path: str | Path | None) -> list[Any]:
    """A file's path, size and time; of what is no file here, its name."""
    if is_url(path):
        return elsewhere(str(path))
    try:
        return fingerprint(Path(path)) or [] if path else []
    except (OSError, ValueError):
        return [str(path)]


def elsewhere(url: str) -> list[str]:
    """What fsspec tells of a file and of those that share its stem, or of a folder's; where it tells nothing,
    what no other run has: then nothing of an earlier one is taken."""
    try:
        place = place_of(url)
        above, _, name = place.path.rpartition("/")
        beside = place.names(above)
        own = {each: path for each, path in beside.items() if each.startswith(Path(name).stem)}
        found = place.names(place.path) if name not in own else own
        assert found
        return [url, *(f"{each} {place.system.ukey(found[each])}" for each in sorted(found))]
    except Exception:  # each protocol raises errors of its own
        return [url, uuid4().hex]
