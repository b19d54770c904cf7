"""How are tensors kept for another machine? A ``.npy`` each and a manifest, or one ``.npz``."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from segdiff.core.errors import InputError
from segdiff.core.graph import Array

MANIFEST = "manifest.json"
"""``{file: {"tensor", "layout", "dtype", "shape"}}``: what a reader goes by, whatever the file is called."""

STEM = 100
"""Characters of a tensor's name in its file's name: far below what any file system takes, of any alphabet."""


class Keeper(Protocol):
    """What takes tensors, one at a time."""

    def keep(self, name: str, array: Array) -> None:
        """Write a tensor down. Raises InputError where there is no room for it."""


@contextmanager
def keeper(place: Path) -> Iterator[Keeper]:
    """A folder to be filled, or an archive where the name ends in ``.npz``. Raises InputError where it cannot
    be written; the manifest of a folder is written even where the run fails halfway."""
    try:
        if place.suffix == ".npz":
            place.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                yield _Archive(archive)
            return
        place.mkdir(parents=True, exist_ok=True)
        folder = _Folder(place)
        try:
            yield folder
        finally:
            folder.close()
    except OSError as error:
        raise InputError(f"{place} cannot be written: {error.strerror or error}") from error


class _Archive:
    """The members bear the tensors' own names, as ``numpy.load`` gives them back."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def keep(self, name: str, array: Array) -> None:
        with self.archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, stored(array), allow_pickle=False)


class _Folder:
    """Files in the order in which the tensors came, with as much of their names as a file can bear."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.entries: dict[str, dict[str, object]] = {}

    def keep(self, name: str, array: Array) -> None:
        file = f"{len(self.entries):04d}_{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:STEM]}.npy"
        kept = stored(array)
        np.save(self.place / file, kept, allow_pickle=False)
        self.entries[file] = {
            "tensor": name,
            "layout": "ND",
            "dtype": kept.dtype.name,
            "shape": list(kept.shape),
        }

    def close(self) -> None:
        (self.place / MANIFEST).write_text(json.dumps(self.entries, indent=1) + "\n", encoding="utf-8")


def stored(array: Array) -> Array:
    """A tensor in a type that ``.npy`` knows: bfloat16 and its like as float32, which holds all of them."""
    return array.astype(np.float32) if array.dtype.kind == "V" else np.ascontiguousarray(array)
