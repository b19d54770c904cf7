"""On which pictures is it measured? Images as every other command takes them, prepared, with their labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from segdiff.core.errors import InputError
from segdiff.core.graph import Array
from segdiff.inputs import DeployConfig, InputSpec, prepare
from segdiff.inputs.prepare import Image
from segdiff.score.dataset import Entry, read_dataset
from segdiff.score.encoding import Encoding
from segdiff.score.files import Values
from segdiff.score.folder import checked_kind, found_kind
from segdiff.score.output import Undo
from segdiff.score.run import Loader

TENSORS = frozenset({".npy", ".npz"})
"""Files that hold what the model is fed, and no picture."""


@dataclass(frozen=True, eq=False)
class Example:
    """One image: what the model is fed, by its input names; its label and the way back to the label's size,
    where there is one; ``assumed`` what was taken for granted of the preparation."""

    name: str
    tensors: Mapping[str, Array]
    label: Values | None = None
    undo: tuple[Undo, ...] = ()
    assumed: str | None = None


@dataclass(frozen=True)
class Examples:
    """The images of a question, each prepared when its turn comes."""

    entries: tuple[Entry, ...]
    loader: Loader
    ready: Example | None = None

    def __len__(self) -> int:
        return 1 if self.ready else len(self.entries)

    def load(self, place: int) -> Example:
        """One image. Raises InputError where it, or its label, cannot be used."""
        if self.ready:
            return self.ready
        entry = self.entries[place]
        if entry.image.suffix.lower() in TENSORS:
            prepared = prepare(entry.image, self.loader.specs, self.loader.config)
            return Example(entry.name, prepared.tensors)
        found = self.loader.load(entry)
        return Example(entry.name, found.tensors, found.label, found.undo, found.assumed)

    def all(self) -> Iterator[Example]:
        """Every image. Raises InputError at the first that cannot be used."""
        for place in range(len(self)):
            yield self.load(place)


def examples(
    images: Image | str | PathLike[str],
    specs: tuple[InputSpec, ...],
    config: DeployConfig | None,
    labels: str | Path | None = None,
    root: str | Path | None = None,
    label_encoding: str | None = None,
) -> Examples:
    """The images that a user means: a picture, a ready tensor, a folder, or a list.

    Raises InputError where there is none, or labels go with what can have none.
    """
    if isinstance(images, np.ndarray | Mapping):
        if labels is not None:
            raise InputError("Labels go with images in files; these are tensors.")
        prepared = prepare(images, specs, config)
        return Examples((), Loader(specs, config), Example("the image", prepared.tensors))
    path = Path(images)
    if path.suffix.lower() in TENSORS:
        if labels is not None:
            raise InputError(f"{path} holds a tensor, and labels go with pictures.")
        return Examples((Entry(path.name, path, None),), Loader(specs, config))
    entries = read_dataset(path, labels=labels, root=root)
    return Examples(entries, Loader(specs, config, kind_of(entries, label_encoding)))


def kind_of(entries: tuple[Entry, ...], encoding: str | None) -> Encoding:
    """How the labels are to be read: as said, or as they show it."""
    if encoding:
        return checked_kind(encoding)
    labels: list[Any] = [entry.label for entry in entries if entry.label is not None]
    return found_kind("the data set", labels) if labels else "index"
