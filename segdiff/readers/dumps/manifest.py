"""What does a ``manifest.json`` say of the files beside it?

``{file: {"tensor": name, "layout": "NHWC", "dtype": "float16", "shape": [1, 3, 224, 224]}}``, any of them.

Its files are looked up among those that lie in the dump: a name that leads elsewhere is no file of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from segdiff.core.errors import ModelError
from segdiff.core.graph import Array
from segdiff.readers.dumps.listing import Listing, printable
from segdiff.readers.dumps.stored import Stored, decoded, itemsize, shape_text
from segdiff.readers.guard import guard, read_bytes

NAME = "manifest.json"

MAX_BYTES = 32 << 20
"""Bytes of a manifest or a summary: some 150 for each of two hundred thousand files."""


@dataclass(frozen=True)
class Named:
    """What a manifest says of one file; "" and None where it says nothing."""

    tensor: str = ""
    layout: str = ""
    dtype: str = ""
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Manifest:
    """File -> what is said of it, and the lines that could not be used."""

    files: Mapping[Path, Named] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read_manifest(listing: Listing) -> Manifest:
    """The manifest of a dump; an empty one where there is none, or it is damaged."""
    file = listing.folder / NAME
    if file not in listing.files:
        return Manifest()
    problems: list[str] = []
    try:
        content = read_json(file, MAX_BYTES)
        if not isinstance(content, dict):
            raise ModelError(f"{file}: is no object of files; write {{file: {{tensor: name}}}}")
    except ModelError as error:
        return Manifest(problems=(str(error),))
    there = {listing.name(file): file for file in listing.files}
    found = {}
    for name, said in content.items():
        entry = _entry(said)
        if name not in there:
            problems.append(f"{NAME}: {printable(name)} is not a file of the dump")
        elif entry is None:
            problems.append(f"{NAME}: what stands at {printable(name)} is not understood")
        else:
            found[there[name]] = entry
    return Manifest(found, tuple(problems))


def _entry(said: Any) -> Named | None:
    if isinstance(said, str):
        return Named(said)
    if not isinstance(said, dict):
        return None
    tensor, layout, dtype = (said.get(key) or "" for key in ("tensor", "layout", "dtype"))
    shape = said.get("shape")
    if not all(isinstance(word, str) for word in (tensor, layout, dtype)):
        return None
    if shape is not None and not is_shape(shape):
        return None
    return Named(tensor, layout, dtype, None if shape is None else tuple(shape))


def is_shape(given: Any) -> bool:
    """Whether it is a list of sizes."""
    return (
        isinstance(given, list)
        and len(given) <= 32
        and all(isinstance(dim, int) and not isinstance(dim, bool) and 0 <= dim < 1 << 40 for dim in given)
    )


def as_said(stored: Stored, said: Named) -> Stored:
    """The array as a manifest describes it: another type of the same bytes, another shape of as many numbers.

    Raises ModelError where the bytes are not as many.
    """
    dtype, shape = said.dtype or stored.dtype, said.shape if said.shape is not None else stored.shape
    changed = dtype != stored.dtype or shape != stored.shape
    have = prod(stored.shape) * itemsize(stored.dtype, stored.label)
    if changed and prod(shape) * itemsize(dtype, stored.label) != have:
        raise ModelError(
            f"{stored.label}: has {have} bytes, "
            f"the manifest says {shape_text(shape)} of {dtype}; mend the manifest"
        )
    read = partial(_as, stored, dtype, shape) if changed else stored.read
    return replace(stored, dtype=dtype, shape=shape, read=read, layout=said.layout.upper())


def _as(stored: Stored, dtype: str, shape: tuple[int, ...]) -> Array:
    array = stored.read()
    if dtype == stored.dtype:
        return array.reshape(shape)
    return decoded(array.reshape(-1).view("u1"), dtype, shape)


def read_json(file: Path, limit: int) -> Any:
    """The content of a JSON file. Raises ModelError where it is damaged, too large or too deep."""
    data = read_bytes(file, limit)
    with guard(file, "the JSON"):
        return json.loads(data)
