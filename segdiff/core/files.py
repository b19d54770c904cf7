"""Which files are one model? Found by the readers, handed to an engine, kept for a repair."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

Format = str
"""``pdmodel``, ``pir``, ``onnx``, or whatever a row of the readers' registry adds."""


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model.

    ``params`` is None for ONNX and where the parameter file is missing; for old models it can be a folder
    of one file a parameter. ``deploy_yaml`` is the config that stands beside the program,
    if there is one: PaddleSeg's, or what another suite calls it.
    """

    format: Format
    program: Path
    params: Path | None
    deploy_yaml: Path | None


CHUNK = 1 << 20
"""Bytes that are hashed at a time."""


@dataclass(frozen=True)
class HashedFile:
    """A file as it was read: its ``name`` below the model's folder, its size in bytes, its SHA-256 in hex."""

    name: str
    bytes: int
    sha256: str


def hashed(path: Path, name: str) -> HashedFile:
    """The size and the hash of a file. Raises OSError where it cannot be read."""
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
            size += len(chunk)
    return HashedFile(name, size, found.hexdigest())
