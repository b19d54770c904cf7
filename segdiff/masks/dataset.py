"""Which images, and which label belongs to each? PaddleSeg's file list, a folder or two, or one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segdiff.errors import InputError
from segdiff.inputs.image import check_file, one_line
from segdiff.masks.files import list_masks

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
LISTS = frozenset({".txt", ".lst", ".list", ".csv"})
LIST_LIMIT = 1 << 28
"""Bytes of a file list: a million images have some 100 MB."""


@dataclass(frozen=True)
class Entry:
    """One image by the name that the data set gives it, and its label if there is one."""

    name: str
    image: Path
    label: Path | None


def read_dataset(
    dataset: str | Path,
    *,
    labels: str | Path | None = None,
    root: str | Path | None = None,
    separator: str = " ",
) -> tuple[Entry, ...]:
    """The images of a file list (``image label`` or ``image`` a line), of a folder, or one image.

    ``labels`` is the folder of the labels, whose names are those of the images but for the suffix; ``root``
    the folder that a list's paths start from, by default the list's own. A file that a list names need not
    exist: that shows when it is read. Raises InputError where the list or a folder cannot be read, or is
    empty.
    """
    path = Path(dataset)
    if path.is_dir():
        return _from_folder(path, labels)
    if path.suffix.lower() in LISTS:
        if labels is not None:
            raise InputError(f"{path} is a list and names its own labels; leave out the folder of labels.")
        return _from_list(path, Path(root) if root is not None else path.parent, separator)
    check_file(path, "image")
    return (Entry(path.name, path, Path(labels) if labels is not None else None),)


def _from_folder(folder: Path, labels: str | Path | None) -> tuple[Entry, ...]:
    images = list_masks(folder, PICTURES)
    if labels is None:
        return tuple(Entry(name, image, None) for name, image in images.items())
    found = list_masks(labels)
    absent = Path(labels)
    entries = [Entry(name, image, found.get(name, absent / f"{name}.png")) for name, image in images.items()]
    if not any(entry.name in found for entry in entries):
        raise InputError(
            f"No label in {labels} has the name of an image in {folder} "
            f"(there is {next(iter(found))!r}, and {entries[0].name!r})."
        )
    return tuple(entries)


def _from_list(path: Path, root: Path, separator: str) -> tuple[Entry, ...]:
    check_file(path, "list")
    if path.stat().st_size > LIST_LIMIT:
        raise InputError(f"{path} is larger than any list of images ({LIST_LIMIT >> 20} MB).")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no list of images: {one_line(error)}.") from error
    entries = [
        _entry(path, number, line.strip().split(separator), root)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not entries:
        raise InputError(f"The list {path} names no image.")
    return tuple(entries)


def _entry(path: Path, number: int, words: Sequence[str], root: Path) -> Entry:
    if len(words) > 2 or not all(words) or any("\0" in word for word in words):
        raise InputError(f"{path}, line {number}: expected 'image label', found {len(words)} words.")
    label = root / words[1] if len(words) == 2 else None
    return Entry(words[0], root / words[0], label)
