"""How is a data set fetched that lies elsewhere? A list with what it names, a folder, or one image."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from segdiff.core.errors import InputError
from segdiff.readers.remote import Fetched
from segdiff.score.dataset import LISTS, PICTURES, read_dataset
from segdiff.score.files import SUFFIXES

ARRAYS = frozenset({".npy", ".npz"})

MASKS = SUFFIXES | {".jpg", ".jpeg", ".npy", ".npz", ".bin", ".txt"}
"""What may be a mask, and what is refused as one with a word."""


def a_dataset(fetched: Fetched, url: str, arguments: Mapping[str, Any]) -> Path:
    """A data set. Of a list that has no root of its own, every image and label that there is: what is missing
    is told by the run, image by image. Raises InputError."""
    suffix = PurePosixPath(url.partition("?")[0]).suffix.lower()
    if suffix in PICTURES | ARRAYS:
        return fetched.file(url)
    if suffix not in LISTS:
        return fetched.tree(url, PICTURES)
    listed = fetched.file(url)
    if arguments.get("root") is not None:
        return listed
    folder, above = listed.parent, url.rpartition("/")[0]
    for entry in read_dataset(listed, separator=arguments.get("separator") or " "):
        for path in (entry.image, entry.label):
            if path is not None and path.is_relative_to(folder):
                with suppress(InputError):
                    fetched.into(folder, f"{above}/{path.relative_to(folder)}", str(path.relative_to(folder)))
    return listed


def some_masks(fetched: Fetched, url: str, arguments: Mapping[str, Any]) -> Path:
    """A folder of masks, or one of them. Raises InputError."""
    if PurePosixPath(url.partition("?")[0]).suffix.lower() in MASKS:
        return fetched.file(url)
    return fetched.tree(url, MASKS)


def some_names(fetched: Fetched, url: str, arguments: Mapping[str, Any]) -> Path:
    """A file of names."""
    return fetched.file(url)
