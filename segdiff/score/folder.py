"""What does a folder of masks hold? Opened once, decoded one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from segdiff.core.errors import InputError
from segdiff.score.encoding import (
    CITYSCAPES,
    KINDS,
    LABEL_IDS,
    WORDS,
    Encoding,
    Sightings,
    decode,
    distinct,
)
from segdiff.score.files import SUFFIXES, NoFilesError, Raw, Values, list_masks, read_raw
from segdiff.score.results import HEADERLESS, NO_FORM, Form, found_form, read_result
from segdiff.score.results import SUFFIXES as RESULTS

SAMPLE = 32
"""Files that are looked at to find out a folder's encoding: a run that saves masks saves all alike."""


@dataclass(frozen=True)
class Folder:
    """Mask files by name, and what their values mean."""

    path: Path
    files: Mapping[str, Path]
    kind: Encoding
    form: Form = NO_FORM

    def read(self, name: str) -> Values:
        """The class numbers of one mask, (H, W). Raises InputError where it is damaged or means nothing."""
        path = self.files[name]
        return decode(self.raw(path), self.kind, f"The mask {path}")

    def raw(self, path: Path) -> Raw:
        """One of its files as it is stored. Raises InputError where it is damaged."""
        return read_stored(path, self.form)

    @property
    def headerless(self) -> bool:
        """Whether its files are bytes alone."""
        return any(path.suffix.lower() in HEADERLESS for path in self.files.values())

    def __str__(self) -> str:
        form = f", {self.form} without a header" if self.headerless else ""
        return f"{self.path}: {len(self.files)} masks, {WORDS[self.kind]}{form}"


def read_stored(path: Path, form: Form) -> Raw:
    """A mask as it is stored: an image, or what a device returned. Raises InputError."""
    if path.suffix.lower() in RESULTS:
        return Raw(read_result(path, form))
    return read_raw(path)


def list_any(folder: str | Path) -> dict[str, Path]:
    """The masks below a folder by name: images, else arrays, else files without a header, else text."""
    wanted = (SUFFIXES, frozenset({".npy"}), HEADERLESS, frozenset({".txt"}))
    for suffixes in wanted:
        with suppress(NoFilesError):
            return list_masks(folder, suffixes)
    return list_masks(folder, SUFFIXES | RESULTS)


def open_masks(folder: str | Path, kind: str | None = None, said: Form = NO_FORM) -> Folder:
    """A folder of masks; ``kind`` says what the values mean, by default a sample of the files shows it.

    ``said`` is the form of masks without a header. Raises InputError where there are none, their form is not
    known, or their colours belong to no map that segdiff knows.
    """
    files = list_any(folder)
    form = found_form(files.values(), said)
    found = checked_kind(kind) if kind else found_kind(folder, files.values(), form)
    return Folder(Path(folder), files, found, form)


def checked_kind(kind: str) -> Encoding:
    """``kind`` itself. Raises InputError where there is no such encoding."""
    for known in KINDS:
        if kind == known:
            return known
    raise InputError(f"{kind!r} is no encoding of masks; there are {', '.join(KINDS)}.")


def found_kind(folder: str | Path, paths: Iterable[Path], form: Form = NO_FORM) -> Encoding:
    """The encoding that a sample of the files shows, or Cityscapes' name for its own. Damaged ones are passed
    over: reading tells of them."""
    every = list(paths)
    if every and all(path.stem.endswith(LABEL_IDS) for path in every):
        return "cityscapes"
    sightings = Sightings()
    for path in every[:: max(1, len(every) // SAMPLE)]:
        try:
            sightings.add(read_stored(path, form))
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
    if labels.kind == "cityscapes":
        return len(CITYSCAPES)
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
