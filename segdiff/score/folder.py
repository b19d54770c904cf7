"""What does a folder of masks hold? Opened once, decoded one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from segdiff.core.errors import InputError
from segdiff.score.encoding import KINDS, WORDS, Encoding, Sightings, decode, distinct
from segdiff.score.files import Values, list_masks, read_raw

SAMPLE = 32
"""Files that are looked at to find out a folder's encoding: a run that saves masks saves all alike."""


@dataclass(frozen=True)
class Folder:
    """Mask files by name, and what their values mean."""

    path: Path
    files: Mapping[str, Path]
    kind: Encoding

    def read(self, name: str) -> Values:
        """The class numbers of one mask, (H, W). Raises InputError where it is damaged or means nothing."""
        path = self.files[name]
        return decode(read_raw(path), self.kind, f"The mask {path}")

    def __str__(self) -> str:
        return f"{self.path}: {len(self.files)} masks, {WORDS[self.kind]}"


def open_masks(
    folder: str | Path, kind: str | None = None, files: Mapping[str, Path] | None = None
) -> Folder:
    """A folder of masks; ``kind`` says what the values mean, by default a sample of the files shows it.

    ``files`` names the masks where a list gives them, not the folder. Raises InputError where there are none,
    or their colours belong to no map that segdiff knows.
    """
    files = list_masks(folder) if files is None else files
    return Folder(Path(folder), files, checked_kind(kind) if kind else found_kind(folder, files.values()))


def checked_kind(kind: str) -> Encoding:
    """``kind`` itself. Raises InputError where there is no such encoding."""
    for known in KINDS:
        if kind == known:
            return known
    raise InputError(f"{kind!r} is no encoding of masks; there are {', '.join(KINDS)}.")


def found_kind(folder: str | Path, paths: Iterable[Path]) -> Encoding:
    """The encoding that a sample of the files shows. Damaged ones are passed over: reading tells of them."""
    every = list(paths)
    sightings = Sightings()
    for path in every[:: max(1, len(every) // SAMPLE)]:
        try:
            sightings.add(read_raw(path))
        except InputError:
            continue
    kind = sightings.kind()
    if kind is None:
        raise InputError(
            f"The masks in {folder} have colours of neither PaddleSeg's nor the VOC map; "
            "save class numbers (a grey or palette PNG)."
        )
    return kind


def classes_in(labels: Folder, ignore_index: int | None) -> int:
    """One more than the largest class that any label has. Raises InputError where no label can be read."""
    highest = -1
    for name in labels.files:
        try:
            found = distinct(labels.read(name))
        except InputError:
            continue
        highest = max(highest, *(number for number in found if number != ignore_index), -1)
    if highest < 0:
        raise InputError(f"No label in {labels.path} could be read, or every pixel is to be ignored.")
    return highest + 1


def unknown_classes(values: Values, classes: int, ignore_index: int | None = None) -> list[int]:
    """The numbers in a mask that stand for no class."""
    return sorted(n for n in distinct(values) if n >= classes and n != ignore_index)
