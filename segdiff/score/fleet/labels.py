"""Which label belongs to which image of a sweep, and what do a pair's labels mean? As ``evaluate`` has it.

In a folder of labels an image's is the one of its name but for the suffix; a list names its own; one image
may have one file. What the values mean, the labels of a pair show together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segdiff.core.crew.told import Failure, failure_of
from segdiff.core.errors import InputError, SegdiffError
from segdiff.readers.remote import is_url, place_of, said
from segdiff.readers.urls import fresh
from segdiff.score.areas import IGNORE
from segdiff.score.dataset import LISTS, read_dataset
from segdiff.score.encoding import Encoding
from segdiff.score.files import SUFFIXES, list_masks
from segdiff.score.folder import SAMPLE, checked_kind, found_kind
from segdiff.score.readings import Doubt, doubt_of
from segdiff.score.urls import MASKS


@dataclass(frozen=True)
class Reading:
    """What the labels of a pair mean; ``problem`` is why nobody can say."""

    kind: Encoding = "index"
    doubt: Doubt | None = None
    classes: int | None = None
    ignore_index: int | None = IGNORE
    problem: Failure | None = None


def matched(images: Sequence[str], labels: str) -> dict[str, str]:
    """The label of each image: that of its name in a folder, or the one file of the one image.

    Images that have none are left out. Raises InputError where two images could have one label, where a file
    is given for several images, and where the folder cannot be read.
    """
    if PurePosixPath(labels.partition("?")[0]).suffix.lower() in MASKS and not Path(labels).is_dir():
        if len(images) > 1:
            raise InputError(f"{labels} is one label, and there are {len(images)} images; give a folder")
        return dict.fromkeys(images, labels)
    found = names_below(labels)
    own: dict[str, str] = {}
    for image in images:
        label = next((found[name] for name in names_of(image) if name in found), None)
        if label is None:
            continue
        if label in own:
            raise InputError(f"{own[label]} and {image} could both have the label {label}; name them apart")
        own[label] = image
    return {image: label for label, image in own.items()}


def names_of(image: str) -> Iterable[str]:
    """What an image may be called in a folder of labels, with the most folders of its own path first."""
    parts = PurePosixPath(image.partition("?")[0] if is_url(image) else image).with_suffix("").parts
    return ("/".join(parts[begin:]) for begin in range(len(parts)))


def names_below(folder: str) -> Mapping[str, str]:
    """The masks below a folder, by their paths from it without suffix. Raises InputError."""
    if not is_url(folder):
        return {name: str(path) for name, path in list_masks(folder).items()}
    place = place_of(folder)
    try:
        files = [str(path).removeprefix(place.path).lstrip("/") for path in place.system.find(place.path)]
    except Exception as error:  # each protocol raises errors of its own
        raise InputError(f"{folder}: cannot be listed: {said(error)}") from error
    masks = [path for path in map(PurePosixPath, files) if path.suffix.lower() in SUFFIXES]
    if not masks:
        raise InputError(f"{folder}: is no folder with labels in it")
    return {str(path.with_suffix("")): f"{place.url}/{path}" for path in sorted(masks)}


def is_list(path: str) -> bool:
    """Whether this is a list of images, ``image`` or ``image label`` a line."""
    return PurePosixPath(path.partition("?")[0]).suffix.lower() in LISTS


def listed_in(path: str) -> list[tuple[str, str | None]]:
    """The images of a list, each with its label where it names one. Raises InputError."""
    if is_url(path):
        holder, fetched = fresh()
        here = fetched.file(path)
        found = listed_in(str(here))
        holder.remove()
        above = path.rpartition("/")[0]

        def there(file: str) -> str:
            return f"{above}/{os.path.relpath(file, here.parent)}"

        return [(there(image), label and there(label)) for image, label in found]
    entries = read_dataset(path)
    wrong = next((entry.problem for entry in entries if entry.problem), None)
    if wrong:
        raise InputError(wrong)
    return [(str(entry.image), str(entry.label) if entry.label else None) for entry in entries]


def reading_of(
    labels: tuple[str, ...], encoding: str | None, classes: int | None, ignore_index: int | None
) -> Reading:
    """What the labels of a pair mean: by what is said, or by a sample of them."""
    holder, fetched = fresh()
    try:
        sample = [
            fetched.file(label) if is_url(label) else Path(label)
            for label in labels[:: max(1, len(labels) // SAMPLE)]
        ]
        kind = checked_kind(encoding) if encoding else found_kind("this pair", sample)
        return Reading(kind, doubt_of(sample, encoding, ignore_index), classes, ignore_index)
    except SegdiffError as error:
        return Reading(problem=failure_of(error))
    finally:
        holder.remove()
